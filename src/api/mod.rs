//! `/api/v1`: the four verbs as JSON, with the rights of the pages. Behind the sign-on it takes the session and its token (header
//! `X-CSRF-Token`); on the agents' surface, where nobody signs in, a service account's token. What it is, is told at `/api/v1/openapi.json`.

mod caller;
mod certificates;
mod instances;
mod problem;
mod views;

use actix_web::error::JsonPayloadError;
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};

use crate::http::{COOKIE, Face, Failure, Visitor, is_incomplete};

pub use caller::Door;
use problem::{Problem, problem, refused};

/// The largest body in bytes.
const MAXIMUM_BODY: usize = 64 * 1024;

/// The routes of the API, for one of its two doors.
pub fn routes(door: Door) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        let mut scope = web::scope("/api/v1")
            .app_data(door)
            .app_data(Face(problem))
            .app_data(web::JsonConfig::default().limit(MAXIMUM_BODY).error_handler(|error, _| {
                match error {
                    JsonPayloadError::Payload(error) if is_incomplete(&error) => {
                        refused(StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time. Nothing was done.")
                    }
                    _ => refused(StatusCode::BAD_REQUEST, "The body is not valid JSON of the expected form."),
                }
                .into()
            }))
            .app_data(web::PathConfig::default().error_handler(|_, _| problem::not_found().into()))
            .app_data(web::QueryConfig::default().error_handler(|_, _| {
                refused(StatusCode::BAD_REQUEST, "A query parameter has an unknown value.").into()
            }))
            .route("/openapi.json", web::get().to(document))
            .route("/certificates", web::get().to(certificates::list))
            .route("/instances", web::get().to(instances::list))
            .route("/instances", web::post().to(instances::start))
            .route("/instances/{id}", web::get().to(instances::view))
            .route("/instances/{id}/actions/{action}", web::post().to(instances::act));
        if door == Door::Session {
            scope = scope.route("/session", web::get().to(session));
        }
        config.service(scope.default_service(web::to(not_found)));
    }
}

/// The description of the API.
#[derive(OpenApi)]
#[openapi(
    info(title = "Sealwright", description = "Start, act, view and list workflows."),
    paths(session, certificates::list, instances::list, instances::start, instances::view, instances::act),
    security(("session" = [], "token" = []), ("service-account" = [])),
    modifiers(&Security)
)]
pub struct Description;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let cookie = ApiKey::Cookie(ApiKeyValue::with_description(COOKIE, "The session, behind the sign-on."));
        let token = ApiKey::Header(ApiKeyValue::with_description(
            "X-CSRF-Token",
            "The session's token, for what changes something.",
        ));
        components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
        components.add_security_scheme("token", SecurityScheme::ApiKey(token));
        components.add_security_scheme("service-account", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

async fn document() -> HttpResponse {
    HttpResponse::Ok().json(Description::openapi())
}

/// Somebody's session.
#[derive(Serialize, ToSchema)]
struct Session {
    login: String,
    /// Before a role is picked.
    role: Option<String>,
    /// The value that `X-CSRF-Token` must have.
    csrf: String,
}

/// The person who has signed in, and the CSRF token for requests that change something.
#[utoipa::path(
    get, path = "/api/v1/session", security(("session" = [])),
    responses((status = 200, body = Session), (status = 403, body = Problem, content_type = "application/problem+json"))
)]
async fn session(visitor: Visitor) -> Result<HttpResponse, Failure> {
    let row = &visitor.session;
    let session = Session { login: row.login.clone(), role: row.role.clone(), csrf: row.csrf.clone() };
    Ok(HttpResponse::Ok().json(session))
}

async fn not_found() -> Result<HttpResponse, Failure> {
    Err(problem::not_found())
}
