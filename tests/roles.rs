//! Who has a role, and what becomes of rights when it is left.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::on_both_databases;
use crate::support::client::Client;
use crate::support::{Database, TestWorld, variables};

on_both_databases! {
    a_right_is_looked_at_also_when_the_action_is_possible,
    a_role_that_was_left_gives_no_rights,
    a_program_says_who_has_a_role,
    a_program_that_hangs_holds_up_its_own_role_alone,
}

/// At the step that is asked, with the action that there is: by everybody else first, then by the owner.
async fn a_right_is_looked_at_also_when_the_action_is_possible(database: Database) {
    let test = TestWorld::start(database).await;
    let begun = test.alice().await;
    let alice = Client::sign_in(&test, "alice", "user").await;
    let path = format!("/api/v1/instances/{}", begun.instance);
    let view = alice.until(&path, |view| view["state"] == "insert-card").await;
    let (cancel, step) = (format!("{path}/actions/cancel"), json!({ "step": view["step"] }).to_string());
    let (page, form) = (format!("/instances/{}/act", begun.instance), format!("step={}&action=cancel", view["step"]));
    for (login, role, expected) in [("bob", "user", 404), ("rita", "ra-operator", 403), ("carl", "auditor", 403)] {
        let other = Client::sign_in(&test, login, role).await;
        assert_eq!(other.post(&cancel, &step).await.0, expected, "{login} as {role}");
        assert_eq!(other.submit(&page, &form).await, expected, "{login} as {role}");
        for verb in ["claim", "release", "resume"] {
            let status = other.post(&format!("{path}/actions/{verb}"), &step).await.0;
            assert_eq!(status, expected, "{verb} by {login} as {role}");
        }
        assert_eq!(alice.get(&path).await.1["status"], "running", "{login} as {role}");
    }
    assert_eq!(alice.post(&cancel, &step).await.0, 200);
    assert_ne!(alice.get(&path).await.1["status"], "running");
}

/// Who goes on in another role has the rights of that one alone, in the same session.
async fn a_role_that_was_left_gives_no_rights(database: Database) {
    let test = TestWorld::start(database).await;
    let carl = Client::sign_in(&test, "carl", "ca-operator").await;
    let start = async || carl.post("/api/v1/instances", "{\"workflow\":\"issue-crl\"}").await.0;
    for (role, expected) in [("auditor", 403), ("ca-operator", 201), ("user", 403)] {
        carl.pick(role).await;
        assert_eq!(start().await, expected, "{role}");
        assert_eq!(carl.get("/api/v1/session").await.1["role"], role);
    }
}

/// Has a program say who has a role, by these lines of shell.
fn is_said_by(test: &TestWorld, role: &str, lines: &str) {
    let program = test.path(role);
    std::fs::write(&program, format!("#!/bin/sh\n{lines}\n")).expect("written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    let path = test.world.folder.join("sealwright.toml");
    let text = std::fs::read_to_string(&path).expect("the configuration");
    let (before, after) = text.split_once(&format!("[roles.{role}]\n")).expect("the role");
    let (_, after) = after.split_once("\n\n").expect("the next section");
    let section = format!("handler = \"command\"\nprogram = \"{}\"", program.display());
    std::fs::write(&path, format!("{before}[roles.{role}]\n{section}\n\n{after}")).expect("written");
}

/// Whoever has left the CA operators loses the role, also while nobody can be told of the auditors.
async fn a_program_that_hangs_holds_up_its_own_role_alone(database: Database) {
    let mut test = TestWorld::start(database).await;
    test.world.kill_portal().await.expect("killed");
    is_said_by(&test, "auditor", "[ ! -e \"$0.hangs\" ] || exec sleep 600");
    is_said_by(&test, "ca-operator", "[ ! -e \"$0.left\" ]");
    let each_time = [("SEALWRIGHT__SIGN_IN__ROLE_CHECK_MINUTES", "0")];
    test.world.restart_portal(&variables(&each_time)).await.expect("restarted");
    let rita = Client::sign_in(&test, "rita", "auditor").await;
    let carl = Client::sign_in(&test, "carl", "ca-operator").await;
    for file in ["auditor.hangs", "ca-operator.left"] {
        std::fs::write(test.path(file), "").expect("written");
    }
    assert_eq!(rita.get("/api/v1/session").await.1["role"], "auditor");
    assert_eq!(carl.get("/api/v1/session").await.1["role"], serde_json::Value::Null);
}

/// The original's way: a program of the operator's own says who has a role, by its exit status.
async fn a_program_says_who_has_a_role(database: Database) {
    let mut test = TestWorld::start(database).await;
    test.world.kill_portal().await.expect("killed");
    let script = "[ $# = 1 ] || exit 2\ncase $1 in\nrita) exit 0 ;;\nbob) exec sleep 600 ;;\nesac\nexit 1";
    is_said_by(&test, "auditor", script);
    test.world.restart_portal(&[]).await.expect("restarted");
    // carl was an auditor by his group, which nobody asks any more; of bob nothing is said in time.
    for (login, expected) in [("rita", 303), ("carl", 403), ("bob", 503), ("rita", 303)] {
        let person = Client::sign_in(&test, login, "user").await;
        assert_eq!(person.submit("/role", "role=auditor&to=/").await, expected, "{login}");
        let role = if expected == 303 { "auditor" } else { "user" };
        assert_eq!(person.get("/api/v1/session").await.1["role"], role, "{login}");
    }
}
