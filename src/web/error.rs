//! One error, one page: what happened and what to do, with the request id. Causes go to the log alone.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use askama::Template;
use sealwright_workflow::step::Rejection;

use crate::engine::EngineError;
use crate::http::observe::{request_id, with_request_id};

/// An error on its way to a person.
#[derive(Debug)]
pub struct PageError {
    pub status: StatusCode,
    pub title: &'static str,
    pub say: String,
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    title: &'a str,
    say: &'a str,
    request: &'a str,
}

impl PageError {
    pub fn new(status: StatusCode, title: &'static str, say: impl Into<String>) -> Self {
        Self { status, title, say: say.into() }
    }

    /// Something that is nobody's fault but ours.
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

impl From<EngineError> for PageError {
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

impl std::fmt::Display for PageError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.title)
    }
}

impl ResponseError for PageError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    /// The request id is filled in by `observe`, which knows the request.
    fn error_response(&self) -> HttpResponse {
        let page = ErrorPage { title: self.title, say: &self.say, request: "{request}" };
        let body = page.render().unwrap_or_else(|_| self.title.to_owned());
        with_request_id(HttpResponse::build(self.status).content_type("text/html; charset=utf-8").body(body))
    }
}

/// Everything without a page of its own.
pub async fn not_found(request: HttpRequest) -> Result<HttpResponse, PageError> {
    tracing::debug!(request = request_id(&request), "no such page");
    Err(PageError::not_found())
}
