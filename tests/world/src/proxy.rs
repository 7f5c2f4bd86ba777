//! The demo's stand-in for the web server with the company's sign-in: on the loopback address, lets one pick a person, and sets header and
//! secret as Apache would.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::cookie::Cookie;
use actix_web::http::header;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use askama::Template;
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::sync::watch;

use crate::directory::Person;

const COOKIE: &str = "demo-person";
/// How long a connection to the portal is kept, which is shorter than the portal keeps it.
const IDLE: Duration = Duration::from_secs(60);
/// How long a connection of a browser or test may rest: longer than they keep theirs (reqwest: 90 s), or one ends as a request is sent on it.
const KEEP_ALIVE: Duration = Duration::from_secs(120);

struct Proxy {
    portal: watch::Receiver<SocketAddr>,
    secret: String,
    people: Vec<Person>,
    client: reqwest::Client,
}

#[derive(Template)]
#[template(path = "demo.html")]
struct PeoplePage<'a> {
    people: &'a [Person],
}

#[derive(Deserialize)]
struct Pick {
    person: String,
}

/// Serves until the process ends; asks whichever portal is named at the time.
///
/// # Errors
/// The address is taken.
pub fn start(
    address: SocketAddr,
    portal: watch::Receiver<SocketAddr>,
    secret: &str,
    people: Vec<Person>,
) -> anyhow::Result<actix_web::dev::Server> {
    let client =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).pool_idle_timeout(IDLE).build()?;
    let proxy = Proxy { portal, secret: secret.to_owned(), people, client };
    let proxy = web::Data::from(Arc::new(proxy));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(proxy.clone())
            .app_data(web::PayloadConfig::new(1 << 20))
            .route("/demo", web::get().to(self::people))
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

async fn people(proxy: web::Data<Proxy>) -> HttpResponse {
    match (PeoplePage { people: &proxy.people }).render() {
        Ok(body) => HttpResponse::Ok().content_type("text/html; charset=utf-8").body(body),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

async fn pick(proxy: web::Data<Proxy>, form: web::Form<Pick>) -> HttpResponse {
    if !proxy.people.iter().any(|person| person.login == form.person) {
        return HttpResponse::BadRequest().body("There is no such person in the demo.");
    }
    HttpResponse::SeeOther()
        .cookie(Cookie::build(COOKIE, form.person.clone()).path("/").http_only(true).finish())
        .insert_header((header::LOCATION, "/"))
        .finish()
}

async fn forward(proxy: web::Data<Proxy>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let Some(person) = request.cookie(COOKIE) else {
        return HttpResponse::SeeOther().insert_header((header::LOCATION, "/demo")).finish();
    };
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
    let forwarded = forwarded
        .header("X-Remote-User", person.value())
        .header("X-Sealwright-Proxy", &proxy.secret)
        .body(body)
        .send()
        .await;
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
