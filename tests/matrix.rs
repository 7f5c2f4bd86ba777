//! The matrices of SECURITY.md: every page and verb for every role, cell by cell.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Method, RequestBuilder};
use sealwright::engine::rights::Operation;
use sealwright_workflow::definition::{Ask, Definition, Kind};
use sealwright_world::ports::free_address;
use serde_json::json;

use crate::api_programs::account;
use crate::journey::approval::{asked, take, task};
use crate::on_both_databases;
use crate::support::client::Client;
use crate::support::{Database, TestWorld, sqlite, workflows};

on_both_databases! {
    the_matrix_of_roles_is_true,
    the_matrix_of_what_waits_is_true,
    the_matrix_of_programs_is_true,
    the_matrix_of_surfaces_is_true,
}

/// A line of a matrix: a request, and the status that each column gets.
#[derive(Clone)]
struct Line {
    method: Method,
    path: String,
    /// What is started, where the path does not say it: it stands behind the path, in parentheses.
    workflow: Option<String>,
    cells: Vec<u16>,
}

/// Whose column it is: person and role.
type Column = (&'static str, &'static str);

/// Columns of the matrix, the first one without a sign-in.
const COLUMNS: [Column; 5] =
    [("alice", "user"), ("bob", "user"), ("rita", "ra-operator"), ("carl", "ca-operator"), ("carl", "auditor")];

/// The same of what waits for an RA operator, as its owner has a second account with that role. A program's column follows.
const DECISION: [Column; 6] = [
    ("alice", "user"),
    ("bob", "user"),
    ("rita", "ra-operator"),
    ("alice-ra", "ra-operator"),
    ("carl", "ca-operator"),
    ("carl", "auditor"),
];

/// The same of questions, which ralf has begun for alice.
const QUESTION: [Column; 7] = [
    ("alice", "user"),
    ("bob", "user"),
    ("ralf", "ra-operator"),
    ("rita", "ra-operator"),
    ("alice-ra", "ra-operator"),
    ("carl", "ca-operator"),
    ("carl", "auditor"),
];

/// The table whose first column has this heading, with so many others.
fn table(heading: &str, columns: usize) -> Vec<(&'static str, Vec<u16>)> {
    let heading = format!("| {heading} |");
    let lines = include_str!("../SECURITY.md").lines().skip_while(|line| !line.starts_with(&heading)).skip(2);
    let lines = lines.take_while(|line| line.starts_with('|')).map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let first = cells.next().expect("a first cell").trim_matches('`');
        let cells: Vec<u16> = cells.map(|cell| cell.parse().expect("a status")).collect();
        assert_eq!(cells.len(), columns, "{line}");
        (first, cells)
    });
    lines.collect()
}

/// The same, where each line is of a request.
fn matrix(heading: &str, columns: usize) -> Vec<Line> {
    let lines = table(heading, columns).into_iter().map(|(request, cells)| {
        let (method, path) = request.split_once(' ').expect("a method and a path");
        let (path, workflow) = match path.strip_suffix(')').and_then(|path| path.split_once(" (")) {
            Some((path, workflow)) => (path, Some(workflow.to_owned())),
            None => (path, None),
        };
        Line { method: method.parse().expect("a method"), path: path.to_owned(), workflow, cells }
    });
    lines.collect()
}

fn of_roles() -> Vec<Line> {
    matrix("request", COLUMNS.len() + 1)
}

fn of_what_waits() -> Vec<Line> {
    matrix("request about what waits", DECISION.len() + 2)
}

fn of_programs() -> Vec<Line> {
    matrix("request of a program", COLUMNS.len())
}

impl Line {
    /// The same about something: its id is put into the path.
    fn about(&self, place: &str, id: &str) -> Self {
        Self { path: self.path.replace(place, id), ..self.clone() }
    }

    /// Notes what is not as the matrix says; nothing where it is.
    fn compare(&self, found: &[u16]) -> Option<String> {
        let Self { method, path, workflow, cells } = self;
        let of = workflow.as_ref().map(|workflow| format!(" ({workflow})")).unwrap_or_default();
        (found != cells.as_slice()).then(|| format!("{method} {path}{of}: found {found:?}, the matrix says {cells:?}"))
    }
}

/// What forms and calls say beside a token.
struct Said<'a> {
    /// The step that was looked at.
    step: u64,
    /// A form names the action, and a path that of a call.
    action: &'a str,
    /// The digest of a question. A field goes with it that no form has: nobody's action is carried out, and whoever may take it is told of the field.
    shown: Option<&'a str>,
    /// What the start of a revocation is about.
    certificate: Option<&'a str>,
}

/// What is said of no question: the step is over.
const NOTHING: Said<'static> = Said { step: 0, action: "stop", shown: None, certificate: None };

impl Said<'_> {
    /// The request as it is sent.
    fn put_into(&self, request: RequestBuilder, line: &Line, csrf: &str) -> RequestBuilder {
        if line.path.starts_with("/api/") {
            let body = match (&line.workflow, self.certificate, self.shown) {
                (Some(workflow), Some(certificate), _) if workflow == "revoke-certificate" => {
                    json!({ "workflow": workflow, "data": { "certificate": certificate } })
                }
                (Some(workflow), _, _) => json!({ "workflow": workflow }),
                (None, _, Some(shown)) => json!({ "step": self.step, "shown": shown, "fields": { "unasked": "x" } }),
                (None, _, None) => json!({ "step": self.step }),
            };
            let request = request.header("X-CSRF-Token", csrf).header("content-type", "application/json");
            return request.body(body.to_string());
        }
        let mut form = format!("csrf={csrf}&step={}&action={}&role=user", self.step, self.action);
        if let Some(shown) = self.shown {
            form += &format!("&shown={shown}&field_unasked=x");
        }
        if let Some(certificate) = self.certificate {
            form += &format!("&about={certificate}");
        }
        request.header("content-type", "application/x-www-form-urlencoded").body(form)
    }
}

/// The status that somebody with this token gets.
async fn status(request: RequestBuilder, line: &Line, csrf: &str, said: &Said<'_>) -> u16 {
    let request = request.header("X-HTTP-Method-Override", "DELETE");
    let request = if line.method == Method::POST { said.put_into(request, line, csrf) } else { request };
    request.send().await.expect("an answer").status().as_u16()
}

/// Somebody who has not signed in, and goes nowhere by themselves.
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

/// The questions of a workflow: the state that asks, and what it asks.
fn questions(definition: &Definition) -> impl Iterator<Item = (&str, &Ask)> {
    definition.states.iter().filter_map(|state| match &state.kind {
        Kind::Ask(ask) => Some((state.name.as_str(), ask)),
        _ => None,
    })
}

/// Programs have the rights of their role at the agents' address, by their token alone.
async fn the_matrix_of_programs_is_true(database: Database) {
    let test = TestWorld::start(database).await;
    let begun = test.alice().await;
    let roles = ["user", "ra-operator", "ca-operator", "auditor"];
    let tokens = roles.map(|role| Some(account(&test, &["add", role, "--role", role])));
    let lines = of_programs();
    assert!(lines.len() > 12, "{} lines", lines.len());
    let mut wrong = Vec::new();
    for line in &lines {
        let line = line.about("{instance}", &begun.instance);
        let mut found = Vec::new();
        for token in [None].iter().chain(&tokens) {
            let mut request =
                reqwest::Client::new().request(line.method.clone(), format!("{}{}", test.world.agent_url, line.path));
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            found.push(status(request, &line, "none", &NOTHING).await);
        }
        wrong.extend(line.compare(&found));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn the_matrix_of_roles_is_true(database: Database) {
    let test = TestWorld::start(database).await;
    let begun = test.alice().await;
    let people = signed_in(&test, &COLUMNS).await;
    let nobody = nobody();
    let lines = of_roles();
    assert!(lines.len() > 25, "{} lines", lines.len());
    let mut wrong = Vec::new();
    for line in &lines {
        // The instance is alice's; what it asks is not offered now, so that no cell changes the next one.
        let line = line.about("{instance}", &begun.instance);
        let (method, path) = (&line.method, &line.path);
        let unsigned = nobody.request(method.clone(), format!("http://{}{path}", test.world.pages));
        let mut found = vec![status(unsigned, &line, "none", &NOTHING).await];
        for person in &people {
            // Nobody's form is taken without the session's own token.
            if *method == Method::POST {
                let token = other_token(&people, person);
                let other = status(person.request(method.clone(), path), &line, token, &NOTHING).await;
                if other != 403 {
                    wrong.push(format!("{method} {path}: {other} with another session's token"));
                }
            }
            found.push(status(person.request(method.clone(), path), &line, person.csrf(), &NOTHING).await);
        }
        wrong.extend(line.compare(&found));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!test.audited("csrf-refused").await.is_empty(), "forms without the session's token are not recorded");
}

/// A request of alice's waits for an RA operator, and everybody acts on it at its step: none of it moves it on, and a claim is taken back each time.
/// What alice has already is what a revocation is about.
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
    let lines = of_what_waits();
    assert!(lines.len() > 15, "{} lines", lines.len());
    let mut wrong = Vec::new();
    for line in &lines {
        let line = line.about("{waiting}", instance);
        let (method, path) = (&line.method, &line.path);
        let unsigned = nobody.request(method.clone(), format!("http://{}{path}", test.world.pages));
        let mut requests = vec![(unsigned, "none")];
        requests.extend(people.iter().map(|person| (person.request(method.clone(), path), person.csrf())));
        let by_program = nobody.request(method.clone(), format!("{}{path}", test.world.agent_url));
        requests.push((by_program.bearer_auth(&program), "none"));
        let before = if path.ends_with("/release") { "claim" } else { "release" };
        let mut found = Vec::new();
        for (request, csrf) in requests {
            // Refused where it is so already.
            take(&rita, &question, before, json!({})).await;
            found.push(status(request, &line, csrf, &said).await);
        }
        wrong.extend(line.compare(&found));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The same question still waits.
    take(&rita, &question, "release", json!({})).await;
    assert_eq!(take(&rita, &question, "approve", json!({})).await.0, 200);
}

/// Puts alice's instance to a question of a workflow, as whoever has the database can: no way through the world leads to each of them soon.
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
    let mut cells: BTreeMap<_, _> = table("action of a question", QUESTION.len() + 1).into_iter().collect();
    let mut wrong = Vec::new();
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
                let Some(cells) = cells.remove(name.as_str()) else {
                    wrong.push(format!("{name} is not in the matrix"));
                    continue;
                };
                let said = Said {
                    step: question["step"].as_u64().expect("a step"),
                    action,
                    shown: Some(question["shown"].as_str().expect("a digest")),
                    certificate: None,
                };
                for path in [format!("{path}/actions/{action}"), format!("/instances/{}/act", begun.instance)] {
                    let line = Line { method: Method::POST, path, workflow: None, cells: cells.clone() };
                    let unsigned = nobody.post(format!("http://{}{}", test.world.pages, line.path));
                    let mut found = vec![status(unsigned, &line, "none", &said).await];
                    for person in &people {
                        let request = person.request(Method::POST, &line.path);
                        found.push(status(request, &line, person.csrf(), &said).await);
                    }
                    wrong.extend(line.compare(&found).map(|what| format!("{name}: {what}")));
                }
            }
        }
    }
    wrong.extend(cells.keys().map(|name| format!("{name} is no question's")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
    for line in &matrix("request at an address", surfaces.len()) {
        let ask = async |signed: bool| {
            let mut found = Vec::new();
            for base in surfaces {
                let mut request = client.request(line.method.clone(), format!("{base}{}", line.path));
                if signed {
                    request = request.header("X-Remote-User", "carl");
                }
                found.push(status(request, line, "none", &NOTHING).await);
            }
            found
        };
        let (found, signed) = (ask(false).await, ask(true).await);
        wrong.extend(line.compare(&found));
        if signed[0] != line.cells[0] || signed[1..] != [403; 3] {
            wrong.push(format!("{} {}: found {signed:?} with a header of the sign-in", line.method, line.path));
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
    let surfaces = || matrix("request at an address", 4);
    let files = [
        (include_str!("../src/web/mod.rs"), "", of_roles()),
        (include_str!("../src/api/v1/mod.rs"), "/api/v1", of_roles()),
        (include_str!("../src/api/v1/mod.rs"), "/api/v1", of_programs()),
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
    // Each verb of an instance is a route too: what some question offers, and what can be done whatever is asked.
    let library = workflows();
    let mut verbs = BTreeSet::from(Operation::ALL.map(Operation::as_str));
    for definition in library.all() {
        let actions = questions(definition).flat_map(|(_, ask)| &ask.actions);
        verbs.extend(actions.map(|action| action.name.as_str()));
    }
    let (roles, programs, waits) = (of_roles(), of_programs(), of_what_waits());
    for verb in verbs {
        let path = format!("/api/v1/instances/{{instance}}/actions/{verb}");
        for matrix in [&roles, &programs] {
            if !matrix.iter().any(|line| line.path == path) {
                missing.push(path.clone());
            }
        }
    }
    // And so is each start, by a call and, where it is not another workflow's alone, by a form.
    for definition in library.all() {
        let name = &definition.name.text;
        if !waits.iter().any(|line| line.path == "/api/v1/instances" && line.workflow.as_ref() == Some(name)) {
            missing.push(format!("/api/v1/instances ({name})"));
        }
        let form = format!("/start/{name}");
        if !definition.start.by.is_empty() && !roles.iter().chain(&waits).any(|line| line.path == form) {
            missing.push(form);
        }
    }
    assert!(missing.is_empty(), "not in the matrix: {missing:?}");
}
