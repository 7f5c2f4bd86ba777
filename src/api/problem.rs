//! Failures as problem details (RFC 9457).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::WWW_AUTHENTICATE;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::Failure;

/// Why a request was not carried out.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    /// What happened and what to do, for a person.
    detail: String,
    /// The id of the request, as the log has it.
    request: String,
}

/// The face of failures on the API.
pub fn problem(failure: &Failure, request: &str) -> HttpResponse {
    let problem = Problem {
        kind: "about:blank",
        title: failure.status.canonical_reason().unwrap_or("Problem"),
        status: failure.status.as_u16(),
        detail: failure.advice.clone(),
        request: request.to_owned(),
    };
    let body = serde_json::to_string(&problem).unwrap_or_default();

    let mut answer = HttpResponse::build(failure.status);
    if failure.status == StatusCode::UNAUTHORIZED {
        // RFC 9110 section 11.6.1: a program is told what it is asked for.
        answer.insert_header((WWW_AUTHENTICATE, "Bearer"));
    }
    answer.content_type("application/problem+json").body(body)
}

/// A failure that has a status and a detail alone, as the API tells it.
pub fn refused(status: StatusCode, detail: &str) -> Failure {
    Failure::new(status, status.canonical_reason().unwrap_or("Problem"), detail)
}

pub fn not_found() -> Failure {
    refused(StatusCode::NOT_FOUND, "There is no such resource.")
}
