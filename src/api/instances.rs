//! Start, act, view and list.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::caller::{Call, Client};
use super::problem::{Problem, refused};
use super::views::{InstanceView, List, Summary};
use crate::desk::instances::{self as desk, Wanted};
use crate::engine::EngineError;
use crate::engine::idempotency::Key;
use crate::engine::verbs::Act;
use crate::http::Failure;
use crate::portal::Portal;
use crate::random;

/// Instances in one answer, at most.
const MOST: u64 = 200;

/// A workflow to start.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartBody {
    workflow: String,
    /// Arguments of the start: the id of what the workflow is about, and the fields of its form.
    #[serde(default)]
    #[schema(value_type = Object)]
    data: Map<String, Value>,
}

/// The instance that was started, or that holds the same already.
#[derive(Serialize, ToSchema)]
pub struct Started {
    id: Uuid,
}

/// An action to take.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActBody {
    /// The step that was looked at.
    step: u64,
    #[serde(default)]
    #[schema(value_type = Object)]
    fields: Map<String, Value>,
    /// The digest `shown` of the question; an approval cannot do without.
    shown: Option<String>,
}

#[derive(Deserialize)]
pub struct ListQuery {
    workflow: Option<String>,
    #[serde(default)]
    open: bool,
    #[serde(default)]
    stuck: bool,
    #[serde(default)]
    tasks: bool,
}

/// Instances that the caller may see, the newest first, at most 200.
#[utoipa::path(
    get, path = "/api/v1/instances",
    params(
        ("workflow" = Option<String>, Query, description = "Only instances of this workflow."),
        ("open" = Option<bool>, Query, description = "Only what has not ended."),
        ("stuck" = Option<bool>, Query, description = "Only what cannot go on by itself, children too."),
        ("tasks" = Option<bool>, Query, description = "Only questions that wait for the caller's role, children too; the oldest first."),
    ),
    responses(
        (status = 200, body = List),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn list(
    portal: web::Data<Portal>,
    query: web::Query<ListQuery>,
    client: Client,
) -> Result<HttpResponse, Failure> {
    let ListQuery { workflow, open, stuck, tasks } = query.into_inner();
    let wanted = Wanted { workflow, open, stuck, tasks };
    let found = desk::visible(&portal.engine, &client.caller, wanted, MOST).await?;
    let list = List { instances: found.iter().map(Summary::of).collect() };
    Ok(HttpResponse::Ok().json(list))
}

/// Starts a workflow. A second start of what is held gives the first.
#[utoipa::path(
    post, path = "/api/v1/instances", request_body = StartBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key gives the same instance, for a day.")),
    responses(
        (status = 201, body = Started),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn start(
    portal: web::Data<Portal>,
    request: HttpRequest,
    call: Call<StartBody>,
) -> Result<HttpResponse, Failure> {
    let Call { client, body } = call;
    let key = key(&request, &body)?;
    let id = portal.engine.start(&client.caller, &body.workflow, body.data, key).await?;
    let response =
        HttpResponse::Created().insert_header(("Location", format!("/api/v1/instances/{id}"))).json(Started { id });
    Ok(response)
}

/// One instance with its history.
#[utoipa::path(
    get, path = "/api/v1/instances/{id}", params(("id" = Uuid, Path)),
    responses(
        (status = 200, body = InstanceView),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn view(portal: web::Data<Portal>, id: web::Path<Uuid>, client: Client) -> Result<HttpResponse, Failure> {
    Ok(HttpResponse::Ok().json(view_of(&portal, &client, *id).await?))
}

/// Takes an action of the present state, or `resume`, `cancel`, `claim`, `release`.
#[utoipa::path(
    post, path = "/api/v1/instances/{id}/actions/{action}", request_body = ActBody,
    params(
        ("id" = Uuid, Path), ("action" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key acts once, for a day."),
    ),
    responses(
        (status = 200, body = InstanceView),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn act(
    portal: web::Data<Portal>,
    request: HttpRequest,
    path: web::Path<(Uuid, String)>,
    call: Call<ActBody>,
) -> Result<HttpResponse, Failure> {
    let Call { client, body } = call;
    let key = key(&request, &body)?;
    let (id, action) = path.into_inner();
    let ActBody { step, fields, shown } = body;
    portal.engine.act(&client.caller, id, Act { step, action, fields, shown }, key).await?;
    Ok(HttpResponse::Ok().json(view_of(&portal, &client, id).await?))
}

async fn view_of(portal: &Portal, client: &Client, id: Uuid) -> Result<InstanceView, Failure> {
    let view = portal.engine.view(&client.caller, id).await?;
    let jobs = desk::job_times(&portal.engine, view.stored.root).await.map_err(EngineError::from)?;
    Ok(InstanceView::of(&view, portal.engine.definitions(), &jobs))
}

/// The idempotency key of a request and the digest of what it asks for.
fn key(request: &HttpRequest, body: &impl Serialize) -> Result<Option<Key>, Failure> {
    let mut given = request.headers().get_all("idempotency-key");
    let Some(value) = given.next() else { return Ok(None) };
    let value = value.to_str().ok().filter(|value| (1..=128).contains(&value.len()) && given.next().is_none());
    let detail = "An idempotency key is one header of 1 to 128 characters of ASCII.";
    let value = value.ok_or_else(|| refused(StatusCode::BAD_REQUEST, detail))?;
    let body = serde_json::to_string(body).unwrap_or_default();
    let digest = random::digest(format!("{} {}\n{body}", request.method(), request.path()).as_bytes());
    Ok(Some(Key { key: value.to_owned(), digest }))
}
