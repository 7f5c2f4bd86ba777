//! Failures of requests: what happened and what to do, without a face. Causes go to the log alone.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use sealwright_workflow::step::Rejection;

use crate::engine::EngineError;

/// A request that was not carried out.
///
/// The middleware [`observe`](super::observe::observe) knows the request's id, and answers with the [`Face`] of the
/// surface.
#[derive(Clone, Debug)]
pub struct Failure {
    pub status: StatusCode,
    pub title: &'static str,
    /// What happened and what to do, for a person.
    pub advice: String,
}

/// Renderer of failures, given the id of the request.
///
/// A surface, or a scope of it, has one as application data.
#[derive(Clone, Copy)]
pub struct Face(pub fn(&Failure, request: &str) -> HttpResponse);

impl Failure {
    pub fn new(status: StatusCode, title: &'static str, advice: impl Into<String>) -> Self {
        Self { status, title, advice: advice.into() }
    }

    /// A fault of the portal itself; its causes are logged here.
    pub fn internal(cause: &dyn std::error::Error) -> Self {
        let mut chain = cause.to_string();
        let mut source = cause.source();
        while let Some(error) = source {
            chain = format!("{chain}: {error}");
            source = error.source();
        }
        tracing::error!(cause = chain, "a request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something went wrong",
            "The portal could not do this. Nothing was lost. Try again in a minute; if it happens again, give the help desk the number below.",
        )
    }

    pub fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "Not found",
            "There is nothing here, or it is not yours to see. Go back to the start page.",
        )
    }

    pub fn csrf() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Please try again",
            "The form was too old or not from this portal. Go back, reload the page and try again.",
        )
    }

    pub fn sign_in() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "You are not signed in",
            "The portal could not tell from your company's sign-in who you are. Close the browser, sign in again and come back; if it happens again, give the help desk the number below.",
        )
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::NotFound => Self::not_found(),
            EngineError::Forbidden | EngineError::Rejected(Rejection::Forbidden { .. }) => Self::new(
                StatusCode::FORBIDDEN,
                "Not in this role",
                "You may not do this in the role that you have picked. Switch the role or ask somebody who may.",
            ),
            EngineError::Rejected(
                Rejection::Stale | Rejection::NotExpected { .. } | Rejection::UnknownAction { .. },
            ) => Self::new(
                StatusCode::CONFLICT,
                "This has changed",
                "It has moved on since you opened the page. Go back and reload the page to see how it stands now.",
            ),
            EngineError::Rejected(Rejection::Claimed) => Self::new(
                StatusCode::CONFLICT,
                "Somebody else is working on this",
                "Another operator is working on this. Go back and reload the page; you can release it there.",
            ),
            EngineError::Rejected(Rejection::Twice { .. }) => Self::new(
                StatusCode::CONFLICT,
                "You have already approved this",
                "Your approval counts once. Somebody else must approve too.",
            ),
            EngineError::KeyReused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "Idempotency key already used",
                "This idempotency key was used for another request. Use a new one.",
            ),
            EngineError::IdentityUnavailable(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "Not now",
                "The directory cannot confirm that you and the requester are different people, and without that nobody may decide. Try again in a minute; if it stays so, ask the people who keep the directory: an account without an employee number might be anybody's.",
            ),
            EngineError::Rejected(Rejection::Field { field }) => Self::new(
                StatusCode::BAD_REQUEST,
                "Something is missing",
                format!("The field “{}” is missing or not valid. Go back and correct it.", field.replace('_', " ")),
            ),
            other => Self::internal(&other),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.title)
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    /// An empty answer that carries the failure; the middleware renders it.
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::new(self.status);
        response.extensions_mut().insert(self.clone());
        response
    }
}
