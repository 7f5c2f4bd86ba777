//! Errors as problem details (RFC 9457).

use actix_web::http::StatusCode;
use actix_web::http::header::WWW_AUTHENTICATE;
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::engine::EngineError;
use crate::http::observe::with_request_id;
use crate::web::PageError;

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
    request: &'static str,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Problem"),
            status: status.as_u16(),
            detail: detail.into(),
            request: "{request}",
        }
    }

    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is no such resource.")
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let body = serde_json::to_string(self).unwrap_or_default();
        let mut answer = HttpResponse::build(self.status_code());
        if self.status_code() == StatusCode::UNAUTHORIZED {
            // RFC 9110 section 11.6.1: a program is told what it is asked for.
            answer.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        with_request_id(answer.content_type("application/problem+json").body(body))
    }
}

impl From<PageError> for Problem {
    fn from(error: PageError) -> Self {
        Self::new(error.status, error.say)
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        PageError::from(error).into()
    }
}
