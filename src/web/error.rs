//! The page of a failure, with the request's id.

use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use crate::http::Failure;
use crate::http::observe::request_id;

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    title: &'a str,
    advice: &'a str,
    request: &'a str,
}

/// The face of failures on the pages' surface.
pub fn page(failure: &Failure, request: &str) -> HttpResponse {
    let page = ErrorPage { title: failure.title, advice: &failure.advice, request };
    let body = page.render().unwrap_or_else(|_| failure.title.to_owned());
    HttpResponse::build(failure.status).content_type("text/html; charset=utf-8").body(body)
}

/// Answers every request without a route.
pub async fn not_found(request: HttpRequest) -> Result<HttpResponse, Failure> {
    tracing::debug!(request = request_id(&request), "no such page");
    Err(Failure::not_found())
}
