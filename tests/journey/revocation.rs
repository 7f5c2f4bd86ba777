//! Certificates are revoked by their owner and by RA operators, and by nobody else.

use reqwest::Method;
use sealwright_world::journey;
use serde_json::{Value, json};

use super::{assert_personalized, directory};
use crate::on_both_databases;
use crate::support::client::Client;
use crate::support::{Database, TestWorld, ended, run};

on_both_databases! {
    the_owner_and_an_operator_revoke,
    what_was_revoked_on_its_way_to_the_card_is_not_called_ready,
}

/// The certificates that a caller is told of, the newest first.
async fn certificates(of: &Client, query: &str) -> Vec<Value> {
    let (status, list) = of.get(&format!("/api/v1/certificates{query}")).await;
    assert_eq!(status, 200, "{list}");
    list["certificates"].as_array().expect("a list").clone()
}

async fn start(by: &Client, certificate: &str, reason: &str) -> (u16, Value) {
    let body = json!({ "workflow": "revoke-certificate", "data": { "certificate": certificate, "reason": reason } });
    by.post("/api/v1/instances", &body.to_string()).await
}

/// The form of a revocation: its status and text.
async fn form(by: &Client, certificate: &str) -> (u16, String) {
    let path = format!("/start/revoke-certificate/{certificate}");
    let answer = by.request(Method::GET, &path).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a page"))
}

/// The end of an instance.
async fn end(by: &Client, instance: &str) -> Value {
    by.until(&format!("/api/v1/instances/{instance}"), |view| view["status"] != "running").await
}

/// The published list, as openssl reads it.
async fn list(test: &TestWorld) -> String {
    let der = test.path("list.crl");
    let url = format!("{}/pki/crl/issuing.crl", test.world.public_url);
    std::fs::write(&der, reqwest::get(url).await.expect("an answer").bytes().await.expect("a list")).expect("written");
    run("openssl", &["crl", "-inform", "DER", "-noout", "-text", "-in", der.to_str().expect("a path")], &[])
}

async fn the_owner_and_an_operator_revoke(database: Database) {
    let (test, slapd, _folder) = directory::start(database).await;
    let mut begun = directory::personalized(&test).await;
    assert_personalized(&test, &mut begun).await;
    let alice = Client::sign_in(&test, "alice", "user").await;
    let carl = Client::sign_in(&test, "carl", "user").await;
    let rita = Client::sign_in(&test, "rita", "ra-operator").await;
    let operator = Client::sign_in(&test, "carl", "ca-operator").await;
    let own = certificates(&alice, "").await;
    assert_eq!(own.len(), 2);
    let serial = own[0]["serial"].as_str().expect("a serial");
    // What is wanted is looked for among what the caller may see: those who look after nobody else's find their own alone.
    for by in [&alice, &rita] {
        assert_eq!(certificates(by, "?wanted=alice").await, own);
        assert_eq!(certificates(by, &format!("?wanted={serial}")).await, own[..1]);
        assert_eq!(certificates(by, "?wanted=carl").await, [] as [Value; 0]);
    }
    for wanted in ["alice", serial] {
        assert_eq!(certificates(&carl, &format!("?wanted={wanted}")).await, [] as [Value; 0]);
    }
    let [first, second] = [0, 1].map(|at| own[at]["id"].as_str().expect("an id").to_owned());
    // Somebody else, and a role that has no say, learn nothing; nor does somebody who makes ids up.
    for (by, id) in [(&carl, &first), (&operator, &first), (&alice, &begun.instance)] {
        assert_eq!(start(by, id, "superseded").await.0, 404);
        assert_eq!(form(by, id).await.0, 404);
        let posted = format!("about={id}&field_reason=superseded");
        assert_eq!(by.submit("/start/revoke-certificate", &posted).await, 404);
    }
    let data = json!({ "certificate": own[0], "reason": "superseded" });
    let forged = json!({ "workflow": "revoke-certificate", "data": data });
    assert_eq!(alice.post("/api/v1/instances", &forged.to_string()).await.0, 400);
    // The owner looks at the form, fills it in wrongly, and thinks better of it: nothing has been begun, and nobody else is asked.
    for by in [&alice, &rita] {
        let (status, page) = form(by, &first).await;
        assert_eq!(status, 200, "{page}");
        for part in ["Revoke this certificate? This cannot be undone.", "name=\"field_reason\"", serial, &first] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }
    assert_eq!(start(&alice, &first, "boredom").await.0, 400);
    assert_eq!(start(&alice, &first, "").await.0, 400);
    for fields in ["", "&field_reason=", "&field_reason=boredom", "&field_reason=superseded&field_away=issuing"] {
        let posted = format!("about={first}{fields}");
        assert_eq!(alice.submit("/start/revoke-certificate", &posted).await, 400, "{fields}");
    }
    assert_eq!(rita.get("/api/v1/instances?tasks=true").await.1["instances"], json!([]));
    assert_eq!(rita.get("/api/v1/instances?workflow=revoke-certificate").await.1["instances"], json!([]));
    assert_eq!(certificates(&alice, "").await, own);
    // And means it the next time.
    let (status, started) = start(&alice, &first, "key-compromise").await;
    assert_eq!(status, 201, "{started}");
    let instance = started["id"].as_str().expect("an id").to_owned();
    assert_eq!(end(&alice, &instance).await["say"], "The certificate is revoked.");
    let text = list(&test).await.to_lowercase();
    assert!(text.contains(serial) && text.contains("key compromise"), "{text}");
    assert_eq!(slapd.search("(uid=alice)", "userCertificate").matches("userCertificate;binary:: ").count(), 1);
    // An RA operator takes the other one, and is who is remembered.
    let instance = start(&rita, &second, "superseded").await.1["id"].as_str().expect("an id").to_owned();
    let view = rita.get(&format!("/api/v1/instances/{instance}")).await.1;
    assert_eq!((view["owner"].as_str(), view["requester"].as_str()), (Some("alice"), Some("rita")));
    assert_eq!(end(&rita, &instance).await["status"], "success");
    assert!(!slapd.search("(uid=alice)", "userCertificate").contains("userCertificate;binary:: "));
    let statuses: Vec<_> = certificates(&alice, "").await.into_iter().map(|of| of["status"].clone()).collect();
    assert_eq!(statuses, ["revoked", "revoked"]);
    // Once more changes nothing.
    let instance = start(&alice, &first, "superseded").await.1["id"].as_str().expect("an id").to_owned();
    assert_eq!(end(&alice, &instance).await["state"], "done");
    let revoked = test.audited("certificate-revoked").await;
    let who: Vec<_> = revoked.iter().filter_map(|row| row.actor.as_deref()).collect();
    assert_eq!((revoked.len(), who), (2, vec!["rita", "alice"]));
}

/// An operator revokes the certificate while the card is away; the person comes back later and is told.
async fn what_was_revoked_on_its_way_to_the_card_is_not_called_ready(database: Database) {
    let (test, slapd, _folder) = directory::start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let killed = [("SEALWRIGHT_FAIL_POINT", "agent.install.before")];
    let ended_there = test.agent_with(&code, Some(&test.pin_file), &killed).converse(&mut begun).await;
    assert!(!ended_there.is_ok_and(|ended| ended.success()), "the agent was not killed");
    let rita = Client::sign_in(&test, "rita", "ra-operator").await;
    let issued = certificates(&rita, "").await;
    assert_eq!(issued.len(), 1);
    let (status, started) = start(&rita, issued[0]["id"].as_str().expect("an id"), "key-compromise").await;
    assert_eq!(status, 201, "{started}");
    let instance = started["id"].as_str().expect("an id");
    assert_eq!(end(&rita, instance).await["status"], "success");
    let came_to_an_end = test.agent(&code).converse(&mut begun).await;
    assert!(!came_to_an_end.is_ok_and(|ended| ended.success()), "the agent says that all is well");
    let view = ended(&mut begun).await;
    assert_eq!(view["status"], "failure", "{view:#}");
    assert!(view.to_string().contains("the certificate was revoked before it was ready"), "{view:#}");
    // A new start makes what is missing, and publishes what is good alone.
    let mut begun = directory::personalized(&test).await;
    assert_eq!(ended(&mut begun).await["status"], "success");
    assert_eq!(slapd.search("(uid=alice)", "userCertificate").matches("userCertificate;binary:: ").count(), 2);
}
