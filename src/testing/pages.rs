//! A browser without scripts: it asks the pages' handlers in this process, with the header of the proxy and the session's cookie.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::cookie::Cookie;
use actix_web::http::header;
use actix_web::middleware::from_fn;
use actix_web::rt::System;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, web::Data};

use super::World;
use crate::http::{Face, observe};
use crate::portal::Portal;
use crate::web;

/// Somebody at the pages.
pub struct Browser {
    portal: Portal,
    login: String,
    cookie: Option<Cookie<'static>>,
}

/// What a page was answered with.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    /// Where the browser is sent.
    pub to: Option<String>,
    pub body: String,
}

impl Browser {
    pub fn new(world: &World, login: &str) -> Self {
        Self { portal: world.portal().clone(), login: login.to_owned(), cookie: None }
    }

    /// One that has picked a role.
    pub fn in_role(world: &World, login: &str, role: &str) -> Self {
        let mut browser = Self::new(world, login);
        let page = browser.get("/role");
        let picked = browser.post("/role", &page, &[("role", role), ("to", "/")]);
        assert_eq!(picked.status, 303, "{}", picked.body);
        browser
    }

    /// Sends a form with the token of the page that it stands on.
    pub fn post(&mut self, path: &str, page: &Page, fields: &[(&str, &str)]) -> Page {
        let (_, csrf) = page.body.split_once("name=\"csrf\" value=\"").expect("a form");
        let (csrf, _) = csrf.split_once('"').expect("a token");
        let all = [fields, &[("csrf", csrf)]].concat();
        let fields: Vec<String> =
            all.iter().map(|(name, value)| format!("{name}={}", value.replace(' ', "+"))).collect();
        let kind = (header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.ask(TestRequest::post().uri(path).set_payload(fields.join("&")).insert_header(kind))
    }

    pub fn get(&mut self, path: &str) -> Page {
        self.ask(TestRequest::get().uri(path))
    }

    fn ask(&mut self, request: TestRequest) -> Page {
        let peer = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
        let request = request
            .peer_addr(peer)
            .insert_header(("X-Remote-User", self.login.clone()))
            .insert_header(("X-Sealwright-Proxy", "a secret of at least thirty-two characters"));
        let request = match &self.cookie {
            Some(cookie) => request.cookie(cookie.clone()),
            None => request,
        };
        let data = Data::new(self.portal.clone());
        let (page, cookie) = System::new().block_on(async move {
            let app = App::new().app_data(data).app_data(Face(web::error_page));
            let service = init_service(app.wrap(from_fn(observe::observe)).configure(web::routes)).await;
            let answer = call_service(&service, request.to_request()).await;
            let cookie = answer.response().cookies().next().map(|cookie| cookie.into_owned());
            let to = answer.headers().get(header::LOCATION).map(|to| to.to_str().expect("text").to_owned());
            let status = answer.status().as_u16();
            let body = String::from_utf8(read_body(answer).await.to_vec()).expect("text");
            (Page { status, to, body }, cookie)
        });
        self.cookie = cookie.or(self.cookie.take());
        page
    }
}

/// The text of a page as it is read: tags left out, spaces joined.
pub fn text(body: &str) -> String {
    let (mut text, mut is_tag) = (String::new(), false);
    for letter in body.chars() {
        match letter {
            '<' => is_tag = true,
            '>' => is_tag = false,
            other if !is_tag => text.push(other),
            _ => {}
        }
    }
    let text = text.replace("&#34;", "\"").replace("&#39;", "'").replace("&quot;", "\"").replace("&#x27;", "'");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
