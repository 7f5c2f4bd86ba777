//! As much of a browser as a form needs: cookies, forms, redirects to look at.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};

pub struct Browser {
    base: String,
    client: reqwest::Client,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    /// # Errors
    /// The client cannot be made.
    pub fn new(base: &str) -> anyhow::Result<Self> {
        Self::with(base, reqwest::Client::builder())
    }

    /// The same, with what the client is made of.
    ///
    /// # Errors
    /// The client cannot be made.
    pub fn with(base: &str, client: reqwest::ClientBuilder) -> anyhow::Result<Self> {
        let client = client.redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { base: base.to_owned(), client, cookies: BTreeMap::new() })
    }

    /// Forgets every cookie: the next request is somebody new's, by way of the same connections.
    pub fn forget(&mut self) {
        self.cookies.clear();
    }

    /// The body of a page.
    ///
    /// # Errors
    /// Another status than 200.
    pub async fn get(&mut self, path: &str) -> anyhow::Result<String> {
        let answer = self.client.get(format!("{}{path}", self.base)).header(COOKIE, self.cookie()).send().await?;
        self.keep(&answer);
        let status = answer.status();
        let body = answer.text().await?;
        if status != reqwest::StatusCode::OK {
            bail!("{path}: {status}\n{body}");
        }
        Ok(body)
    }

    /// Sends a form; gives where the browser would go.
    ///
    /// # Errors
    /// Anything but a redirect.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> anyhow::Result<String> {
        let request = self.client.post(format!("{}{path}", self.base)).header(COOKIE, self.cookie());
        let body = fields
            .iter()
            .map(|(name, value)| {
                format!("{name}={}", value.replace('%', "%25").replace('/', "%2F").replace('+', "%2B"))
            })
            .collect::<Vec<_>>()
            .join("&");
        let answer = request.header("content-type", "application/x-www-form-urlencoded").body(body).send().await?;
        self.keep(&answer);
        let status = answer.status();
        let location = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()).map(str::to_owned);
        if status != reqwest::StatusCode::SEE_OTHER {
            bail!("{path}: {status}\n{}", answer.text().await?);
        }
        location.context("a redirect to nowhere")
    }

    /// Fetches a page until it shows what is expected.
    ///
    /// # Errors
    /// It does not in time.
    pub async fn until(
        &mut self,
        path: &str,
        patience: Duration,
        pause: Duration,
        expected: impl Fn(&str) -> bool,
    ) -> anyhow::Result<String> {
        let end = tokio::time::Instant::now() + patience;
        loop {
            let page = self.get(path).await?;
            if expected(&page) {
                return Ok(page);
            }
            if tokio::time::Instant::now() > end {
                bail!("{path} does not show what is expected:\n{page}");
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// The header that the browser sends.
    pub fn cookie(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, answer: &reqwest::Response) {
        for cookie in answer.headers().get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok()) {
            let pair = cookie.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}
