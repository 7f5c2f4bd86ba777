//! The pages: server-rendered, working without JavaScript. One page a file, its template has the same name.
//!
//! To add a page: `web/<page>.rs` with a handler, `templates/<page>.html`, one line in [`routes`], and one in `menu.rs` if
//! the menu shows it. A handler reads through `desk`, calls one verb of the engine, and answers with a page or a redirect;
//! it never changes state itself.

mod certificates;
mod credentials;
mod error;
mod events;
mod files;
mod frame;
mod home;
mod instance;
mod menu;
mod role;
mod start;

use actix_web::web;
use askama::Template;

use crate::http::Failure;
use frame::Frame;

pub use error::page as error_page;

/// The routes of the pages.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(home::get))
        .route("/events", web::get().to(events::of_tasks))
        .route("/role", web::get().to(role::get))
        .route("/role", web::post().to(role::post))
        .route("/credentials", web::get().to(credentials::get))
        .route("/certificates", web::get().to(certificates::get))
        .route("/start/{workflow}", web::get().to(start::get))
        .route("/start/{workflow}", web::post().to(start::post))
        .route("/start/{workflow}/{about}", web::get().to(start::about))
        .route("/instances/resume", web::post().to(home::resume_stuck))
        .route("/instances/{id}", web::get().to(instance::get))
        .route("/instances/{id}/act", web::post().to(instance::act))
        .route("/instances/{id}/code", web::post().to(instance::code))
        .route("/instances/{id}/confirm", web::post().to(instance::confirm))
        .route("/instances/{id}/events", web::get().to(events::of_instance))
        .route("/static/{file}", web::get().to(files::get))
        .route("/{link}", web::get().to(start::link))
        .default_service(web::to(error::not_found));
}

/// Renders a page.
///
/// # Errors
/// [`Failure::internal`] when the template fails.
fn render(page: &impl Template) -> Result<actix_web::HttpResponse, Failure> {
    let body = page.render().map_err(|error| Failure::internal(&error))?;
    Ok(actix_web::HttpResponse::Ok().content_type("text/html; charset=utf-8").body(body))
}

/// Answers a POST: the browser fetches the page anew.
fn see_other(to: &str) -> actix_web::HttpResponse {
    actix_web::HttpResponse::SeeOther().insert_header((actix_web::http::header::LOCATION, to.to_owned())).finish()
}
