//! The matrix of SECURITY.md: every page and verb for every role, cell by cell.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use reqwest::Method;
use sealwright::commands::demo::ports::free_address;

use crate::api_programs::account;
use crate::on_both_databases;
use crate::support::client::Client;
use crate::support::{Database, TestWorld};

on_both_databases! {
    the_matrix_of_roles_is_true,
    the_matrix_of_programs_is_true,
    the_matrix_of_surfaces_is_true,
    a_right_is_looked_at_also_when_the_action_is_possible,
    a_role_that_was_left_gives_no_rights,
    a_program_says_who_has_a_role,
}

/// A line of the matrix: a request, and the status that each column gets.
struct Line {
    method: Method,
    path: String,
    cells: Vec<u16>,
}

/// Columns of the matrix, the first one without a sign-in: person and role.
const COLUMNS: [(&str, &str); 5] =
    [("alice", "user"), ("bob", "user"), ("rita", "ra-operator"), ("carl", "ca-operator"), ("carl", "auditor")];

/// The matrix whose first column has this heading, with so many others.
fn matrix(heading: &str, columns: usize) -> Vec<Line> {
    let security = include_str!("../SECURITY.md");
    let heading = format!("| {heading} |");
    let lines = security.lines().skip_while(|line| !line.starts_with(&heading)).skip(2);
    let lines = lines.take_while(|line| line.starts_with('|')).map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let request = cells.next().expect("a request").trim_matches('`');
        let (method, path) = request.split_once(' ').expect("a method and a path");
        let cells: Vec<u16> = cells.map(|cell| cell.parse().expect("a status")).collect();
        assert_eq!(cells.len(), columns, "{line}");
        Line { method: method.parse().expect("a method"), path: path.to_owned(), cells }
    });
    lines.collect()
}

/// What a form or a call says, with a token.
fn with_body(request: reqwest::RequestBuilder, path: &str, csrf: &str) -> reqwest::RequestBuilder {
    if path.starts_with("/api/") {
        let body = if path == "/api/v1/instances" { "{\"workflow\":\"issue-crl\"}" } else { "{\"step\":0}" };
        return request.header("X-CSRF-Token", csrf).header("content-type", "application/json").body(body);
    }
    let form = BTreeMap::from([("csrf", csrf), ("step", "0"), ("action", "stop"), ("role", "user")]);
    let form: Vec<String> = form.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    request.header("content-type", "application/x-www-form-urlencoded").body(form.join("&"))
}

/// The token of somebody else's session.
fn other_token<'a>(people: &'a [Client], person: &Client) -> &'a str {
    people.iter().map(Client::csrf).find(|token| *token != person.csrf()).expect("somebody else")
}

/// At the step that is asked, with the action that there is: by everybody else first, then by the owner.
async fn a_right_is_looked_at_also_when_the_action_is_possible(database: Database) {
    let test = TestWorld::start(database).await;
    let begun = test.alice().await;
    let alice = Client::sign_in(&test, "alice", "user").await;
    let path = format!("/api/v1/instances/{}", begun.instance);
    let view = alice.until(&path, |view| view["state"] == "insert-card").await;
    let (cancel, step) = (format!("{path}/actions/cancel"), serde_json::json!({ "step": view["step"] }).to_string());
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

/// The original's way: a program of the operator's own says who has a role, by its exit status.
async fn a_program_says_who_has_a_role(database: Database) {
    let mut test = TestWorld::start(database).await;
    test.world.kill_portal().await.expect("killed");
    let program = test.path("auditors");
    let script = "#!/bin/sh\n[ $# = 1 ] || exit 2\ncase $1 in\nrita) exit 0 ;;\nbob) exec sleep 600 ;;\nesac\nexit 1\n";
    std::fs::write(&program, script).expect("written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    let path = test.world.folder.join("sealwright.toml");
    let text = std::fs::read_to_string(&path).expect("the configuration");
    let (before, after) = text.split_once("[roles.auditor]\n").expect("the role");
    let (_, after) = after.split_once("\n\n").expect("the next section");
    let section = format!("handler = \"command\"\nprogram = \"{}\"", program.display());
    std::fs::write(&path, format!("{before}[roles.auditor]\n{section}\n\n{after}")).expect("written");
    test.world.restart_portal(&[]).await.expect("restarted");
    // carl was an auditor by his group, which nobody asks any more; of bob nothing is said in time.
    for (login, expected) in [("rita", 303), ("carl", 403), ("bob", 503), ("rita", 303)] {
        let person = Client::sign_in(&test, login, "user").await;
        assert_eq!(person.submit("/role", "role=auditor&to=/").await, expected, "{login}");
        let role = if expected == 303 { "auditor" } else { "user" };
        assert_eq!(person.get("/api/v1/session").await.1["role"], role, "{login}");
    }
}

/// Programs have the rights of their role at the agents' address, by their token alone.
async fn the_matrix_of_programs_is_true(database: Database) {
    let test = TestWorld::start(database).await;
    let begun = test.alice().await;
    let roles = ["user", "ra-operator", "ca-operator", "auditor"];
    let tokens = roles.map(|role| Some(account(&test, &["add", role, "--role", role])));
    let matrix = matrix("request of a program", roles.len() + 1);
    assert!(matrix.len() > 12, "{} lines", matrix.len());
    let mut wrong = Vec::new();
    for Line { method, path, cells } in &matrix {
        let path = path.replace("{instance}", &begun.instance);
        let mut found = Vec::new();
        for token in [None].iter().chain(&tokens) {
            let mut request = reqwest::Client::new().request(method.clone(), format!("{}{path}", test.world.agent_url));
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let request = if *method == Method::POST { with_body(request, &path, "none") } else { request };
            found.push(request.send().await.expect("an answer").status().as_u16());
        }
        if found != *cells {
            wrong.push(format!("{method} {path}: found {found:?}, the matrix says {cells:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn the_matrix_of_roles_is_true(database: Database) {
    let test = TestWorld::start(database).await;
    let begun = test.alice().await;
    let mut people = Vec::new();
    for (login, role) in COLUMNS {
        people.push(Client::sign_in(&test, login, role).await);
    }
    let nobody = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let matrix = matrix("request", COLUMNS.len() + 1);
    assert!(matrix.len() > 25, "{} lines", matrix.len());
    let mut wrong = Vec::new();
    for Line { method, path, cells } in &matrix {
        // The instance is alice's; what it asks is not offered now, so that no cell changes the next one.
        let path = path.replace("{instance}", &begun.instance);
        let mut found = Vec::new();
        let status = async |request: reqwest::RequestBuilder, csrf: &str| {
            let request = request.header("X-HTTP-Method-Override", "DELETE");
            let request = if *method == Method::POST { with_body(request, &path, csrf) } else { request };
            request.send().await.expect("an answer").status().as_u16()
        };
        let unsigned = nobody.request(method.clone(), format!("http://{}{path}", test.world.pages));
        found.push(status(unsigned, "none").await);
        for person in &people {
            // Nobody's form is taken without the session's own token.
            if *method == Method::POST {
                let other = status(person.request(method.clone(), &path), other_token(&people, person)).await;
                if other != 403 {
                    wrong.push(format!("{method} {path}: {other} with another session's token"));
                }
            }
            found.push(status(person.request(method.clone(), &path), person.csrf()).await);
        }
        if found != *cells {
            wrong.push(format!("{method} {path}: found {found:?}, the matrix says {cells:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!test.audited("csrf-refused").await.is_empty(), "forms without the session's token are not recorded");
}

/// What each address answers to somebody who has not signed in. A header of the sign-in without the proxy's proof changes nothing at the
/// pages' address, and is refused at the others.
async fn the_matrix_of_surfaces_is_true(database: Database) {
    let operations = free_address().expect("an address").to_string();
    let variables = [("SEALWRIGHT__SERVER__OPERATIONS", operations.as_str())];
    let test = TestWorld::start_with(database, &variables, "any-blank = true").await;
    let (pages, operations) = (format!("http://{}", test.world.pages), format!("http://{operations}"));
    let surfaces = [&pages, &test.world.agent_url, &test.world.public_url, &operations];
    let client = reqwest::Client::new();
    let mut wrong = Vec::new();
    for Line { method, path, cells } in &matrix("request at an address", surfaces.len()) {
        let ask = async |signed: bool| {
            let mut found = Vec::new();
            for base in surfaces {
                let request = client.request(method.clone(), format!("{base}{path}"));
                let mut request = if *method == Method::POST { with_body(request, path, "none") } else { request };
                if signed {
                    request = request.header("X-Remote-User", "carl");
                }
                found.push(request.send().await.expect("an answer").status().as_u16());
            }
            found
        };
        let (found, signed) = (ask(false).await, ask(true).await);
        if found != *cells || signed[0] != cells[0] || signed[1..] != [403; 3] {
            wrong.push(format!("{method} {path}: found {found:?} and {signed:?}, the matrix says {cells:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether a path of a matrix is one of a route; a part of the route in braces is any.
fn is_of_route(path: &str, route: &str) -> bool {
    let (path, route): (Vec<_>, Vec<_>) = (path.split('/').collect(), route.split('/').collect());
    let fits = |(part, wanted): (&&str, &&str)| match (wanted.find('{'), wanted.find('}')) {
        (Some(from), Some(to)) => part.starts_with(&wanted[..from]) && part.ends_with(&wanted[to + 1..]),
        _ => part == wanted,
    };
    path.len() == route.len() && path.iter().zip(&route).all(fits)
}

#[test]
fn every_route_is_in_the_matrix() {
    let roles = || matrix("request", COLUMNS.len() + 1);
    let programs = || matrix("request of a program", COLUMNS.len());
    let surfaces = || matrix("request at an address", 4);
    let files = [
        (include_str!("../src/web/mod.rs"), "", roles()),
        (include_str!("../src/api/v1/mod.rs"), "/api/v1", roles()),
        (include_str!("../src/api/v1/mod.rs"), "/api/v1", programs()),
        (include_str!("../src/api/agent.rs"), "", surfaces()),
        (include_str!("../src/api/public.rs"), "", surfaces()),
        (include_str!("../src/api/operations.rs"), "", surfaces()),
    ];
    let mut missing = Vec::new();
    for (source, prefix, matrix) in files {
        let source = source.replace("sealwright_protocol::PATH", &format!("\"{}\"", sealwright_protocol::PATH));
        let routes: Vec<_> = source.split("route(\"").skip(1).collect();
        assert!(!routes.is_empty());
        for route in routes {
            let (path, rest) = route.split_once('"').expect("a path");
            let handler = rest.split_once("to(").expect("a handler").0;
            let method = if handler.contains("post()") { Method::POST } else { Method::GET };
            let path = format!("{prefix}{path}");
            if !matrix.iter().any(|line| line.method == method && is_of_route(&line.path, &path)) {
                missing.push(format!("{method} {path}"));
            }
        }
    }
    // Each verb of an instance is a route too.
    for verb in ["stop", "cancel", "approve", "reject", "ask-back", "answer", "claim", "release", "resume"] {
        let path = format!("/api/v1/instances/{{instance}}/actions/{verb}");
        for matrix in [roles(), programs()] {
            if !matrix.iter().any(|line| line.path == path) {
                missing.push(path.clone());
            }
        }
    }
    assert!(missing.is_empty(), "not in the matrix: {missing:?}");
}
