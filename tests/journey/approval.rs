//! What RA operators decide: task list, claim, two people, and what an approval is good for.

use sealwright_world::journey::{self, Agent, Begun};
use serde_json::{Value, json};

use super::{assert_personalized, directory};
use crate::on_both_databases;
use crate::support::client::{Client, answer};
use crate::support::slapd::BASE;
use crate::support::{Database, TestWorld, ended, run, shows};

on_both_databases! {
    an_operator_says_yes,
    two_people_say_yes_and_nobody_twice,
    a_yes_and_a_no_at_once_are_one_decision,
    an_operator_says_no,
    an_operator_asks_the_person,
    nobody_decides_on_their_own_request,
    who_has_no_employee_number_decides_on_nothing,
    what_was_approved_is_what_is_signed,
    the_person_stops_while_others_decide,
}

const TASKS: &str = "/api/v1/instances?tasks=true";

/// Alice's personalization, up to the question that waits for an RA operator.
pub async fn asked(test: &TestWorld) -> (Begun, Agent) {
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let mut agent = test.agent(&code);
    agent.until(&mut begun, "Waiting for an RA operator").await.expect("said");
    (begun, agent)
}

/// The agent goes on to its end.
async fn finished(mut agent: Agent) -> bool {
    while agent.line().await.expect("a line").is_some() {}
    agent.end().await.expect("an end").success()
}

/// The oldest question of an operator's list, whole.
pub async fn task(operator: &Client) -> Value {
    let (status, tasks) = operator.get(TASKS).await;
    assert_eq!(status, 200, "{tasks}");
    let id = tasks["instances"][0]["id"].as_str().unwrap_or_else(|| panic!("no task: {tasks}")).to_owned();
    let (status, view) = operator.get(&format!("/api/v1/instances/{id}")).await;
    assert_eq!(status, 200, "{view}");
    view["questions"][0].clone()
}

pub async fn take(person: &Client, question: &Value, action: &str, fields: Value) -> (u16, Value) {
    let path = format!("/api/v1/instances/{}/actions/{action}", question["instance"].as_str().expect("an id"));
    let body = json!({ "step": question["step"], "fields": fields, "shown": question["shown"] });
    person.post(&path, &body.to_string()).await
}

async fn an_operator_says_yes(database: Database) {
    let test = TestWorld::start_with_approvals(database, 1).await;
    let (mut begun, agent) = asked(&test).await;
    shows(&mut begun, "Waiting for an RA operator").await;
    shows(&mut begun, "You do not need to do anything now").await;
    let rita = Client::sign_in(&test, "rita", "ra-operator").await;
    let ralf = Client::sign_in(&test, "ralf", "ra-operator").await;
    let question = task(&rita).await;
    // Person, card, draft and findings stand there.
    assert_eq!(question["data"]["person"]["employee_number"], "1001");
    assert_eq!(question["data"]["card"]["serial"], "20000001");
    let draft = &question["data"]["draft"];
    assert!(draft["subject"].as_str().is_some_and(|subject| subject.contains("Alice")), "{draft}");
    assert_eq!(draft["alternative_names"], json!(["mail alice@demo.test"]));
    assert_eq!(draft["key_algorithm"], "p-256");
    assert_eq!(question["data"]["findings"], json!([]));
    // Users and CA operators have no such list, and see none of it by guessing.
    let carl = Client::sign_in(&test, "carl", "ca-operator").await;
    let bob = Client::sign_in(&test, "bob", "user").await;
    for other in [&carl, &bob] {
        assert_eq!(other.get(TASKS).await.1["instances"], json!([]));
    }
    assert_eq!(take(&carl, &question, "approve", json!({})).await.0, 403);
    let refused = test.audited("action-refused").await;
    assert_eq!(refused.iter().map(|row| row.actor.as_deref()).collect::<Vec<_>>(), [Some("carl")]);
    assert_eq!(take(&bob, &question, "approve", json!({})).await.0, 404);
    // Whoever claims it keeps the others away until it is freed.
    assert_eq!(take(&rita, &question, "claim", json!({})).await.0, 200);
    assert_eq!(task(&ralf).await["claimed_by"], "rita");
    assert_eq!(take(&ralf, &question, "approve", json!({})).await.0, 409);
    assert_eq!(take(&ralf, &question, "claim", json!({})).await.0, 409);
    assert_eq!(take(&carl, &question, "release", json!({})).await.0, 403);
    assert_eq!(take(&ralf, &question, "release", json!({})).await.0, 200);
    assert_eq!(take(&rita, &question, "claim", json!({})).await.0, 200);
    // Yes to something else than what is shown, or to nothing, is no yes.
    let mut other = question.clone();
    other["shown"] = json!("00");
    assert_eq!(take(&rita, &other, "approve", json!({})).await.0, 409);
    other["shown"] = Value::Null;
    assert_eq!(take(&rita, &other, "approve", json!({})).await.0, 400);
    assert_eq!(take(&rita, &question, "approve", json!({})).await.0, 200);
    assert_eq!(take(&rita, &question, "approve", json!({})).await.0, 409);
    assert!(finished(agent).await);
    assert_personalized(&test, &mut begun).await;
    assert_eq!(rita.get(TASKS).await.1["instances"], json!([]));
    // The record says who, and to what.
    let acted = test.audited("workflow-acted").await;
    let approved: Vec<_> =
        acted.iter().filter(|row| row.detail.as_ref().is_some_and(|detail| detail["action"] == "approve")).collect();
    assert_eq!(approved.len(), 1);
    assert_eq!(approved[0].actor.as_deref(), Some("rita"));
    assert_eq!(approved[0].detail.as_ref().expect("a detail")["shown"], question["shown"]);
}

async fn two_people_say_yes_and_nobody_twice(database: Database) {
    let test = TestWorld::start_with_approvals(database, 2).await;
    let (mut begun, agent) = asked(&test).await;
    let rita = Client::sign_in(&test, "rita", "ra-operator").await;
    let ralf = Client::sign_in(&test, "ralf", "ra-operator").await;
    let question = task(&rita).await;
    assert_eq!(question["approvals"], json!({ "given": 0, "needed": 2 }));
    // At the same moment, twice: one of the two counts.
    let (first, second) =
        tokio::join!(take(&rita, &question, "approve", json!({})), take(&rita, &question, "approve", json!({})));
    let mut statuses = [first.0, second.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{first:?} {second:?}");
    assert_eq!(task(&ralf).await["approvals"], json!({ "given": 1, "needed": 2 }));
    let view = journey::view(&mut begun).await.expect("a view");
    assert!(view.contains("\"status\":\"running\""), "{view}");
    assert_eq!(take(&ralf, &question, "approve", json!({})).await.0, 200);
    assert!(finished(agent).await);
    assert_personalized(&test, &mut begun).await;
}

/// Of a yes and a no at the same moment one counts, and what follows is what that one says.
async fn a_yes_and_a_no_at_once_are_one_decision(database: Database) {
    let test = TestWorld::start_with_approvals(database, 1).await;
    let (mut begun, agent) = asked(&test).await;
    let rita = Client::sign_in(&test, "rita", "ra-operator").await;
    let ralf = Client::sign_in(&test, "ralf", "ra-operator").await;
    let question = task(&rita).await;
    let no = json!({ "reason": "The card is old." });
    let (yes, no) = tokio::join!(take(&rita, &question, "approve", json!({})), take(&ralf, &question, "reject", no));
    let mut statuses = [yes.0, no.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{yes:?} {no:?}");
    assert_eq!(finished(agent).await, yes.0 == 200);
    assert_eq!(ended(&mut begun).await["status"], if yes.0 == 200 { "success" } else { "failure" });
    assert_eq!(test.audited("certificate-issued").await.len(), if yes.0 == 200 { 2 } else { 1 });
}

async fn an_operator_says_no(database: Database) {
    let test = TestWorld::start_with_approvals(database, 2).await;
    let (mut begun, agent) = asked(&test).await;
    let rita = Client::sign_in(&test, "rita", "ra-operator").await;
    let ralf = Client::sign_in(&test, "ralf", "ra-operator").await;
    let question = task(&rita).await;
    assert_eq!(take(&rita, &question, "approve", json!({})).await.0, 200);
    for fields in [json!({}), json!({ "reason": "no" }), json!({ "reason": "x".repeat(501) }), json!({ "reason": 7 })] {
        assert_eq!(take(&ralf, &question, "reject", fields).await.0, 400);
    }
    let reason = "Alice's <b>old</b> card; DROP TABLE card; \u{202e}works";
    assert_eq!(take(&ralf, &question, "reject", json!({ "reason": reason })).await.0, 200);
    assert!(!finished(agent).await);
    assert_eq!(ended(&mut begun).await["status"], "failure");
    // The reason is said as it was written, and does nothing.
    let page = begun.browser.get(&begun.path).await.expect("the page");
    assert!(page.contains("Alice&#39;s &#60;b&#62;old&#60;/b&#62; card; DROP TABLE card"), "{page}");
    assert_eq!(begun.browser.get("/credentials").await.expect("the page").matches(">issued<").count(), 1);
    assert_eq!(ralf.get(TASKS).await.1["instances"], json!([]));
}

/// The person is told of the question where they are: at the agent, which shows no place that is yet to be filled, and on each page.
async fn an_operator_asks_the_person(database: Database) {
    let test = TestWorld::start_with_approvals(database, 1).await;
    let (mut begun, mut agent) = asked(&test).await;
    let rita = Client::sign_in(&test, "rita", "ra-operator").await;
    let question = task(&rita).await;
    assert_eq!(take(&rita, &question, "ask-back", json!({ "question": "Is this your new card?" })).await.0, 200);
    let said = "An RA operator has a question for you. Answer on the page.";
    agent.until(&mut begun, said).await.expect("said");
    shows(&mut begun, "An RA operator asks: Is this your new card?").await;
    // Whoever has closed that page finds it again from the start page.
    let start = begun.browser.get("/").await.expect("the start page");
    let waits = journey::between(&start, "<h2>Waiting for you</h2>", "</section>").unwrap_or_default();
    assert!(waits.contains("An RA operator has a question for you"), "{start}");
    let alice = Client::sign_in(&test, "alice", "user").await;
    let (status, view) = alice.get(&format!("/api/v1/instances/{}", begun.instance)).await;
    assert_eq!(status, 200, "{view}");
    // As long as her browser lets her write: it counts the end of a line as one letter, and sends two.
    let (lines, sent) = ("Yes.\n".repeat(100), "Yes.%0D%0A".repeat(100));
    let asked = &view["questions"][0];
    let form = format!("action=answer&step={}&field_answer={sent}", asked["step"]);
    let path = format!("/instances/{}/act", asked["instance"].as_str().expect("an id"));
    assert_eq!(alice.submit(&path, &form).await, 303);
    let question = task(&rita).await;
    assert_eq!(question["data"]["answer"], lines.as_str());
    assert!(!begun.browser.get("/").await.expect("the start page").contains("Waiting for you"));
    assert_eq!(take(&rita, &question, "approve", json!({})).await.0, 200);
    assert!(finished(agent).await);
    assert_personalized(&test, &mut begun).await;
}

async fn nobody_decides_on_their_own_request(database: Database) {
    let test = TestWorld::start_with_approvals(database, 1).await;
    let (_begun, _agent) = asked(&test).await;
    let rita = Client::sign_in(&test, "rita", "ra-operator").await;
    let question = task(&rita).await;
    // Not as a user, and not by a second account that has the role: the directory knows that both are one.
    let alice = Client::sign_in(&test, "alice", "user").await;
    assert_eq!(take(&alice, &question, "approve", json!({})).await.0, 403);
    assert_eq!(take(&alice, &question, "claim", json!({})).await.0, 403);
    let second = Client::sign_in(&test, "alice-ra", "ra-operator").await;
    for (action, fields) in [("approve", json!({})), ("reject", json!({ "reason": "because" }))] {
        let (status, body) = take(&second, &question, action, fields).await;
        assert_eq!(status, 403, "{body}");
    }
    // A program has no eyes of its own, whatever its role.
    let config = test.world.folder.join("sealwright.toml").display().to_string();
    let account = ["service-account", "add", "robot", "--role", "ra-operator", "--config", &config];
    let token = run(env!("CARGO_BIN_EXE_sealwright"), &account, &[]);
    let path = format!("/api/v1/instances/{}/actions/approve", question["instance"].as_str().expect("an id"));
    let request = reqwest::Client::new().post(format!("{}{path}", test.world.agent_url));
    let request = request.header("authorization", format!("Bearer {}", token.trim()));
    let body = json!({ "step": question["step"], "shown": question["shown"] }).to_string();
    assert_eq!(answer(request.header("content-type", "application/json").body(body)).await.0, 403);
    assert_eq!(task(&rita).await["approvals"], json!({ "given": 0, "needed": 1 }));
}

/// An account without the number of its person might be the requester's second one.
async fn who_has_no_employee_number_decides_on_nothing(database: Database) {
    let (test, slapd, _folder) = directory::start_with_approvals(database, 1).await;
    let (_begun, _agent) = asked(&test).await;
    let rita = Client::sign_in(&test, "rita", "ra-operator").await;
    let question = task(&rita).await;
    let set = |change: &str| slapd.modify(&format!("dn: uid=rita,ou=people,{BASE}\nchangetype: modify\n{change}\n"));
    set("delete: employeeNumber");
    for (action, fields) in [("approve", json!({})), ("reject", json!({ "reason": "because" }))] {
        assert_eq!(take(&rita, &question, action, fields).await.0, 503, "{action}");
    }
    assert_eq!(task(&rita).await["approvals"], json!({ "given": 0, "needed": 1 }));
    // One number in other spellings: both accounts are alice's.
    slapd.modify(&format!(
        "dn: uid=alice,ou=people,{BASE}\nchangetype: modify\nreplace: employeeNumber\nemployeeNumber: E-77\n"
    ));
    for number in ["e-77", "E  77", "\u{415}-77"] {
        set(&format!("replace: employeeNumber\nemployeeNumber:: {}", super::names::encode(number)));
        assert_eq!(take(&rita, &question, "approve", json!({})).await.0, 403, "{number}");
    }
    set("replace: employeeNumber\nemployeeNumber: 21");
    assert_eq!(take(&rita, &question, "approve", json!({})).await.0, 200);
}

/// The directory says something else when the certificate is to be signed, or nothing at all.
async fn what_was_approved_is_what_is_signed(database: Database) {
    let (test, mut slapd, _folder) = directory::start_with_approvals(database, 1).await;
    let (mut begun, agent) = asked(&test).await;
    let rita = Client::sign_in(&test, "rita", "ra-operator").await;
    let question = task(&rita).await;
    slapd.stop();
    // Nobody can tell whether rita and alice are two people.
    assert_eq!(take(&rita, &question, "approve", json!({})).await.0, 503);
    slapd.restart().await;
    let alice = format!("uid=alice,ou=people,{BASE}");
    slapd.modify(&format!("dn: {alice}\nchangetype: modify\nreplace: mail\nmail: alice.new@example.test\n"));
    assert_eq!(take(&rita, &question, "approve", json!({})).await.0, 200);
    // It is asked again, about what it would be now; the first yes does not count for it.
    let again = rita.until(TASKS, |tasks| tasks["instances"][0]["step"].as_u64() > question["step"].as_u64()).await;
    assert_eq!(again["instances"][0]["id"], question["instance"]);
    let question = task(&rita).await;
    assert_eq!(question["data"]["draft"]["alternative_names"], json!(["mail alice.new@example.test"]));
    assert_eq!(question["approvals"], json!({ "given": 0, "needed": 1 }));
    assert_eq!(take(&rita, &question, "approve", json!({})).await.0, 200);
    assert!(finished(agent).await);
    assert_personalized(&test, &mut begun).await;
}

async fn the_person_stops_while_others_decide(database: Database) {
    let test = TestWorld::start_with_approvals(database, 1).await;
    let (mut begun, agent) = asked(&test).await;
    let rita = Client::sign_in(&test, "rita", "ra-operator").await;
    let question = task(&rita).await;
    let page = begun.browser.get(&begun.path).await.expect("the page");
    assert!(page.contains("<summary>Stop this</summary>"), "{page}");
    let step = journey::field(&page, "step").expect("a step");
    let (act, csrf) = (format!("{}/act", begun.path), begun.csrf.clone());
    let stop = [("csrf", csrf.as_str()), ("step", step.as_str()), ("action", "cancel")];
    begun.browser.post(&act, &stop).await.expect("stopped");
    assert_ne!(ended(&mut begun).await["status"], "success");
    assert!(!finished(agent).await);
    // The question is gone with it.
    assert_eq!(take(&rita, &question, "approve", json!({})).await.0, 409);
    assert_eq!(rita.get(TASKS).await.1["instances"], json!([]));
    // A new start makes only what is missing, and asks for that.
    let (mut begun, agent) = asked(&test).await;
    let question = task(&rita).await;
    assert_eq!(take(&rita, &question, "approve", json!({})).await.0, 200);
    assert!(finished(agent).await);
    assert_personalized(&test, &mut begun).await;
}
