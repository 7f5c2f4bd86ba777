//! Requests of the matrices: routes from the sources, verbs and starts from the workflows, and requests that have no route.

use std::collections::BTreeSet;
use std::fmt;

use reqwest::Method;
use sealwright::engine::rights::Operation;
use sealwright_workflow::definition::{Ask, Definition, Kind};
use sealwright_workflow::library::Library;

/// Sources with the routes of a surface, and the prefix of their paths.
pub const PAGES: (&str, &str) = (include_str!("../../src/web/mod.rs"), "");
pub const API: (&str, &str) = (include_str!("../../src/api/mod.rs"), "/api/v1");
pub const AGENTS: (&str, &str) = (include_str!("../../src/agents/mod.rs"), "");
pub const PUBLIC: (&str, &str) = (include_str!("../../src/public/mod.rs"), "");
pub const OPERATIONS: (&str, &str) = (include_str!("../../src/operations/mod.rs"), "");

/// The path of a start by a call, which names the workflow in its body.
pub const STARTS: &str = "/api/v1/instances";

/// Requests behind the sign-on that no route takes.
const WITHOUT_ROUTE: [&str; 6] = [
    "HEAD /",
    "PUT /role",
    "DELETE /instances/{instance}",
    "PATCH /api/v1/instances/{instance}",
    "TRACE /",
    "OPTIONS /api/v1/instances",
];

/// Requests at the agents' address that belong to pages, or that no route takes.
const WITHOUT_ROUTE_FOR_PROGRAMS: [&str; 4] =
    ["GET /", "GET /instances/{instance}", "POST /start/issue-crl", "DELETE /api/v1/instances/{instance}"];

/// A sample of pages and calls, sent to every address.
const AT_EVERY_ADDRESS: [&str; 8] = [
    "GET /",
    "GET /role",
    "POST /start/issue-crl",
    "GET /static/sealwright.css",
    "GET /api/v1/openapi.json",
    "GET /api/v1/session",
    "GET /api/v1/instances",
    "POST /api/v1/instances (issue-crl)",
];

/// A request of a matrix.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    pub path: String,
    /// The workflow that a call starts; in the matrix it stands behind the path, in parentheses.
    pub workflow: Option<String>,
}

impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, self.path)?;
        self.workflow.iter().try_for_each(|workflow| write!(formatter, " ({workflow})"))
    }
}

impl Request {
    /// Reads a request as a matrix names it.
    pub fn parse(name: &str) -> Self {
        let (method, path) = name.split_once(' ').expect("a method and a path");
        let (path, workflow) = match path.strip_suffix(')').and_then(|path| path.split_once(" (")) {
            Some((path, workflow)) => (path, Some(workflow.to_owned())),
            None => (path, None),
        };
        Self { method: method.parse().expect("a method"), path: path.to_owned(), workflow }
    }

    pub fn post(path: String) -> Self {
        Self { method: Method::POST, path, workflow: None }
    }

    fn start(workflow: &str) -> Self {
        Self { workflow: Some(workflow.to_owned()), ..Self::post(STARTS.to_owned()) }
    }

    /// The same request with an instance's id in its path.
    pub fn about(&self, place: &str, id: &str) -> Self {
        Self { path: self.path.replace(place, id), ..self.clone() }
    }
}

/// Method and path of each route in a source, with the path's parameters in braces.
pub fn routes((source, prefix): (&str, &str)) -> Vec<(Method, String)> {
    let source = source.replace("sealwright_protocol::PATH", &format!("\"{}\"", sealwright_protocol::PATH));
    let routes: Vec<_> = source
        .split("route(\"")
        .skip(1)
        .map(|route| {
            let (path, rest) = route.split_once('"').expect("a path");
            let handler = rest.split_once("to(").expect("a handler").0;
            let method = if handler.contains("post()") { Method::POST } else { Method::GET };
            (method, format!("{prefix}{path}"))
        })
        .collect();
    assert!(!routes.is_empty());
    routes
}

/// The questions of a workflow: the state that asks, and what it asks.
pub fn questions(definition: &Definition) -> impl Iterator<Item = (&str, &Ask)> {
    definition.states.iter().filter_map(|state| match &state.kind {
        Kind::Ask(ask) => Some((state.name.as_str(), ask)),
        _ => None,
    })
}

/// Verbs of an instance: the actions that some question offers, and the operations.
pub fn verbs(library: &Library) -> BTreeSet<&str> {
    let mut verbs = BTreeSet::from(Operation::ALL.map(Operation::as_str));
    for definition in library.all() {
        let actions = questions(definition).flat_map(|(_, ask)| &ask.actions);
        verbs.extend(actions.map(|action| action.name.as_str()));
    }
    verbs
}

/// Workflows that a person starts, about a subject or about none.
fn started_by_people(library: &Library, about_subject: bool) -> Vec<String> {
    let started = library.all().filter(|definition| {
        let start = &definition.start;
        !start.by.is_empty() && start.subject.is_some() == about_subject
    });
    started.map(|definition| definition.name.text.clone()).collect()
}

/// Paths of a route: each parameter is replaced by the values that the matrices try.
fn fill(route: String, library: &Library) -> Vec<String> {
    let links = library.all().filter_map(|definition| definition.start.link.as_ref());
    let links = links.map(|link| link.text.trim_start_matches('/').to_owned()).chain(["nothing".to_owned()]);
    let values = [
        ("{id}", vec!["{instance}".to_owned()]),
        ("{action}", verbs(library).into_iter().map(str::to_owned).collect()),
        ("{workflow}", started_by_people(library, false)),
        ("{about}", vec!["{instance}".to_owned()]),
        ("{link}", links.collect()),
        ("{file}", vec!["sealwright.css".to_owned()]),
        ("{name}.crl", vec!["issuing.crl".to_owned(), "nobody.crl".to_owned()]),
        ("{name}", vec!["issuing".to_owned()]),
    ];

    let mut paths = vec![route];
    for (parameter, values) in values {
        if paths.iter().any(|path| path.contains(parameter)) {
            paths = paths.iter().flat_map(|path| values.iter().map(|value| path.replace(parameter, value))).collect();
        }
    }
    for path in &paths {
        assert!(!path.replace("{instance}", "").contains('{'), "no value for the parameter of the route {path}");
    }
    paths
}

/// Requests of a source's routes, those that only read first. `starts` are the workflows that a call starts.
fn of_routes(source: (&str, &str), library: &Library, starts: &[String]) -> Vec<Request> {
    let mut requests = Vec::new();
    for (method, route) in routes(source) {
        for path in fill(route, library) {
            if method == Method::POST && path == STARTS {
                requests.extend(starts.iter().map(|workflow| Request::start(workflow)));
            } else {
                requests.push(Request { method: method.clone(), path, workflow: None });
            }
        }
    }
    requests.sort_by_key(|request| request.method != Method::GET);
    requests
}

/// Requests behind the sign-on. No status may depend on an earlier request: starts come after the requests about the
/// instance, and a choice of role, which changes the session, comes last.
pub fn of_roles(library: &Library) -> Vec<Request> {
    let mut requests = of_routes(PAGES, library, &[]);
    requests.sort_by_key(|request| request.path.starts_with("/start/"));
    requests.extend(of_routes(API, library, &["issue-crl".to_owned()]));
    requests.extend(WITHOUT_ROUTE.map(Request::parse));
    requests.sort_by_key(|request| request.method == Method::POST && request.path == "/role");
    requests
}

/// Requests about an instance that waits for a decision, and starts: about a certificate of the instance's owner, and of
/// every workflow by a call.
pub fn of_decisions(library: &Library) -> Vec<Request> {
    let pages = ["GET /instances/{waiting}", "GET /api/v1/instances/{waiting}", "POST /instances/{waiting}/act"];
    let mut requests = pages.map(Request::parse).to_vec();
    let actions = verbs(library).into_iter().map(|verb| format!("/api/v1/instances/{{waiting}}/actions/{verb}"));
    requests.extend(actions.map(Request::post));
    for name in started_by_people(library, true) {
        requests.push(Request::parse(&format!("GET /start/{name}/{{certificate}}")));
        requests.push(Request::post(format!("/start/{name}")));
    }
    requests.extend(library.all().map(|definition| Request::start(&definition.name.text)));
    requests.push(Request::start("no-such-workflow"));
    requests
}

/// Requests of programs at the agents' address.
pub fn of_programs(library: &Library) -> Vec<Request> {
    let mut requests = of_routes(API, library, &started_by_people(library, false));
    requests.extend(WITHOUT_ROUTE_FOR_PROGRAMS.map(Request::parse));
    requests
}

/// Requests that are sent to every address.
pub fn of_surfaces(library: &Library) -> Vec<Request> {
    let mut requests = AT_EVERY_ADDRESS.map(Request::parse).to_vec();
    for source in [AGENTS, PUBLIC, OPERATIONS] {
        requests.extend(of_routes(source, library, &[]));
    }
    requests
}
