//! People who leave, are disabled, come back and are called otherwise, as the directory tells.

use serde_json::{Value, json};

use super::directory;
use crate::on_both_databases;
use crate::support::client::Client;
use crate::support::slapd::{BASE, Slapd};
use crate::support::{Database, TestWorld};

on_both_databases! {
    who_is_disabled_is_suspended_and_comes_back,
    who_is_gone_is_revoked_but_never_on_a_partial_answer,
    who_is_renamed_keeps_what_is_theirs,
}

/// Compares people with the directory, as a CA operator does; gives the end.
async fn compare(operator: &Client) -> Value {
    let (status, started) = operator.post("/api/v1/instances", "{\"workflow\":\"synchronize-people\"}").await;
    assert_eq!(status, 201, "{started}");
    let path = format!("/api/v1/instances/{}", started["id"].as_str().expect("an id"));
    operator.until(&path, |view| view["status"] != "running").await
}

async fn statuses(rita: &Client) -> Vec<String> {
    let list = rita.get("/api/v1/certificates").await.1;
    let certificates = list["certificates"].as_array().expect("a list");
    certificates.iter().map(|of| of["status"].as_str().expect("a status").to_owned()).collect()
}

fn published(slapd: &Slapd) -> usize {
    slapd.search("(cn=Alice*)", "userCertificate").matches("userCertificate;binary:: ").count()
}

fn set(slapd: &Slapd, change: &str) {
    slapd.modify(&format!("dn: uid=alice,ou=people,{BASE}\nchangetype: modify\n{change}\n"));
}

async fn operators(test: &TestWorld) -> (Client, Client) {
    let carl = Client::sign_in(test, "carl", "ca-operator").await;
    (carl, Client::sign_in(test, "rita", "ra-operator").await)
}

async fn who_is_disabled_is_suspended_and_comes_back(database: Database) {
    let (test, slapd, _folder) = directory::start(database).await;
    directory::personalized(&test).await;
    let (carl, rita) = operators(&test).await;
    assert_eq!(compare(&carl).await["state"], "unchanged");
    set(&slapd, "add: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z");
    let view = compare(&carl).await;
    assert_eq!(view["state"], "settled", "{view:#}");
    assert_eq!((statuses(&rita).await, published(&slapd)), (vec!["suspended".to_owned(); 2], 0));
    let lists = test.audited("revocation-list-issued").await.len();
    // What is suspended is not suspended again.
    assert_eq!(compare(&carl).await["state"], "unchanged");
    assert_eq!(test.audited("revocation-list-issued").await.len(), lists);
    set(&slapd, "delete: pwdAccountLockedTime");
    assert_eq!(compare(&carl).await["state"], "settled");
    assert_eq!((statuses(&rita).await, published(&slapd)), (vec!["issued".to_owned(); 2], 2));
    let suspended = test.audited("certificate-suspended").await.len();
    assert_eq!((suspended, test.audited("certificate-reinstated").await.len()), (2, 2));
}

async fn who_is_gone_is_revoked_but_never_on_a_partial_answer(database: Database) {
    let (test, mut slapd, _folder) = directory::start(database).await;
    directory::personalized(&test).await;
    let (carl, rita) = operators(&test).await;
    // Gone, and a part of the directory lies elsewhere: alice may be there.
    slapd.modify(&format!("dn: uid=alice,ou=people,{BASE}\nchangetype: delete\n"));
    let elsewhere = format!("ou=branch,{BASE}");
    slapd.add(&format!(
        "dn: {elsewhere}\nobjectClass: referral\nobjectClass: extensibleObject\nou: branch\nref: ldap://elsewhere.example.test/{elsewhere}\n"
    ));
    assert_eq!(compare(&carl).await["state"], "unanswered");
    slapd.stop();
    assert_eq!(compare(&carl).await["state"], "unanswered");
    assert_eq!(statuses(&rita).await, ["issued", "issued"]);
    slapd.restart().await;
    slapd.remove(&elsewhere);
    let view = compare(&carl).await;
    assert_eq!(view["state"], "settled", "{view:#}");
    assert_eq!(view["data"]["departures"][0]["kind"], "gone");
    assert_eq!(statuses(&rita).await, ["revoked", "revoked"]);
    assert_eq!(compare(&carl).await["state"], "unchanged");
}

async fn who_is_renamed_keeps_what_is_theirs(database: Database) {
    let (test, slapd, _folder) = directory::start(database).await;
    directory::personalized(&test).await;
    let (carl, rita) = operators(&test).await;
    let rename = |from: &str, to: &str| {
        slapd.modify(&format!(
            "dn: uid={from},ou=people,{BASE}\nchangetype: modrdn\nnewrdn: uid={to}\ndeleteoldrdn: 1\n"
        ));
    };
    rename("alice", "bob");
    // The login is somebody else's now: a new colleague has it, and nothing that was the old one's.
    slapd.add(&format!("dn: uid=alice,ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: alice\ncn: Ali\nsn: Ali\n"));
    assert_eq!(compare(&carl).await["state"], "unchanged");
    let own = async |login: &'static str| {
        let list = Client::sign_in(&test, login, "user").await.get("/api/v1/certificates").await.1;
        list["certificates"].as_array().expect("a list").len()
    };
    assert_eq!((own("bob").await, own("alice").await), (2, 0));
    assert_eq!(statuses(&rita).await, ["issued", "issued"]);
    // Under the new name the card is known as theirs: nothing is made again.
    let mut begun = sealwright::commands::demo::journey::begin(&test.world, "bob").await.expect("begun");
    let code = sealwright::commands::demo::journey::offer(&mut begun).await.expect("a code");
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    assert_eq!(crate::support::ended(&mut begun).await["status"], "success");
    assert_eq!(test.audited("certificate-issued").await.len(), 2);
    assert_eq!(test.audited("login-changed").await[0].detail, Some(json!({ "login": "bob", "credentials": 3 })));
}
