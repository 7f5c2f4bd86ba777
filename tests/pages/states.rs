//! A page for every state of every workflow: an instance is put into each by hand.

use std::path::Path;

use sealwright_workflow::definition::{Definition, Kind, Party};
use sealwright_workflow::types::Type;
use serde_json::{Map, Value, json};

use super::{HEADLINE, enter};
use crate::support::webdriver::Chromium;
use crate::support::{Database, TestWorld, run, workflows};

/// The workflows of each test: they take about as long as each other.
const PARTS: [&[&str]; 3] =
    [&["personalize"], &["certify-slot", "issue-certificate"], &["synchronize-people", "settle-departure"]];

/// Every state of a personalization has a page that says where it stands: an instance is put into each by hand, as no card could be.
#[tokio::test(flavor = "multi_thread")]
async fn every_state_of_a_personalization_has_a_page() {
    every_state_has_a_page(Looks::Checked, |name| PARTS[0].contains(&name)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_of_its_parts_has_a_page() {
    every_state_has_a_page(Looks::Checked, |name| PARTS[1].contains(&name)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_of_a_comparison_of_people_has_a_page() {
    every_state_has_a_page(Looks::Checked, |name| PARTS[2].contains(&name)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_of_every_other_workflow_has_a_page() {
    every_state_has_a_page(Looks::Checked, |name| !PARTS.concat().contains(&name)).await;
}

/// The gallery: pictures of all of them, in `var/screenshots`.
mod chaos {
    use super::{Looks, PARTS, every_state_has_a_page};

    #[tokio::test(flavor = "multi_thread")]
    async fn pictures_of_a_personalization() {
        every_state_has_a_page(Looks::Pictured, |name| PARTS[0].contains(&name)).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn pictures_of_its_parts() {
        every_state_has_a_page(Looks::Pictured, |name| PARTS[1].contains(&name)).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn pictures_of_a_comparison_of_people() {
        every_state_has_a_page(Looks::Pictured, |name| PARTS[2].contains(&name)).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn pictures_of_every_other_workflow() {
        every_state_has_a_page(Looks::Pictured, |name| !PARTS.concat().contains(&name)).await;
    }
}

/// How a page is looked at.
#[derive(Clone, Copy, PartialEq)]
enum Looks {
    Checked,
    Pictured,
}

async fn every_state_has_a_page(looks: Looks, is_wanted: impl Fn(&str) -> bool) {
    let test = TestWorld::start(Database::Sqlite).await;
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("var/screenshots");
    let (owner, operator) = (Chromium::start(&test.path("owner")).await, Chromium::start(&test.path("operator")).await);
    enter(&owner, &test, "alice", "user").await;
    enter(&operator, &test, "carl", "ca-operator").await;
    let base = format!("http://{}", test.world.proxy);
    owner.open(&format!("{base}/token")).await;
    owner.click("main button").await;
    owner.until("return document.querySelector('.code') !== null").await;
    let instance = owner.run("return location.pathname").await;
    let library = workflows();
    let database = test.world.folder.join("sealwright.db").display().to_string();
    for definition in library.all().filter(|definition| is_wanted(&definition.name.text)) {
        let workflow = &definition.name.text;
        let chromium = if definition.see.contains(&Party::Owner) { &owner } else { &operator };
        let data: Map<String, Value> =
            definition.data.iter().map(|(name, field)| (name.clone(), sample(field.field_type.required()))).collect();
        for (name, status, waiting, say) in states_of(definition) {
            let version = definition.version.to_string();
            let values = [workflow, &version, &name, status, &waiting.to_string(), &say, &json!(data).to_string()];
            let values = values.map(str::to_owned);
            let arguments: Vec<&str> =
                ["-c", PUT_INTO_STATE, &database].into_iter().chain(values.iter().map(String::as_str)).collect();
            run("python3", &arguments, &[]);
            chromium.open(&format!("{base}{}?plain=1", instance.as_str().expect("a path"))).await;
            let said = chromium.until(HEADLINE).await;
            assert!(said.as_str().is_some_and(|said| said.len() > 4), "{workflow} {name}: {said}");
            let name = format!("30-{workflow}-{name}-{status}");
            match looks {
                Looks::Checked => chromium.look(&name).await,
                Looks::Pictured => chromium.pictures(&pictures, &name).await,
            }
        }
    }
}

/// The states that an instance can be found in: name, status, what it waits for, and the closing sentence.
fn states_of(definition: &Definition) -> Vec<(String, &'static str, Value, String)> {
    let mut states = Vec::new();
    for state in &definition.states {
        let name = state.name.text.clone();
        let waiting = match &state.kind {
            Kind::Ask(_) => json!("person"),
            Kind::Card(_) => json!("job"),
            Kind::Run(_) | Kind::Fork(_) => json!({ "children": { "arguments": [], "started": 0, "ended": {} } }),
            Kind::Wait(_) => json!("condition"),
            Kind::Do(call) => {
                let stuck = json!({ "operator": { "class": "unavailable" } });
                states.push((name.clone(), "stuck", stuck, String::new()));
                let failing = json!({ "class": "timeout", "since": 1_700_000_000, "next": 1_700_000_060 });
                match &call.retry {
                    Some(_) => json!({ "activity": { "attempts": 7, "failing": failing } }),
                    None => json!({ "activity": { "attempts": 0 } }),
                }
            }
            Kind::End(end) => {
                let say = end.say.clone().unwrap_or_default();
                states.push((name, end.outcome.as_str(), json!("nothing"), say));
                continue;
            }
        };
        states.push((name, "running", waiting, String::new()));
    }
    states
}

/// A value of a type.
fn sample(of: &Type) -> Value {
    match of {
        Type::Text => json!("A text"),
        Type::Integer => json!(2),
        Type::Bool => json!(true),
        Type::Time => json!("2026-01-02T03:04:05Z"),
        Type::List(inner) => json!([sample(inner.required())]),
        Type::Named(name) => match name.as_str() {
            "person" => json!({
                "id": "5a1f0c9e-0001-4000-9000-000000000001", "login": "alice", "name": "Alice", "dn": "uid=alice",
                "mail": "alice@demo.test", "employee_number": "1", "upn": "alice@corp.demo.test",
                "object_sid": "S-1-5-21-1-2-3-4",
            }),
            "card" => json!({
                "id": "01a2060d-eebe-728e-8504-3321ce25f361", "serial": "30000114", "state": "assigned",
                "owner": null, "has_factory_secrets": true,
            }),
            "certificate" => json!({
                "id": "01a2060d-f094-72b8-8caf-48af76f57e4b", "serial": "5e53687364e840162b01c2d11fa17ecb",
                "profile": "smartcard-signature", "subject": "CN=Alice,DC=demo,DC=test",
            }),
            "slot" => {
                json!({ "name": "9c", "title": "Signatures", "algorithm": "p-256", "profile": "smartcard-signature" })
            }
            "slot-name" => json!("9c"),
            "csr" => json!({ "der": "MAA=", "algorithm": "p-256", "signed": true }),
            "draft-certificate" => json!({
                "subject": "CN=Alice,DC=demo,DC=test", "profile": "smartcard-signature", "key_algorithm": "p-256",
                "alternative_names": ["mail alice@demo.test"], "key_usage": ["digital signature"],
                "validity_days": 365, "digest": "0".repeat(64),
            }),
            "planned-certificate" => json!({
                "title": "Signatures", "slot": "9c", "subject": "CN=Alice,DC=demo,DC=test", "profile": "smartcard-signature",
                "alternative_names": ["mail alice@demo.test"], "key_usage": ["digital signature"],
                "key_algorithm": "p-256", "validity_days": 365, "findings": [], "terms": "0".repeat(64),
            }),
            "finding" => json!({ "rule": "duplicate", "message": "the person has a valid certificate already" }),
            "departure" => json!({
                "person": "5a1f0c9e-0001-4000-9000-000000000001", "login": "alice", "kind": "moved",
                "action": "revoke", "reason": "affiliation-changed",
            }),
            "departure-action" => json!("revoke"),
            "reason" => json!("superseded"),
            other => panic!("a new type needs a sample: {other}"),
        },
        Type::Optional(_) | Type::Null => Value::Null,
    }
}

/// Arguments: database, workflow, version, state, status, what it waits for (JSON), closing sentence, data (JSON).
const PUT_INTO_STATE: &str = "
import sqlite3, sys
_, database, workflow, version, state, status, waiting, say, data = sys.argv
c = sqlite3.connect(database, timeout=30)
c.execute('''UPDATE instance SET workflow = ?1, version = ?2, state = ?3, status = ?4, document = json_set(document,
    '$.workflow', ?1, '$.version', CAST(?2 AS INTEGER), '$.state', ?3, '$.status', ?4, '$.waiting', json(?5),
    '$.say', NULLIF(?6, ''), '$.data', json(?7))''', (workflow, version, state, status, waiting, say, data))
c.commit()
";
