//! What an operator works with: health, metrics, backup and restore, a database over TLS.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use sealwright::clock::{Clock, SystemClock};
use sealwright::store::{Store, StoreError};
use sealwright_world::journey;
use sealwright_world::ports::free_address;
use serde_json::{Value, json};

use crate::journey::assert_personalized;
use crate::on_both_databases;
use crate::support::client::Client;
use crate::support::postgres::Postgres;
use crate::support::slapd::certificates;
use crate::support::strace::{Fault, Strace};
use crate::support::{Database, TestWorld, ended, go_on, later, lint_lists, run, self_signed, sqlite, stop};

on_both_databases! {
    health_and_metrics_tell_what_happens,
    a_backup_brings_everything_back_and_revocations_stay,
    an_authority_that_issues_nothing_any_more_keeps_its_list,
    what_was_revoked_is_on_a_list_still_after_it_has_expired,
    what_cannot_be_recorded_is_not_done,
}

/// The status of `/health/ready`, and its parts.
async fn ready(address: &str) -> (u16, Value) {
    let answer = reqwest::get(format!("http://{address}/health/ready")).await.expect("an answer");
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON"))
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_says_that_the_disk_is_full() {
    let address = free_address().expect("an address").to_string();
    let variables = [("SEALWRIGHT__SERVER__OPERATIONS", address.as_str())];
    let test = TestWorld::start_with(Database::Sqlite, &variables, "any-blank = true").await;
    assert_eq!(ready(&address).await.0, 200);
    let full = Fault { call: "pwrite64", error: "ENOSPC", when: "1+", path: None };
    let strace = Strace::attach(test.world.portal_id(), full, &test.path("strace")).await;
    let (status, parts) = ready(&address).await;
    assert_eq!((status, &parts["database"], &parts["writable"]), (503, &json!(true), &json!(false)), "{parts}");
    strace.detach();
    let (status, parts) = ready(&address).await;
    assert_eq!((status, &parts["writable"], &parts["clock"]), (200, &json!(true), &json!(true)), "{parts}");
}

/// All processes of the server stand still, and its connections stay open.
#[tokio::test(flavor = "multi_thread")]
async fn readiness_says_that_the_database_is_silent() {
    let address = free_address().expect("an address").to_string();
    let variables = [("SEALWRIGHT__SERVER__OPERATIONS", address.as_str())];
    let test = TestWorld::start_with(Database::OwnPostgres, &variables, "any-blank = true").await;
    assert_eq!(ready(&address).await.0, 200);
    let server = test.database_process().expect("a server");
    let children = run("pgrep", &["--parent", &server.to_string()], &[]);
    let processes: Vec<u32> = children.lines().map(|line| line.parse().expect("a number")).chain([server]).collect();
    for process in &processes {
        stop(*process).await;
    }
    let (status, parts) = ready(&address).await;
    processes.iter().for_each(|process| go_on(*process));
    assert_eq!((status, &parts["database"], &parts["key"]), (503, &json!(false), &json!(true)), "{parts}");
    assert_eq!(ready(&address).await.0, 200);
}

/// A cache asks again after a minute, and is told in a word that nothing has changed (RFC 9110 section 13.1.2): the list that the portal signs, and
/// one that is signed elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn lists_are_known_by_their_tag_and_fresh_for_a_minute() {
    let test = TestWorld::start(Database::Sqlite).await;
    let client = reqwest::Client::new();
    let get = async |list: &str, tag: Option<&str>| {
        let request = client.get(format!("{}/pki/crl/{list}.crl", test.world.public_url));
        let request = tag.into_iter().fold(request, |request, tag| request.header("if-none-match", tag));
        request.send().await.expect("an answer")
    };
    test.list_number("list.crl").await;
    for list in ["issuing", "root"] {
        let answer = get(list, None).await;
        let header = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
        assert_eq!((answer.status().as_u16(), header("cache-control")), (200, "public, max-age=60".to_owned()));
        let tag = header("etag");
        for known in [tag.as_str(), "*", &format!("\"other\", {tag}"), &format!("W/{tag}")] {
            let answer = get(list, Some(known)).await;
            let said = answer.headers()["etag"].to_str().expect("text").to_owned();
            assert_eq!((answer.status().as_u16(), &said), (304, &tag), "{known}");
            assert!(answer.bytes().await.expect("nothing").is_empty());
        }
        assert_eq!(get(list, Some("\"other\"")).await.status(), 200);
    }
}

/// Whatever the umask of whoever starts the portal.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_the_portal_makes_are_its_own() {
    let test = TestWorld::start(Database::Sqlite).await;
    test.alice().await;
    for file in ["sealwright.db", "sealwright.db-wal", "audit-heads"] {
        let path = test.world.folder.join(file);
        // The first head is exported within a second.
        while !path.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let made = std::fs::metadata(&path).expect("a file");
        assert_eq!(made.permissions().mode() & 0o777, 0o600, "{file}");
    }
}

async fn health_and_metrics_tell_what_happens(database: Database) {
    let address = free_address().expect("an address").to_string();
    let variables = [("SEALWRIGHT__SERVER__OPERATIONS", address.as_str())];
    let test = TestWorld::start_with(database, &variables, "any-blank = true").await;
    let get = async |path: &str| {
        let answer = reqwest::get(format!("http://{address}{path}")).await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a body"))
    };
    assert_eq!(get("/health/live").await, (200, "live\n".to_owned()));
    let (status, ready) = get("/health/ready").await;
    let ready: Value = serde_json::from_str(&ready).expect("JSON");
    assert_eq!((status, &ready["database"], &ready["key"]), (200, &json!(true), &json!(true)));
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    ended(&mut begun).await;
    let (_, metrics) = get("/metrics").await;
    for line in [
        "sealwright_instances_ended_total{workflow=\"personalize\",outcome=\"success\"} 1",
        "sealwright_instances_ended_total{workflow=\"certify-slot\",outcome=\"success\"} 2",
        "sealwright_activity_seconds_count{activity=\"pki.sign\",outcome=\"signed\"} 2",
        "sealwright_instances_open{status=\"stuck\"} 0",
        "sealwright_authority_key_online{authority=\"issuing\"} 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is missing:\n{metrics}");
    }
    for authority in ["issuing", "root"] {
        let line = format!("sealwright_authority_valid_seconds{{authority=\"{authority}\"}} ");
        let left = metrics.lines().find_map(|found| found.strip_prefix(&line)).expect("a figure");
        assert!(left.parse::<f64>().expect("a number") > 9.0 * 365.0 * 86_400.0, "{line}{left}");
    }
    // Nothing that somebody typed is in it, and none of it is on the other surfaces.
    assert!(!metrics.contains("alice") && !metrics.contains(&begun.instance), "{metrics}");
    for other in [&test.world.public_url, &test.world.agent_url] {
        assert_eq!(reqwest::get(format!("{other}/metrics")).await.expect("an answer").status(), 404);
    }
    let signed = reqwest::Client::new().get(format!("http://{address}/metrics")).header("X-Remote-User", "alice");
    assert_eq!(signed.send().await.expect("an answer").status(), 403);
}

fn sealwright(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_sealwright");
    std::process::Command::new(program).args(arguments).output().expect("the program")
}

/// What it says when it fails.
fn refusal(arguments: &[&str]) -> String {
    let output = sealwright(arguments);
    assert!(!output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn done(arguments: &[&str]) -> String {
    let output = sealwright(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs SQL as somebody with the database would.
fn sql(test: &TestWorld, on_sqlite: &str, on_postgres: &str) {
    match test.database_url() {
        Some(url) => drop(run("psql", &[url, "--quiet", "--command", on_postgres], &[])),
        None => sqlite(&test.world.folder.join("sealwright.db"), on_sqlite),
    }
}

/// The audit takes no record any more: nothing that would have one happens, and who asks is told that it did not.
async fn what_cannot_be_recorded_is_not_done(database: Database) {
    let test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let carl = Client::sign_in(&test, "carl", "ca-operator").await;
    let path = format!("/api/v1/instances/{}", begun.instance);
    let waiting = carl.until(&path, |view| view["state"] == "insert-card").await;
    let open = carl.get("/api/v1/instances").await.1["instances"].as_array().expect("a list").len();
    let list = test.list_number("before.crl").await;
    sql(
        &test,
        "CREATE TRIGGER refuse BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no record'); END",
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no record'; END $$; \
         CREATE TRIGGER refuse BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION refuse()",
    );
    // Nobody is given a role, nothing is started, and nothing is decided.
    let refused = journey::sign_in(&test.world, "bob", "user").await.err().expect("refused").to_string();
    assert!(refused.contains("500"), "{refused}");
    let (status, problem) = carl.post("/api/v1/instances", "{\"workflow\":\"issue-crl\"}").await;
    assert_eq!(status, 500, "{problem}");
    let cancel = json!({ "step": waiting["step"] }).to_string();
    assert_eq!(carl.post(&format!("{path}/actions/cancel"), &cancel).await.0, 500);
    // Somebody who is refused is refused all the same.
    let refused = reqwest::get(format!("http://{}/role", test.world.pages)).await.expect("an answer");
    assert_eq!(refused.status(), 500);
    assert!(!refused.text().await.expect("a body").contains("Choose your role"));
    assert_eq!(carl.get(&path).await.1["step"], waiting["step"]);
    assert_eq!(carl.get("/api/v1/instances").await.1["instances"].as_array().expect("a list").len(), open);
    assert_eq!(test.list_number("after.crl").await, list);
    sql(&test, "DROP TRIGGER refuse", "DROP TRIGGER refuse ON audit");
    // As soon as there are records again, everything goes on.
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    assert_personalized(&test, &mut begun).await;
}

/// The database is lost.
fn lose(test: &TestWorld) {
    match test.database_url() {
        Some(url) => {
            run("psql", &[url, "--quiet", "--command", "DROP SCHEMA public CASCADE; CREATE SCHEMA public"], &[]);
        }
        None => {
            for end in ["", "-wal", "-shm"] {
                drop(std::fs::remove_file(test.world.folder.join(format!("sealwright.db{end}"))));
            }
        }
    }
}

pub async fn revoke(by: &Client, certificate: &Value) {
    let data = json!({ "certificate": certificate["id"], "reason": "key-compromise" });
    let body = json!({ "workflow": "revoke-certificate", "data": data });
    let (status, started) = by.post("/api/v1/instances", &body.to_string()).await;
    assert_eq!(status, 201, "{started}");
    let path = format!("/api/v1/instances/{}", started["id"].as_str().expect("an id"));
    by.until(&path, |view| view["status"] == "success").await;
}

pub async fn certificates_of(by: &Client) -> Vec<Value> {
    by.get("/api/v1/certificates").await.1["certificates"].as_array().expect("a list").clone()
}

async fn a_backup_brings_everything_back_and_revocations_stay(database: Database) {
    let mut test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    ended(&mut begun).await;
    let config = test.world.folder.join("sealwright.toml").display().to_string();
    let (backup, last) = (test.path("backup"), test.path("last.crl"));
    let folder = backup.display().to_string();
    let said = done(&["backup", "--config", &config, "--to", &folder]);
    assert!(said.contains("needed with it: the sealing key"), "{said}");
    assert!(refusal(&["backup", "--config", &config, "--to", &folder]).contains("must be a new folder"));
    // After the backup: a certificate is revoked, and another card is made.
    let alice = Client::sign_in(&test, "alice", "user").await;
    let before = certificates_of(&alice).await;
    revoke(&alice, &before[0]).await;
    let number = test.list_number("last.crl").await;
    // Not onto what is there, not with other keys, not when it was changed.
    let restore = ["restore", "--config", &config, "--from", &folder];
    assert!(refusal(&restore).contains("restored into an empty one"));
    test.world.kill_portal().await.expect("killed");
    lose(&test);
    let key = test.world.folder.join("sealing-key");
    let kept = std::fs::read(&key).expect("a key");
    std::fs::write(&key, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n").expect("written");
    assert!(refusal(&restore).contains("the sealing key is another one"));
    std::fs::write(&key, kept).expect("written");
    let copy = std::fs::read(backup.join("database")).expect("a copy");
    std::fs::write(backup.join("database"), [copy.as_slice(), b"x"].concat()).expect("written");
    assert!(refusal(&restore).contains("was changed since the backup"));
    std::fs::write(backup.join("database"), copy).expect("written");
    let garbage = test.world.folder.join("sealwright.toml").display().to_string();
    assert!(!refusal(&[&restore[..], &["--revocation-list", &garbage]].concat()).is_empty());
    let said = done(&[&restore[..], &["--revocation-list", last.to_str().expect("a path")]].concat());
    assert!(said.contains("1 certificates were revoked since"), "{said}");
    if test.database_url().is_none() {
        let made = std::fs::metadata(test.world.folder.join("sealwright.db")).expect("a database");
        assert_eq!(made.permissions().mode() & 0o777, 0o600);
    }
    test.world.restart_portal(&[]).await.expect("restarted");
    // The session of before is over; what it knew is there, and what was revoked stays so.
    assert_ne!(alice.get("/api/v1/certificates").await.0, 200);
    let alice = Client::sign_in(&test, "alice", "user").await;
    let after = certificates_of(&alice).await;
    assert_eq!((after.len(), &after[0]["status"], &after[1]["status"]), (2, &json!("revoked"), &json!("issued")));
    assert_eq!(test.list_number("same.crl").await, number);
    revoke(&alice, &after[1]).await;
    assert!(test.list_number("next.crl").await > number);
    let verified = done(&["audit", "verify", "--config", &config]);
    assert!(verified.contains("the audit chain is whole"), "{verified}");
    assert_eq!(test.audited("restored").await.len(), 1);
    // Without the last list no older one is shown in its place: a new one is made, with a number that rises.
    let next = test.list_number("next.crl").await;
    test.world.kill_portal().await.expect("killed");
    lose(&test);
    assert!(done(&restore).contains("Without --revocation-list"));
    test.world.restart_portal(&[]).await.expect("restarted");
    let url = format!("{}/pki/crl/issuing.crl", test.world.public_url);
    let mut tries = 0;
    while reqwest::get(&url).await.expect("an answer").status() == 503 {
        tries += 1;
        assert!(tries < 600, "no new list is made");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(test.list_number("anew.crl").await > next);
}

/// From the next start on another authority issues people's certificates, `next`, with its key in a file.
pub fn issue_by_another(test: &TestWorld) {
    let here = test.world.folder.join("next").display().to_string();
    let passphrase = test.path("passphrase").display().to_string();
    std::fs::write(&passphrase, "of the next authority\n").expect("written");
    let url = &test.world.public_url;
    done(&["ca", "init", "--passphrase-file", &passphrase, "--public-url", url, "--directory", &here]);
    let config = test.world.folder.join("sealwright.toml");
    let text = std::fs::read_to_string(&config).expect("a configuration");
    let text = text.replace("issuing-authority = \"issuing\"", "issuing-authority = \"next\"");
    let section = format!(
        "[authorities.next]\ncertificate = \"{here}/issuing.pem\"\nkey = \"{here}/issuing.key\"\npassphrase-file = \"{passphrase}\"\n"
    );
    std::fs::write(&config, text.replace("[audit]", &format!("{section}\n[audit]"))).expect("written");
}

/// Another authority issues from now on; what the first one has issued is revoked in the first one's list, which is still renewed.
async fn an_authority_that_issues_nothing_any_more_keeps_its_list(database: Database) {
    let mut test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    ended(&mut begun).await;
    let before = test.list_number("before.crl").await;
    test.world.kill_portal().await.expect("killed");
    issue_by_another(&test);
    // Nothing that is there is made anew, least of all a list that relying parties read.
    let ca = test.world.folder.join("ca").display().to_string();
    let list = std::fs::read(format!("{ca}/root.crl")).expect("a list");
    let passphrase = test.path("passphrase").display().to_string();
    let init = ["ca", "init", "--passphrase-file", &passphrase, "--public-url", &test.world.public_url];
    assert!(refusal(&[&init[..], &["--directory", &ca]].concat()).contains("is there already"));
    assert_eq!(std::fs::read(format!("{ca}/root.crl")).expect("a list"), list);
    test.world.restart_portal(&[]).await.expect("restarted");
    let config = test.world.folder.join("sealwright.toml").display().to_string();
    let backup = test.path("backup").display().to_string();
    done(&["backup", "--config", &config, "--to", &backup]);
    let alice = Client::sign_in(&test, "alice", "user").await;
    revoke(&alice, &certificates_of(&alice).await[0]).await;
    assert!(test.list_number("after.crl").await > before);
    let text = run(
        "openssl",
        &["crl", "-inform", "DER", "-noout", "-text", "-in", test.path("after.crl").to_str().expect("a path")],
        &[],
    );
    assert_eq!(text.matches("Serial Number:").count(), 1, "{text}");
    let next = reqwest::get(format!("{}/pki/crl/next.crl", test.world.public_url)).await.expect("an answer");
    assert_eq!(next.status(), 200);
    std::fs::write(test.path("next.crl"), next.bytes().await.expect("a list")).expect("written");
    // Each authority's last list is taken after a loss; whose is not given is named, and a key for the audit that is not there before anything is made.
    test.world.kill_portal().await.expect("killed");
    lose(&test);
    let list = |file: &str| ["--revocation-list".to_owned(), test.path(file).display().to_string()];
    let (next, after) = (list("next.crl"), list("after.crl"));
    let [by_next, by_first] = [&next, &after].map(|list| [list[0].as_str(), list[1].as_str()]);
    let restore = ["restore", "--config", &config, "--from", &backup];
    let key = test.world.folder.join("audit-key.pem");
    std::fs::rename(&key, test.path("kept-key.pem")).expect("moved");
    assert!(refusal(&restore).contains("audit-key.pem"));
    std::fs::rename(test.path("kept-key.pem"), &key).expect("moved");
    let said = done(&[&restore[..], &by_next].concat());
    assert!(said.contains("revocations by `issuing` since") && !said.contains("by `next`"), "{said}");
    lose(&test);
    let said = done(&[&restore[..], &by_next, &by_first].concat());
    assert!(said.contains("1 certificates were revoked since") && !said.contains("Without"), "{said}");
    test.world.restart_portal(&[]).await.expect("restarted");
    let alice = Client::sign_in(&test, "alice", "user").await;
    assert_eq!(certificates_of(&alice).await[0]["status"], "revoked");
}

/// Once a year, where the root's key is.
#[test]
fn the_roots_list_is_signed_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let [ca, list, root, passphrase, wrong] = ["ca", "ca/root.crl", "ca/root.pem", "passphrase", "wrong"].map(file);
    std::fs::write(&passphrase, "of both authorities\n").expect("written");
    std::fs::write(&wrong, "of somebody else's\n").expect("written");
    let url = "http://pki.example.test";
    done(&["ca", "init", "--passphrase-file", &passphrase, "--public-url", url, "--directory", &ca]);
    std::fs::remove_file(&list).expect("removed");
    assert!(!refusal(&["ca", "root-crl", "--directory", &ca, "--passphrase-file", &wrong]).is_empty());
    assert!(!Path::new(&list).exists());
    done(&["ca", "root-crl", "--directory", &ca, "--passphrase-file", &passphrase]);
    let said = run("openssl", &["crl", "-inform", "DER", "-noout", "-CAfile", &root, "-in", &list], &[]);
    assert!(said.contains("verify OK"), "{said}");
    lint_lists([Path::new(&list)]);
}

/// RFC 5280 section 3.3: until a list that is made after its end has named it.
async fn what_was_revoked_is_on_a_list_still_after_it_has_expired(database: Database) {
    let test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    ended(&mut begun).await;
    let alice = Client::sign_in(&test, "alice", "user").await;
    revoke(&alice, &certificates_of(&alice).await[0]).await;
    let carl = Client::sign_in(&test, "carl", "ca-operator").await;
    for (days, listed) in [(1, 1), (8, 0)] {
        let ended_at = SystemClock.now_ms() - days * 86_400_000;
        let expire = format!("UPDATE certificate SET not_after = {ended_at} WHERE status = 'revoked'");
        sql(&test, &expire, &expire);
        let (status, started) = carl.post("/api/v1/instances", "{\"workflow\":\"issue-crl\"}").await;
        assert_eq!(status, 201, "{started}");
        let path = format!("/api/v1/instances/{}", started["id"].as_str().expect("an id"));
        carl.until(&path, |view| view["status"] == "success").await;
        test.list_number("list.crl").await;
        let list = test.path("list.crl").display().to_string();
        let text = run("openssl", &["crl", "-inform", "DER", "-noout", "-text", "-in", &list], &[]);
        assert_eq!(text.matches("Serial Number:").count(), listed, "{days} days: {text}");
    }
}

/// What it revokes stays revoked, and its number rises, also where the clock has stood still.
#[test]
fn the_roots_list_goes_on_from_the_last_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (here, passphrase, list) = (file("ca"), file("passphrase"), file("ca/root.crl"));
    std::fs::write(&passphrase, "of the root and below\n").expect("written");
    let own = ["--directory", &here, "--passphrase-file", &passphrase];
    done(&[&["ca", "init", "--public-url", "http://pki.example.test"][..], &own].concat());
    let said = |asked: &str| run("openssl", &["crl", "-inform", "DER", "-noout", asked, "-in", &list], &[]);
    let number = || {
        let said = said("-crlnumber");
        let number = said.trim().trim_start_matches("crlNumber=").trim_start_matches("0x");
        i64::from_str_radix(number, 16).expect("a number")
    };
    let again = [&["ca", "root-crl"][..], &own].concat();
    let first = number();
    done(&[&again[..], &["--revoke", &file("ca/issuing.pem"), "--reason", "ca-compromise"]].concat());
    let second = number();
    assert!(second > first && said("-text").contains("CA Compromise"), "{}", said("-text"));
    let signed = std::process::Command::new(env!("CARGO_BIN_EXE_sealwright")).args(&again).envs(later("-30d")).output();
    assert!(signed.expect("the program").status.success());
    assert!(number() > second);
    assert!(said("-text").contains("CA Compromise"), "{}", said("-text"));
    // Of others, and of itself, it says nothing; and what is no list of its own is not replaced.
    for other in [file("ca/root.pem"), self_signed(folder.path(), "other", "/CN=Issuing Authority")] {
        assert!(refusal(&[&again[..], &["--revoke", &other]].concat()).contains("not one that the root has signed"));
    }
    std::fs::write(&list, "garbage").expect("written");
    assert!(refusal(&again).contains("is no list of this root"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_elsewhere_is_talked_to_over_tls_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    certificates(folder.path());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let options = [
        "fsync=off".to_owned(),
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", file("server.pem")),
        format!("ssl_key_file={}", file("server.key")),
    ];
    let owner = if nix::unistd::geteuid().is_root() { "root:postgres" } else { "" };
    run("chown", &[owner, &file("server.key")], &[]);
    run("chmod", &["640", &file("server.key")], &[]);
    let server = Postgres::start_with(folder.path(), &options, "hostssl").await;
    let url = |ca: &str| format!("{}?sslmode=verify-full&sslrootcert={}", server.url, file(ca));
    assert!(Store::open(&url("ca.pem"), "default").await.is_ok());
    assert!(Store::open(&url("other-ca.pem"), "default").await.is_err());
    assert!(Store::open(&format!("{}?sslmode=disable", server.url), "default").await.is_err());
    // Of a server on another machine nothing less is good enough; nothing is sent to find that out.
    for mode in ["", "?sslmode=require", "?sslmode=prefer"] {
        let opened =
            Store::open(&format!("postgres://sealwright@database.example.test/postgres{mode}"), "default").await;
        assert!(matches!(opened, Err(StoreError::Plain)), "{mode}");
    }
}
