//! `/api/v1`: the four verbs as JSON, with the rights of the pages: the same sign-in, session and CSRF token (header `X-CSRF-Token`).

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use sealwright_workflow::instance::Instance;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::clock::moment;
use crate::engine::EngineError;
use crate::engine::rights::Question;
use crate::engine::verbs::{Act, Caller, View};
use crate::portal::Portal;
use crate::store::instances::{Filter, Stored};
use crate::web::{PageError, Visitor, visitor, with_request_id};

/// The largest body in bytes.
const MAXIMUM_BODY: usize = 64 * 1024;
const NOT_FOUND: &str = "There is no such resource.";

/// The routes of the API, on the pages' surface.
pub fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::scope("/api/v1")
            .app_data(web::JsonConfig::default().limit(MAXIMUM_BODY).error_handler(|_, _| {
                Problem::new(StatusCode::BAD_REQUEST, "The body is no JSON of the expected form.").into()
            }))
            .app_data(
                web::PathConfig::default().error_handler(|_, _| Problem::new(StatusCode::NOT_FOUND, NOT_FOUND).into()),
            )
            .app_data(web::QueryConfig::default().error_handler(|_, _| {
                Problem::new(StatusCode::BAD_REQUEST, "A parameter of the address has no value that is known here.")
                    .into()
            }))
            .route("/session", web::get().to(session))
            .route("/instances", web::get().to(list))
            .route("/instances", web::post().to(start))
            .route("/instances/{id}", web::get().to(view))
            .route("/instances/{id}/actions/{action}", web::post().to(act))
            .default_service(web::to(not_found)),
    );
}

/// An error as RFC 9457 problem details.
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    fn new(status: StatusCode, detail: &str) -> Self {
        Self { status, detail: detail.to_owned() }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.detail)
    }
}

impl actix_web::ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "request": "{request}",
        });
        let response = HttpResponse::build(self.status).content_type("application/problem+json").body(body.to_string());
        with_request_id(response)
    }
}

impl From<PageError> for Problem {
    fn from(error: PageError) -> Self {
        Self { status: error.status, detail: error.say }
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        PageError::from(error).into()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StartBody {
    workflow: String,
    #[serde(default)]
    data: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ActBody {
    step: u64,
    #[serde(default)]
    fields: Map<String, Value>,
    /// The digest `shown` of the question; an approval cannot do without.
    shown: Option<String>,
}

#[derive(Deserialize)]
struct ListQuery {
    workflow: Option<String>,
    #[serde(default)]
    open: bool,
    /// Only what cannot go on by itself, children too.
    #[serde(default)]
    stuck: bool,
    /// Only questions that wait for the caller's role, children too; the oldest first.
    #[serde(default)]
    tasks: bool,
}

async fn caller(visitor: &Visitor) -> Result<Caller, Problem> {
    visitor.caller().ok_or_else(|| Problem::new(StatusCode::FORBIDDEN, "Pick a role first, at /role."))
}

fn check_csrf(visitor: &Visitor, request: &HttpRequest) -> Result<(), Problem> {
    let token = request.headers().get("x-csrf-token").and_then(|token| token.to_str().ok()).unwrap_or_default();
    Ok(visitor.check_csrf(token)?)
}

async fn session(portal: web::Data<Portal>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let visitor = visitor(&portal, &request).await?;
    let body = json!({
        "login": visitor.session.login,
        "role": visitor.session.role,
        "csrf": visitor.session.csrf,
    });
    Ok(visitor.finish(HttpResponse::Ok().json(body)))
}

async fn list(
    portal: web::Data<Portal>,
    request: HttpRequest,
    query: web::Query<ListQuery>,
) -> Result<HttpResponse, Problem> {
    let visitor = visitor(&portal, &request).await?;
    let query = query.into_inner();
    let filter =
        Filter { workflow: query.workflow, only_open: query.open, only_stuck: query.stuck, ..Filter::default() };
    let caller = caller(&visitor).await?;
    let filter = if query.tasks { portal.engine.tasks_of(&caller) } else { filter };
    let found = portal.engine.list(&caller, filter, 200).await?;
    let rows: Vec<Value> = found.iter().map(summary).collect();
    Ok(visitor.finish(HttpResponse::Ok().json(json!({ "instances": rows }))))
}

async fn start(
    portal: web::Data<Portal>,
    request: HttpRequest,
    body: web::Json<StartBody>,
) -> Result<HttpResponse, Problem> {
    let visitor = visitor(&portal, &request).await?;
    check_csrf(&visitor, &request)?;
    let body = body.into_inner();
    let id = portal.engine.start(&caller(&visitor).await?, &body.workflow, body.data).await?;
    let response = HttpResponse::Created()
        .insert_header(("Location", format!("/api/v1/instances/{id}")))
        .json(json!({ "id": id }));
    Ok(visitor.finish(response))
}

async fn view(portal: web::Data<Portal>, request: HttpRequest, id: web::Path<Uuid>) -> Result<HttpResponse, Problem> {
    let visitor = visitor(&portal, &request).await?;
    let view = portal.engine.view(&caller(&visitor).await?, *id).await?;
    Ok(visitor.finish(HttpResponse::Ok().json(whole(&view))))
}

async fn act(
    portal: web::Data<Portal>,
    request: HttpRequest,
    path: web::Path<(Uuid, String)>,
    body: web::Json<ActBody>,
) -> Result<HttpResponse, Problem> {
    let visitor = visitor(&portal, &request).await?;
    check_csrf(&visitor, &request)?;
    let (id, action) = path.into_inner();
    let body = body.into_inner();
    let caller = caller(&visitor).await?;
    let act = Act { step: body.step, action, fields: body.fields, shown: body.shown };
    portal.engine.act(&caller, id, act).await?;
    let view = portal.engine.view(&caller, id).await?;
    Ok(visitor.finish(HttpResponse::Ok().json(whole(&view))))
}

async fn not_found() -> Result<HttpResponse, Problem> {
    Err(Problem::new(StatusCode::NOT_FOUND, NOT_FOUND))
}

fn time(milliseconds: i64) -> String {
    moment(milliseconds).format(&Rfc3339).unwrap_or_default()
}

fn summary(stored: &Stored) -> Value {
    let Instance { id, workflow, version, state, step, status, owner, requester, role, say, .. } = &stored.instance;
    json!({
        "id": id, "workflow": workflow, "version": version, "state": state, "step": step, "status": status.as_str(),
        "owner": owner.login, "requester": requester.login, "role": role, "say": say,
        "started_at": time(stored.started_at), "changed_at": time(stored.changed_at),
        "ended_at": stored.ended_at.map(time),
    })
}

/// An instance with its tree, history and times.
fn whole(view: &View) -> Value {
    let mut body = summary(&view.stored);
    let parts: Vec<Value> = view.tree.iter().map(|part| part_of(view, part)).collect();
    let times = times(view);
    if let Some(object) = body.as_object_mut() {
        object.insert("title".to_owned(), json!(view.definition.title));
        object.insert("data".to_owned(), plain_data(view));
        let actions = view.actions().iter().map(|action| action.name.as_str());
        let operations = view.operations.iter().map(|operation| operation.as_str());
        object.insert("actions".to_owned(), actions.chain(operations).collect());
        object.insert("questions".to_owned(), view.questions.iter().map(question).collect());
        object.insert("tree".to_owned(), json!(parts));
        object.insert(
            "times".to_owned(),
            json!({ "total_ms": times.total, "card_ms": times.card, "portal_ms": times.portal }),
        );
    }
    body
}

fn question(question: &Question) -> Value {
    json!({
        "instance": question.instance,
        "step": question.step,
        "text": question.text,
        "shown": question.shown,
        "data": question.data.iter().cloned().collect::<Map<_, _>>(),
        "claimed_by": question.claimed_by,
        "actions": question.actions.iter().map(|action| action.name.as_str()).collect::<Vec<_>>(),
        "approvals": question.approvals.map(|(given, needed)| json!({ "given": given, "needed": needed })),
    })
}

/// The data, without what is secret.
fn plain_data(view: &View) -> Value {
    let secret = |name: &str| view.definition.data.get(name).is_none_or(|field| field.secret);
    let data = &view.stored.instance.data;
    data.iter()
        .filter(|(name, _)| !secret(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect::<Map<_, _>>()
        .into()
}

fn part_of(view: &View, part: &Stored) -> Value {
    let history = view.histories.get(&part.instance.id).map(Vec::as_slice).unwrap_or_default();
    let history: Vec<Value> = history
        .iter()
        .map(|row| json!({ "at": time(row.at), "event": row.event, "detail": row.detail, "state": row.state, "step": row.step, "actor": row.actor }))
        .collect();
    let mut body = summary(part);
    if let Some(object) = body.as_object_mut() {
        object.insert("parent".to_owned(), json!(part.instance.parent.as_ref().map(|parent| parent.id)));
        object.insert("history".to_owned(), json!(history));
    }
    body
}

/// How long it took, in milliseconds.
struct Times {
    total: i64,
    /// While a card job was outstanding.
    card: i64,
    /// While neither a card nor a person was waited for.
    portal: i64,
}

fn times(view: &View) -> Times {
    let Some(root) = view.tree.iter().find(|part| part.instance.id == view.stored.root) else {
        return Times { total: 0, card: 0, portal: 0 };
    };
    let end = root.ended_at.unwrap_or(root.changed_at);
    let jobs: Vec<(i64, i64)> = view.jobs.iter().map(|job| (job.created_at, job.ended_at.unwrap_or(end))).collect();
    // A person is waited for while an `ask` state is entered and nothing followed.
    let mut waits = jobs.clone();
    for part in &view.tree {
        let history = view.histories.get(&part.instance.id).map(Vec::as_slice).unwrap_or_default();
        let asks = |state: &str| {
            view.definition.name.text == part.instance.workflow
                && view
                    .definition
                    .state(state)
                    .is_some_and(|state| matches!(state.kind, sealwright_workflow::definition::Kind::Ask(_)))
        };
        for pair in history.windows(2) {
            if let [before, after] = pair
                && asks(&before.state)
            {
                waits.push((before.at, after.at));
            }
        }
    }
    let total = end - root.started_at;
    Times { total, card: covered(jobs), portal: total - covered(waits) }
}

/// The length of the union of intervals.
fn covered(mut intervals: Vec<(i64, i64)>) -> i64 {
    intervals.sort_unstable();
    let mut sum = 0;
    let mut until = i64::MIN;
    for (from, to) in intervals {
        let from = from.max(until);
        if to > from {
            sum += to - from;
            until = to;
        }
    }
    sum
}
