//! Tests of `tests/matrices`: the status of every page and verb for every role, cell by cell.

mod requests;
mod table;

use reqwest::{Method, RequestBuilder};
use sealwright_world::ports::free_address;
use serde_json::json;

use crate::api_programs::account;
use crate::journey::approval::{asked, take, task};
use crate::on_both_databases;
use crate::support::client::Client;
use crate::support::{Database, TestWorld, sqlite, workflows};

use requests::{AGENTS, API, OPERATIONS, PAGES, PUBLIC, Request, STARTS, questions, routes, verbs};
use table::{Matrix, Row};

on_both_databases! {
    the_matrix_of_roles_is_true,
    the_matrix_of_what_waits_is_true,
    the_matrix_of_programs_is_true,
    the_matrix_of_surfaces_is_true,
}

/// A signed-in column of a matrix: login and role.
type Column = (&'static str, &'static str);

/// Requests about an instance of alice's, without a sign-in and then by each of [`COLUMNS`].
const ROLES: Matrix =
    Matrix { name: "roles", head: &["request", "nobody", "owner", "user", "RA operator", "CA operator", "auditor"] };

const COLUMNS: [Column; 5] =
    [("alice", "user"), ("bob", "user"), ("rita", "ra-operator"), ("carl", "ca-operator"), ("carl", "auditor")];

/// Requests about an instance of alice's that waits for an RA operator. A service account follows [`DECISION`].
const DECISIONS: Matrix = Matrix {
    name: "decisions",
    head: &[
        "request",
        "nobody",
        "owner",
        "user",
        "RA operator",
        "owner's second account",
        "CA operator",
        "auditor",
        "program",
    ],
};

const DECISION: [Column; 6] = [
    ("alice", "user"),
    ("bob", "user"),
    ("rita", "ra-operator"),
    ("alice-ra", "ra-operator"),
    ("carl", "ca-operator"),
    ("carl", "auditor"),
];

/// Actions of the questions of an instance that ralf has started for alice.
const QUESTIONS: Matrix = Matrix {
    name: "questions",
    head: &[
        "action",
        "nobody",
        "owner",
        "user",
        "requester",
        "RA operator",
        "owner's second account",
        "CA operator",
        "auditor",
    ],
};

const QUESTION: [Column; 7] = [
    ("alice", "user"),
    ("bob", "user"),
    ("ralf", "ra-operator"),
    ("rita", "ra-operator"),
    ("alice-ra", "ra-operator"),
    ("carl", "ca-operator"),
    ("carl", "auditor"),
];

/// Requests at the agents' address, without a token and with that of a service account of each role.
const PROGRAMS: Matrix =
    Matrix { name: "programs", head: &["request", "nobody", "user", "RA operator", "CA operator", "auditor"] };

/// Requests at each address, without a sign-in.
const SURFACES: Matrix = Matrix { name: "surfaces", head: &["request", "pages", "agents", "public", "operations"] };

/// Content of a form or call, apart from the token.
struct Said<'a> {
    /// The step that was looked at.
    step: u64,
    /// A form names the action, and a path that of a call.
    action: &'a str,
    /// The digest of a question. It is sent with a field that no form has, so that no action is carried out: a caller who
    /// may act gets 400.
    shown: Option<&'a str>,
    /// The subject of a revocation's start.
    certificate: Option<&'a str>,
}

/// Content of a request that belongs to no question: its step is over.
const NOTHING: Said<'static> = Said { step: 0, action: "stop", shown: None, certificate: None };

impl Said<'_> {
    /// The request as it is sent.
    fn put_into(&self, builder: RequestBuilder, request: &Request, csrf: &str) -> RequestBuilder {
        if request.path.starts_with("/api/") {
            let body = match (&request.workflow, self.certificate, self.shown) {
                (Some(workflow), Some(certificate), _) if workflow == "revoke-certificate" => {
                    json!({ "workflow": workflow, "data": { "certificate": certificate, "reason": "superseded" } })
                }
                (Some(workflow), _, _) => json!({ "workflow": workflow }),
                (None, _, Some(shown)) => json!({ "step": self.step, "shown": shown, "fields": { "unasked": "x" } }),
                (None, _, None) => json!({ "step": self.step }),
            };
            let builder = builder.header("X-CSRF-Token", csrf).header("content-type", "application/json");
            return builder.body(body.to_string());
        }
        let mut form = format!("csrf={csrf}&step={}&action={}&role=user", self.step, self.action);
        // A start has a form of its own, and what no form asks for is refused before the subject is looked up.
        if let Some(shown) = self.shown.filter(|_| !request.path.starts_with("/start/")) {
            form += &format!("&shown={shown}&field_unasked=x");
        }
        if let Some(certificate) = self.certificate {
            form += &format!("&about={certificate}&field_reason=superseded");
        }
        builder.header("content-type", "application/x-www-form-urlencoded").body(form)
    }
}

/// The status that somebody with this token gets.
async fn status(builder: RequestBuilder, request: &Request, csrf: &str, said: &Said<'_>) -> u16 {
    let builder = builder.header("X-HTTP-Method-Override", "DELETE");
    let builder = if request.method == Method::POST { said.put_into(builder, request, csrf) } else { builder };
    builder.send().await.expect("an answer").status().as_u16()
}

/// A client without a sign-in, which follows no redirect.
fn nobody() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client")
}

async fn signed_in(test: &TestWorld, columns: &[Column]) -> Vec<Client> {
    let mut clients = Vec::new();
    for &(login, role) in columns {
        clients.push(Client::sign_in(test, login, role).await);
    }
    clients
}

/// The token of somebody else's session.
fn other_token<'a>(people: &'a [Client], person: &Client) -> &'a str {
    people.iter().map(Client::csrf).find(|token| *token != person.csrf()).expect("somebody else")
}

/// Programs have the rights of their role at the agents' address, by their token alone.
async fn the_matrix_of_programs_is_true(database: Database) {
    let test = TestWorld::start(database).await;
    let begun = test.alice().await;
    let roles = ["user", "ra-operator", "ca-operator", "auditor"];
    let tokens = roles.map(|role| Some(account(&test, &["add", role, "--role", role])));
    let mut rows = Vec::new();
    for request in requests::of_programs(&workflows()) {
        let name = request.to_string();
        let request = request.about("{instance}", &begun.instance);
        let mut cells = Vec::new();
        for token in [None].iter().chain(&tokens) {
            let url = format!("{}{}", test.world.agent_url, request.path);
            let mut builder = reqwest::Client::new().request(request.method.clone(), url);
            if let Some(token) = token {
                builder = builder.bearer_auth(token);
            }
            cells.push(status(builder, &request, "none", &NOTHING).await);
        }
        rows.push(Row { name, cells });
    }
    assert!(rows.len() > 12, "{} rows", rows.len());
    PROGRAMS.check(&rows);
}

async fn the_matrix_of_roles_is_true(database: Database) {
    let test = TestWorld::start(database).await;
    let begun = test.alice().await;
    let people = signed_in(&test, &COLUMNS).await;
    let nobody = nobody();
    let (mut rows, mut wrong) = (Vec::new(), Vec::new());
    for request in requests::of_roles(&workflows()) {
        let name = request.to_string();
        // The instance is alice's; what it asks is not offered now, so that no cell changes the next one.
        let request = request.about("{instance}", &begun.instance);
        let (method, path) = (&request.method, &request.path);
        let unsigned = nobody.request(method.clone(), format!("http://{}{path}", test.world.pages));
        let mut cells = vec![status(unsigned, &request, "none", &NOTHING).await];
        for person in &people {
            // A form or a call with another session's token is refused.
            if *method == Method::POST {
                let token = other_token(&people, person);
                let other = status(person.request(method.clone(), path), &request, token, &NOTHING).await;
                if other != 403 {
                    wrong.push(format!("{method} {path}: {other} with another session's token"));
                }
            }
            cells.push(status(person.request(method.clone(), path), &request, person.csrf(), &NOTHING).await);
        }
        rows.push(Row { name, cells });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows.len() > 25, "{} rows", rows.len());
    ROLES.check(&rows);
    assert!(!test.audited("csrf-refused").await.is_empty(), "forms without the session's token are not recorded");
}

/// A request of alice's waits for an RA operator. Everybody acts on it at its step; none of the requests moves it on, and
/// each claim is released again. Revocations are about the certificate that alice already has.
async fn the_matrix_of_what_waits_is_true(database: Database) {
    let test = TestWorld::start_with_approvals(database, 1).await;
    let (_begun, _agent) = asked(&test).await;
    let people = signed_in(&test, &DECISION).await;
    let program = account(&test, &["add", "robot", "--role", "ra-operator"]);
    let rita = Client::sign_in(&test, "rita", "ra-operator").await;
    let question = task(&rita).await;
    let instance = question["instance"].as_str().expect("an id");
    let own = people[0].get("/api/v1/certificates").await.1;
    let said = Said {
        step: question["step"].as_u64().expect("a step"),
        action: "approve",
        shown: Some(question["shown"].as_str().expect("a digest")),
        certificate: Some(own["certificates"][0]["id"].as_str().expect("a certificate")),
    };
    let nobody = nobody();
    let mut rows = Vec::new();
    for request in requests::of_decisions(&workflows()) {
        let name = request.to_string();
        let request = request.about("{waiting}", instance).about("{certificate}", said.certificate.expect("one"));
        let (method, path) = (&request.method, &request.path);
        let unsigned = nobody.request(method.clone(), format!("http://{}{path}", test.world.pages));
        let mut builders = vec![(unsigned, "none")];
        builders.extend(people.iter().map(|person| (person.request(method.clone(), path), person.csrf())));
        let by_program = nobody.request(method.clone(), format!("{}{path}", test.world.agent_url));
        builders.push((by_program.bearer_auth(&program), "none"));

        let before = if path.ends_with("/release") { "claim" } else { "release" };
        let mut cells = Vec::new();
        for (builder, csrf) in builders {
            // Refused where it is so already.
            take(&rita, &question, before, json!({})).await;
            cells.push(status(builder, &request, csrf, &said).await);
        }
        rows.push(Row { name, cells });
    }
    assert!(rows.len() > 15, "{} rows", rows.len());
    DECISIONS.check(&rows);

    // The same question still waits.
    take(&rita, &question, "release", json!({})).await;
    assert_eq!(take(&rita, &question, "approve", json!({})).await.0, 200);
}

/// Puts alice's instance to a question of a workflow, directly in the database: most questions are asked only after minutes.
fn put_to_question(test: &TestWorld, workflow: &str, version: u32, state: &str) {
    let statement = format!(
        "UPDATE instance SET workflow = '{workflow}', version = {version}, state = '{state}', requester = 'ralf', \
         document = json_set(document, '$.workflow', '{workflow}', '$.version', {version}, '$.state', '{state}', \
         '$.waiting', 'person', '$.data', json('{{}}')) WHERE owner = 'alice';"
    );
    sqlite(&test.world.folder.join("sealwright.db"), &statement);
}

/// Each action of each question, by a page's form and by a call.
#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_of_questions_is_true() {
    let test = TestWorld::start(Database::Sqlite).await;
    let begun = test.alice().await;
    let people = signed_in(&test, &QUESTION).await;
    let nobody = nobody();
    let path = format!("/api/v1/instances/{}", begun.instance);
    people[0].until(&path, |view| view["state"] == "insert-card").await;
    // An auditor sees them all.
    let auditor = people.last().expect("an auditor");
    let (mut rows, mut wrong) = (Vec::new(), Vec::new());
    let library = workflows();
    for definition in library.all() {
        let workflow = definition.name.as_str();
        for (state, ask) in questions(definition) {
            put_to_question(&test, workflow, definition.version, state);
            let view = auditor.get(&path).await.1;
            assert_eq!((view["workflow"].as_str(), view["state"].as_str()), (Some(workflow), Some(state)), "{view:#}");
            let question = &view["questions"][0];
            for action in ask.actions.iter().map(|action| action.name.as_str()) {
                let name = format!("{workflow}/{state}/{action}");
                let said = Said {
                    step: question["step"].as_u64().expect("a step"),
                    action,
                    shown: Some(question["shown"].as_str().expect("a digest")),
                    certificate: None,
                };

                let mut found = Vec::new();
                for path in [format!("{path}/actions/{action}"), format!("/instances/{}/act", begun.instance)] {
                    let request = Request::post(path);
                    let unsigned = nobody.post(format!("http://{}{}", test.world.pages, request.path));
                    let mut cells = vec![status(unsigned, &request, "none", &said).await];
                    for person in &people {
                        let builder = person.request(Method::POST, &request.path);
                        cells.push(status(builder, &request, person.csrf(), &said).await);
                    }
                    found.push(Row { name: name.clone(), cells });
                }
                let [by_call, by_form] = &found[..] else { panic!("two ways to act") };
                if by_call != by_form {
                    wrong.push(format!("by a call: {by_call}\nby a form: {by_form}"));
                }
                rows.push(by_call.clone());
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    QUESTIONS.check(&rows);
}

/// Each address answers without a sign-in. The login header without the proxy's proof changes nothing at the pages' address
/// and is refused at the others.
async fn the_matrix_of_surfaces_is_true(database: Database) {
    let operations = free_address().expect("an address").to_string();
    let variables = [("SEALWRIGHT__SERVER__OPERATIONS", operations.as_str())];
    let test = TestWorld::start_with(database, &variables, "any-blank = true").await;
    let (pages, operations) = (format!("http://{}", test.world.pages), format!("http://{operations}"));
    let surfaces = [&pages, &test.world.agent_url, &test.world.public_url, &operations];
    let client = reqwest::Client::new();
    let (mut rows, mut wrong) = (Vec::new(), Vec::new());
    for request in requests::of_surfaces(&workflows()) {
        let ask = async |signed: bool| {
            let mut found = Vec::new();
            for base in surfaces {
                let mut builder = client.request(request.method.clone(), format!("{base}{}", request.path));
                if signed {
                    builder = builder.header("X-Remote-User", "carl");
                }
                found.push(status(builder, &request, "none", &NOTHING).await);
            }
            found
        };
        let (cells, signed) = (ask(false).await, ask(true).await);
        if signed[0] != cells[0] || signed[1..] != [403; 3] {
            wrong.push(format!("{request}: found {signed:?} with a header of the sign-in"));
        }
        rows.push(Row { name: request.to_string(), cells });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows.len() > 12, "{} rows", rows.len());
    SURFACES.check(&rows);
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

/// The requests that a file lists.
fn listed(matrix: &Matrix) -> Vec<Request> {
    matrix.names().iter().map(|name| Request::parse(name)).collect()
}

#[test]
fn every_route_is_in_the_matrix() {
    let (roles, programs, surfaces) = (listed(&ROLES), listed(&PROGRAMS), listed(&SURFACES));
    let sources = [
        (PAGES, &roles),
        (API, &roles),
        (API, &programs),
        (AGENTS, &surfaces),
        (PUBLIC, &surfaces),
        (OPERATIONS, &surfaces),
    ];
    let mut missing = Vec::new();
    for (source, listed) in sources {
        for (method, path) in routes(source) {
            if !listed.iter().any(|request| request.method == method && is_of_route(&request.path, &path)) {
                missing.push(format!("{method} {path}"));
            }
        }
    }

    // Each verb of an instance is a route too: what some question offers, and what can be done whatever is asked.
    let library = workflows();
    for verb in verbs(&library) {
        let path = format!("/api/v1/instances/{{instance}}/actions/{verb}");
        for listed in [&roles, &programs] {
            if !listed.iter().any(|request| request.path == path) {
                missing.push(path.clone());
            }
        }
    }

    // And so is each start, by a call and, where it is not another workflow's alone, by a form.
    let decisions = listed(&DECISIONS);
    for definition in library.all() {
        let name = &definition.name.text;
        if !decisions.iter().any(|request| request.path == STARTS && request.workflow.as_ref() == Some(name)) {
            missing.push(format!("{STARTS} ({name})"));
        }
        let form = format!("/start/{name}");
        let mut listed = roles.iter().chain(&decisions);
        if !definition.start.by.is_empty() && !listed.any(|request| request.path == form) {
            missing.push(form);
        }
    }
    assert!(missing.is_empty(), "not in the matrix: {missing:?}");
}
