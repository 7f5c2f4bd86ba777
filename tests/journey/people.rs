//! People who leave, are disabled, come back and are called otherwise, as the directory tells.

use sealwright_world::journey;
use serde_json::{Value, json};

use super::directory::{self, set};
use crate::on_both_databases;
use crate::operations::done;
use crate::support::client::{Client, answer};
use crate::support::slapd::{BASE, Slapd};
use crate::support::{Database, TestWorld, later, sqlite, variables};

on_both_databases! {
    who_is_disabled_is_suspended_and_comes_back,
    who_is_gone_is_revoked_but_never_on_a_partial_answer,
    who_is_renamed_keeps_what_is_theirs,
    a_card_waits_for_its_owner_while_somebody_else_has_the_login,
    who_is_renamed_goes_on_with_what_they_began,
    people_who_change_logins_keep_what_they_began,
    what_a_former_holder_began_is_not_about_whoever_has_the_login,
    who_has_moved_is_settled_as_the_policy_says,
    nobody_moves_by_what_cannot_be_read_or_is_written_otherwise,
    a_portal_that_is_killed_while_people_are_settled_goes_on,
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
    let mut begun = journey::begin(&test.world, "bob").await.expect("begun");
    let code = journey::offer(&mut begun).await.expect("a code");
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    assert_eq!(crate::support::ended(&mut begun).await["status"], "success");
    assert_eq!(test.audited("certificate-issued").await.len(), 2);
    assert_eq!(
        test.audited("login-changed").await[0].detail,
        Some(json!({ "login": "bob", "credentials": 3, "instances": 5 }))
    );
    // What is told of them in records that they did not cause is wiped too, when they want to be forgotten.
    let config = test.world.folder.join("sealwright.toml").display().to_string();
    done(&["audit", "erase", "--config", &config, "bob"]);
    assert_eq!(test.audited("login-changed").await[0].detail, None);
    assert!(done(&["audit", "verify", "--config", &config]).contains("the audit chain is whole"));
}

/// A new colleague comes under the old login before its former holder comes under another one: the card is not the colleague's, and not lost.
async fn a_card_waits_for_its_owner_while_somebody_else_has_the_login(database: Database) {
    let (test, slapd, _folder) = directory::start(database).await;
    directory::personalized(&test).await;
    slapd.modify(&format!("dn: uid=alice,ou=people,{BASE}\nchangetype: modrdn\nnewrdn: uid=bob\ndeleteoldrdn: 1\n"));
    slapd.add(&format!("dn: uid=alice,ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: alice\ncn: Ali\nsn: Ali\n"));
    Client::sign_in(&test, "alice", "user").await;
    let mut begun = journey::begin(&test.world, "bob").await.expect("begun");
    let page = begun.browser.get("/credentials").await.expect("the page");
    assert!(page.contains("20000001"), "{page}");
    let code = journey::offer(&mut begun).await.expect("a code");
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    assert_eq!(crate::support::ended(&mut begun).await["status"], "success");
    assert_eq!(test.audited("certificate-issued").await.len(), 2);
}

/// Whether they come first under their new login, or somebody else under their old one, who sees nothing of it and begins anew.
async fn who_is_renamed_goes_on_with_what_they_began(database: Database) {
    for is_reused_first in [false, true] {
        let (test, slapd, _folder) = directory::start(database).await;
        let begun = test.alice().await;
        let path = format!("/api/v1/instances/{}", begun.instance);
        slapd
            .modify(&format!("dn: uid=alice,ou=people,{BASE}\nchangetype: modrdn\nnewrdn: uid=bob\ndeleteoldrdn: 1\n"));
        slapd.add(&format!(
            "dn: uid=alice,ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: alice\ncn: Ali\nsn: Ali\n"
        ));
        let new_alice = async || {
            let colleague = Client::sign_in(&test, "alice", "user").await;
            assert_eq!(colleague.get(&path).await.0, 404);
            assert_eq!(colleague.get("/api/v1/instances").await.1["instances"], json!([]));
            let own = colleague.post("/api/v1/instances", "{\"workflow\":\"personalize\"}").await;
            assert_eq!(own.0, 201, "{}", own.1);
            assert_ne!(own.1["id"], begun.instance.as_str());
        };
        let renamed = async || {
            // What was begun is gone on with, and not begun anew.
            let mut again = journey::begin(&test.world, "bob").await.expect("begun");
            assert_eq!(again.instance, begun.instance);
            let code = journey::offer(&mut again).await.expect("a code");
            assert!(test.agent(&code).converse(&mut again).await.expect("a conversation").success());
            let view = crate::support::ended(&mut again).await;
            assert_eq!((view["status"].as_str(), view["owner"].as_str()), (Some("success"), Some("bob")));
        };
        if is_reused_first {
            new_alice().await;
            renamed().await;
        } else {
            renamed().await;
            new_alice().await;
        }
        assert_eq!(test.audited("certificate-issued").await.len(), 2);
        // In their own entry, and not in the one that is called now what theirs was called when they began.
        let published = |login: &str| {
            slapd.search(&format!("(uid={login})"), "userCertificate").matches("userCertificate;binary:: ").count()
        };
        assert_eq!((published("bob"), published("alice")), (2, 0));
    }
}

/// Whoever of the two comes first.
async fn people_who_change_logins_keep_what_they_began(database: Database) {
    for order in [["alice", "bob"], ["bob", "alice"]] {
        let (test, slapd, _folder) = directory::start(database).await;
        slapd.add(&format!("dn: uid=bob,ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: bob\ncn: Bob\nsn: Bob\n"));
        let of_alice = journey::begin(&test.world, "alice").await.expect("begun").instance;
        let of_bob = journey::begin(&test.world, "bob").await.expect("begun").instance;
        for (from, to) in [("alice", "other"), ("bob", "alice"), ("other", "bob")] {
            slapd.modify(&format!(
                "dn: uid={from},ou=people,{BASE}\nchangetype: modrdn\nnewrdn: uid={to}\ndeleteoldrdn: 1\n"
            ));
        }
        for login in order {
            Client::sign_in(&test, login, "user").await;
        }
        for (login, own) in [("alice", &of_bob), ("bob", &of_alice)] {
            let seen = Client::sign_in(&test, login, "user").await.get("/api/v1/instances").await.1;
            let seen: Vec<&str> =
                seen["instances"].as_array().expect("a list").iter().filter_map(|of| of["id"].as_str()).collect();
            assert_eq!(seen, [own.as_str()], "{login}, {order:?}");
        }
    }
}

/// The portal dies as it asks the directory; when it asks again, the login is somebody else's.
async fn what_a_former_holder_began_is_not_about_whoever_has_the_login(database: Database) {
    let (mut test, slapd, _folder) = directory::start(database).await;
    test.world.kill_portal().await.expect("killed");
    let killed = [("SEALWRIGHT_FAIL_POINT".to_owned(), "directory.find-person".to_owned())];
    test.world.restart_portal(&killed).await.expect("restarted");
    let alice = Client::sign_in(&test, "alice", "user").await;
    // The answer may go with the portal.
    let start = alice.request(reqwest::Method::POST, "/api/v1/instances").header("X-CSRF-Token", alice.csrf());
    drop(start.header("content-type", "application/json").body("{\"workflow\":\"personalize\"}").send().await);
    test.until_portal_ends().await;
    slapd.modify(&format!("dn: uid=alice,ou=people,{BASE}\nchangetype: modrdn\nnewrdn: uid=bob\ndeleteoldrdn: 1\n"));
    slapd.add(&format!(
        "dn: uid=alice,ou=people,{BASE}\nobjectClass: inetOrgPerson\nobjectClass: activeDirectoryPerson\nuid: alice\ncn: Ali\n\
         sn: Ali\nmail: ali@example.test\nemployeeNumber: 18\nuserPrincipalName: ali@corp.example.test\n\
         objectSid:: AQUAAAAAAAUVAAAAAQAAAAIAAAADAAAAUQQAAA==\n"
    ));
    test.world.restart_portal(&[]).await.expect("restarted");
    let looked_up = |list: &Value| list["instances"][0]["state"] == "unknown-person";
    let rita = Client::sign_in(&test, "rita", "ra-operator").await;
    rita.until("/api/v1/instances", looked_up).await;
    let seen = Client::sign_in(&test, "alice", "user").await.get("/api/v1/instances").await.1;
    assert_eq!(seen["instances"].as_array().map(Vec::len), Some(0), "{seen:#}");
    let own = Client::sign_in(&test, "bob", "user").await.get("/api/v1/instances").await.1;
    let path = format!("/api/v1/instances/{}", own["instances"][0]["id"].as_str().expect("an id"));
    let view = rita.get(&path).await.1;
    assert!(view["state"] == "unknown-person" && !view.to_string().contains("ali@"), "{view:#}");
}

async fn who_has_moved_is_settled_as_the_policy_says(database: Database) {
    let (mut test, slapd, _folder) = directory::start(database).await;
    directory::personalized(&test).await;
    let (carl, rita) = operators(&test).await;
    let mail = |mail: &str| set(&slapd, &format!("replace: mail\nmail: {mail}"));
    mail("alice.new@example.test");
    // Where nothing is said, certificates outlive a new address.
    assert_eq!(compare(&carl).await["state"], "unchanged");
    let policy = [("SEALWRIGHT__SYNCHRONIZATION__MOVED", "revoke"), ("SEALWRIGHT__SYNCHRONIZATION__AT_MOST", "0")];
    test.world.kill_portal().await.expect("killed");
    test.world.restart_portal(&variables(&policy)).await.expect("restarted");
    // Here nobody is settled without a CA operator's word; what has changed by then is looked at anew.
    for (by_then, expected) in [("alice@example.test", "issued"), ("alice.new@example.test", "revoked")] {
        mail("alice.new@example.test");
        let started = carl.post("/api/v1/instances", "{\"workflow\":\"synchronize-people\"}").await.1;
        let path = format!("/api/v1/instances/{}", started["id"].as_str().expect("an id"));
        let view = carl.until(&path, |view| view["state"] == "many").await;
        assert_eq!(view["data"]["departures"][0]["kind"], "moved", "{view:#}");
        mail(by_then);
        let step = json!({ "step": view["step"] }).to_string();
        assert_eq!(carl.post(&format!("{path}/actions/go-on"), &step).await.0, 200);
        let view = carl.until(&path, |view| view["status"] != "running").await;
        assert_eq!(view["state"], "settled", "{view:#}");
        assert_eq!(statuses(&rita).await, [expected; 2]);
    }
}

/// A mail address that cannot be read any more, and a subject that an administrator has written otherwise, say nothing of anybody.
async fn nobody_moves_by_what_cannot_be_read_or_is_written_otherwise(database: Database) {
    let (mut test, slapd, _folder) = directory::start(database).await;
    directory::personalized(&test).await;
    let (carl, rita) = operators(&test).await;
    test.world.kill_portal().await.expect("killed");
    let path = test.world.folder.join("sealwright.toml");
    let text = std::fs::read_to_string(&path).expect("the configuration");
    std::fs::write(&path, text.replace("OU=People", "OU=Staff")).expect("written");
    let policy = [("SEALWRIGHT__SYNCHRONIZATION__MOVED", "suspend")];
    test.world.restart_portal(&variables(&policy)).await.expect("restarted");
    for (change, state, expected) in [
        ("delete: mail", "unchanged", "issued"),
        ("replace: mail\nmail: alice.new@example.test", "settled", "suspended"),
        ("delete: mail", "unchanged", "suspended"),
        ("replace: mail\nmail: alice@example.test", "settled", "issued"),
    ] {
        set(&slapd, change);
        assert_eq!(compare(&carl).await["state"], state, "{change}");
        assert_eq!(statuses(&rita).await, [expected; 2], "{change}");
    }
}

/// Nobody asks for it; and what is suspended stays published where the policy says so.
#[tokio::test(flavor = "multi_thread")]
async fn people_are_compared_by_the_clock() {
    // On a file: a node whose clock is an hour from a server's would sign no list.
    let (mut test, slapd, _folder) = directory::start(Database::Sqlite).await;
    directory::personalized(&test).await;
    test.world.kill_portal().await.expect("killed");
    set(&slapd, "add: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z");
    let policy = ("SEALWRIGHT__SYNCHRONIZATION__UNPUBLISH".to_owned(), "false".to_owned());
    let environment = [later("+61m"), vec![policy]].concat();
    test.world.restart_portal(&environment).await.expect("restarted");
    let carl = Client::sign_in(&test, "carl", "ca-operator").await;
    let settled = |list: &Value| {
        let found = list["instances"].as_array().expect("a list");
        found.iter().any(|of| of["workflow"] == "synchronize-people" && of["state"] == "settled")
    };
    carl.until("/api/v1/instances", settled).await;
    assert_eq!((statuses(&carl).await, published(&slapd)), (vec!["suspended".to_owned(); 2], 2));
    assert!(test.audited("certificates-unpublished").await.is_empty());
}

/// A settlement may wait for a key, or for somebody to repair it: an hour later everybody else is compared all the same. Here it is put so by hand.
#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_that_stands_still_holds_up_no_other() {
    const STANDS_STILL: &str = "UPDATE instance SET state = 'settle', status = 'running', ended_at = NULL, \
        document = json_set(document, '$.state', 'settle', '$.status', 'running', '$.waiting', \
        json('{\"children\":{\"arguments\":[{}],\"started\":1,\"ended\":{}}}')) WHERE workflow = 'synchronize-people'";
    fn states(list: &Value) -> Vec<&str> {
        let found = list["instances"].as_array().expect("a list").iter();
        found.filter(|of| of["workflow"] == "synchronize-people").filter_map(|of| of["state"].as_str()).collect()
    }
    let (mut test, _slapd, _folder) = directory::start(Database::Sqlite).await;
    let carl = Client::sign_in(&test, "carl", "ca-operator").await;
    carl.until("/api/v1/instances", |list| states(list) == ["unchanged"]).await;
    test.world.kill_portal().await.expect("killed");
    sqlite(&test.world.folder.join("sealwright.db"), STANDS_STILL);
    test.world.restart_portal(&later("+61m")).await.expect("restarted");
    let carl = Client::sign_in(&test, "carl", "ca-operator").await;
    carl.until("/api/v1/instances", |list| states(list) == ["unchanged", "settle"]).await;
}

async fn a_portal_that_is_killed_while_people_are_settled_goes_on(database: Database) {
    let (mut test, slapd, _folder) = directory::start(database).await;
    directory::personalized(&test).await;
    let (carl, rita) = operators(&test).await;
    set(&slapd, "add: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z");
    test.world.kill_portal().await.expect("killed");
    let killed = [("SEALWRIGHT_FAIL_POINT".to_owned(), "directory.compare-people".to_owned())];
    test.world.restart_portal(&killed).await.expect("restarted");
    let start = || {
        let request = carl.request(reqwest::Method::POST, "/api/v1/instances").header("X-CSRF-Token", carl.csrf());
        let request = request.header("Idempotency-Key", "synchronize").header("content-type", "application/json");
        request.body("{\"workflow\":\"synchronize-people\"}")
    };
    // The answer may go with the portal: it is asked for again with the same key.
    drop(start().send().await);
    test.until_portal_ends().await;
    let killed = [("SEALWRIGHT_FAIL_POINT".to_owned(), "directory.recheck-departure".to_owned())];
    test.world.restart_portal(&killed).await.expect("restarted");
    test.until_portal_ends().await;
    let killed = [("SEALWRIGHT_FAIL_POINT".to_owned(), "directory.unpublish-certificates".to_owned())];
    test.world.restart_portal(&killed).await.expect("restarted");
    test.until_portal_ends().await;
    test.world.restart_portal(&[]).await.expect("restarted");
    let (_, started) = answer(start()).await;
    let path = format!("/api/v1/instances/{}", started["id"].as_str().expect("an id"));
    let view = carl.until(&path, |view| view["status"] != "running").await;
    assert_eq!(view["state"], "settled", "{view:#}");
    assert_eq!((statuses(&rita).await, published(&slapd)), (vec!["suspended".to_owned(); 2], 0));
    assert_eq!(test.audited("certificate-suspended").await.len(), 2);
}
