//! Chromium, driven by chromedriver over the WebDriver protocol (W3C), and by DevTools for what WebDriver cannot say.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealwright::commands::demo::world::free_address;
use serde_json::{Value, json};

pub struct Chromium {
    base: String,
    session: String,
    client: reqwest::Client,
    driver: Child,
}

impl Chromium {
    pub async fn start(profile: &Path) -> Self {
        let port = free_address().expect("a port").port();
        let driver = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "chromedriver", &format!("--port={port}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver (make test installs it)");
        let mut chromium = Self {
            base: format!("http://127.0.0.1:{port}"),
            session: String::new(),
            client: reqwest::Client::new(),
            driver,
        };
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            format!("--user-data-dir={}", profile.display()),
        ];
        if nix::unistd::geteuid().is_root() {
            arguments.push("--no-sandbox".to_owned());
        }
        let capabilities =
            json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": { "args": arguments } } } });
        for _ in 0..200 {
            let asked =
                chromium.client.post(format!("{}/session", chromium.base)).body(capabilities.to_string()).send();
            if let Ok(answer) = asked.await {
                let text = answer.text().await.expect("a body");
                let body: Value = serde_json::from_str(&text).expect("JSON");
                chromium.session = body["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("{text}")).to_owned();
                return chromium;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("chromedriver did not start within ten seconds");
    }

    async fn command(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}/session/{}/{path}", self.base, self.session);
        let answer = self.client.post(url).body(body.to_string()).send().await.expect("an answer");
        let ok = answer.status().is_success();
        let text = answer.text().await.expect("a body");
        assert!(ok, "{path}: {text}");
        serde_json::from_str::<Value>(&text).expect("JSON")["value"].take()
    }

    pub async fn open(&self, url: &str) {
        self.command("url", &json!({ "url": url })).await;
    }

    /// Runs a script in the page; gives what it returns.
    pub async fn run(&self, script: &str) -> Value {
        self.command("execute/sync", &json!({ "script": script, "args": [] })).await
    }

    /// Waits until a script returns something true.
    pub async fn until(&self, script: &str) -> Value {
        for _ in 0..600 {
            let value = self.run(script).await;
            if !matches!(value, Value::Null | Value::Bool(false)) {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let page = self.run("return document.body.innerText").await;
        panic!("{script}: never true in 30 seconds\n{page}");
    }

    /// Clicks what a selector finds, as a person does.
    pub async fn click(&self, selector: &str) {
        let found = self.command("element", &json!({ "using": "css selector", "value": selector })).await;
        let element = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str);
        let element = element.unwrap_or_else(|| panic!("{selector}: {found}"));
        self.command(&format!("element/{element}/click"), &json!({})).await;
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.command("goog/cdp/execute", &json!({ "cmd": command, "params": parameters })).await
    }

    /// Takes pictures at three widths, light and dark; nothing may be wider than the window.
    pub async fn pictures(&self, folder: &Path, name: &str) {
        std::fs::create_dir_all(folder).expect("a folder");
        for width in [390, 768, 1280] {
            for scheme in ["light", "dark"] {
                let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
                self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
                let feature = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
                self.devtools("Emulation.setEmulatedMedia", feature).await;
                let wide = self.run("return document.documentElement.scrollWidth > window.innerWidth + 1").await;
                assert_eq!(wide, Value::Bool(false), "{name} is wider than {width}");
                let capture = json!({ "format": "png", "captureBeyondViewport": true });
                let picture = self.devtools("Page.captureScreenshot", capture).await;
                let bytes = STANDARD.decode(picture["data"].as_str().expect("a picture")).expect("base64");
                std::fs::write(folder.join(format!("{name}-{width}-{scheme}.png")), bytes).expect("written");
            }
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        drop(self.driver.kill());
        drop(self.driver.wait());
    }
}
