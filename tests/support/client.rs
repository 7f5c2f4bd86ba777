//! The API's client: somebody's program, signed in by the proxy's header.

use reqwest::Method;
use serde_json::Value;

use super::TestWorld;

/// Somebody's program, signed in by the proxy's header.
pub struct Client {
    base: String,
    secret: String,
    login: &'static str,
    http: reqwest::Client,
    cookie: String,
    csrf: String,
}

impl Client {
    /// Signs in and picks a role.
    pub async fn sign_in(test: &TestWorld, login: &'static str, role: &str) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let (base, secret) = (format!("http://{}", test.world.pages), test.world.secret.clone());
        let mut client = Self { base, secret, login, http, cookie: String::new(), csrf: String::new() };
        let answer = client.request(Method::GET, "/api/v1/session").send().await.expect("an answer");
        let cookie = answer.headers().get("set-cookie").expect("a cookie").to_str().expect("text").to_owned();
        let session: Value = serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
        assert_eq!((session["login"].as_str(), session["role"].as_str()), (Some(login), None));
        client.cookie = cookie.split(';').next().expect("a pair").to_owned();
        client.csrf = session["csrf"].as_str().expect("a token").to_owned();
        client.pick(role).await;
        client
    }

    /// Goes on in another role.
    pub async fn pick(&self, role: &str) {
        let fields = format!("role={role}&to=/");
        assert_eq!(self.submit("/role", &fields).await, 303);
    }

    /// Sends a form of a page; gives the status.
    pub async fn submit(&self, path: &str, fields: &str) -> u16 {
        let form = self.request(Method::POST, path).body(format!("csrf={}&{fields}", self.csrf));
        let form = form.header("content-type", "application/x-www-form-urlencoded");
        form.send().await.expect("an answer").status().as_u16()
    }

    /// The token of the session, for what changes something.
    pub fn csrf(&self) -> &str {
        &self.csrf
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.base))
            .header("X-Remote-User", self.login)
            .header("X-Sealwright-Proxy", &self.secret)
            .header("Cookie", &self.cookie)
    }

    /// What another program sends to be this client.
    pub fn headers(&self) -> [String; 4] {
        [
            format!("X-Remote-User: {}", self.login),
            format!("X-Sealwright-Proxy: {}", self.secret),
            format!("Cookie: {}", self.cookie),
            format!("X-CSRF-Token: {}", self.csrf),
        ]
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let request = self.request(Method::POST, path).header("X-CSRF-Token", &self.csrf);
        answer(request.header("content-type", "application/json").body(body.to_owned())).await
    }

    /// The instance, once `done` says so.
    pub async fn until(&self, path: &str, done: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..600 {
            let (status, body) = self.get(path).await;
            assert_eq!(status, 200, "{body}");
            if done(&body) {
                return body;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{path} does not show what is expected");
    }
}

/// Status and body; every refusal is a problem with the status in it and words for a person.
pub async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let kind = answer.headers().get("content-type").expect("a type").to_str().expect("text").to_owned();
    let text = answer.text().await.expect("a body");
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{status}: {error}: {text}"));
    if status >= 400 {
        assert_eq!(kind, "application/problem+json", "{body}");
        assert_eq!(body["status"], status);
        assert!(body["request"].as_str().is_some_and(|id| id.len() == 36), "{body}");
        assert!(body["detail"].as_str().is_some_and(|detail| detail.ends_with('.')), "{body}");
    }
    (status, body)
}
