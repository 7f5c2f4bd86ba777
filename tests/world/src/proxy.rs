//! The demo's stand-in for the web server with the company's sign-in: on the loopback address, lets one pick a person, and sets header and
//! secret as Apache would.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::cookie::Cookie;
use actix_web::http::header;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::sync::watch;

use crate::front_page::{self, FrontPage};

const COOKIE: &str = "demo-person";
/// The portal's policy for its pages, without scripts.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// How long a connection to the portal is kept, which is shorter than the portal keeps it.
const IDLE: Duration = Duration::from_secs(60);
/// How long a connection of a browser or test may rest: longer than they keep theirs (reqwest: 90 s), or one ends as a request is sent on it.
const KEEP_ALIVE: Duration = Duration::from_secs(120);

struct Proxy {
    portal: watch::Receiver<SocketAddr>,
    secret: String,
    front_page: FrontPage,
    client: reqwest::Client,
}

/// The query of the first page.
#[derive(Deserialize)]
struct Asked {
    /// The page that the person wanted when nobody was signed in.
    to: Option<String>,
}

#[derive(Deserialize)]
struct Pick {
    person: String,
    to: Option<String>,
}

/// Serves until the process ends; asks whichever portal is named at the time.
///
/// # Errors
/// The address is taken.
pub fn start(
    address: SocketAddr,
    portal: watch::Receiver<SocketAddr>,
    secret: &str,
    front_page: FrontPage,
) -> anyhow::Result<actix_web::dev::Server> {
    let client =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).pool_idle_timeout(IDLE).build()?;
    let proxy = Proxy { portal, secret: secret.to_owned(), front_page, client };
    let proxy = web::Data::from(Arc::new(proxy));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(proxy.clone())
            .app_data(web::PayloadConfig::new(1 << 20))
            .route("/demo", web::get().to(first_page))
            .route("/demo", web::post().to(pick))
            .default_service(web::to(forward))
    })
    .workers(1)
    .keep_alive(KEEP_ALIVE)
    .disable_signals()
    .bind(address)?
    .run();
    Ok(server)
}

async fn first_page(proxy: web::Data<Proxy>, request: HttpRequest, asked: web::Query<Asked>) -> HttpResponse {
    let person = request.cookie(COOKIE);
    let login = person.as_ref().map(Cookie::value);
    match proxy.front_page.render(login, asked.to.as_deref()) {
        Ok(body) => HttpResponse::Ok()
            .content_type("text/html; charset=utf-8")
            .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .body(body),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

async fn pick(proxy: web::Data<Proxy>, form: web::Form<Pick>) -> HttpResponse {
    if !proxy.front_page.knows(&form.person) {
        return HttpResponse::BadRequest().body("There is no such person in the demo.");
    }
    HttpResponse::SeeOther()
        .cookie(Cookie::build(COOKIE, form.person.clone()).path("/").http_only(true).finish())
        .insert_header((header::LOCATION, front_page::destination(form.to.as_deref())))
        .finish()
}

async fn forward(proxy: web::Data<Proxy>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let person = request.cookie(COOKIE);
    // The first page wears the portal's style sheet, which is everybody's.
    if person.is_none() && !request.path().starts_with("/static/") {
        let location = front_page::location(request.path());
        return HttpResponse::SeeOther().insert_header((header::LOCATION, location)).finish();
    }
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let portal = *proxy.portal.borrow();
    let mut forwarded = proxy.client.request(
        reqwest::Method::from_bytes(request.method().as_str().as_bytes()).unwrap_or(reqwest::Method::GET),
        format!("http://{portal}{path}"),
    );
    // What the browser says of the sign-in is dropped; so are headers of this hop.
    for name in [header::COOKIE, header::CONTENT_TYPE, header::ACCEPT] {
        if let Some(value) = request.headers().get(&name) {
            forwarded = forwarded.header(name.as_str(), value.as_bytes());
        }
    }
    if let Some(token) = request.headers().get("x-csrf-token") {
        forwarded = forwarded.header("x-csrf-token", token.as_bytes());
    }
    if let Some(address) = request.peer_addr() {
        forwarded = forwarded.header("X-Forwarded-For", address.ip().to_string());
    }
    if let Some(person) = &person {
        forwarded = forwarded.header("X-Remote-User", person.value());
    }
    let forwarded = forwarded.header("X-Sealwright-Proxy", &proxy.secret).body(body).send().await;
    let answer = match forwarded {
        Ok(answer) => answer,
        Err(_) => return HttpResponse::BadGateway().body("The portal does not answer."),
    };
    let status = actix_web::http::StatusCode::from_u16(answer.status().as_u16());
    let mut response = HttpResponse::build(status.unwrap_or(actix_web::http::StatusCode::BAD_GATEWAY));
    for (name, value) in answer.headers() {
        if !matches!(name.as_str(), "connection" | "transfer-encoding" | "content-length") {
            response.append_header((name.as_str(), value.as_bytes()));
        }
    }
    response.streaming(answer.bytes_stream().map(|part| part.map_err(std::io::Error::other)))
}
