//! Chromium, driven by chromedriver (fantoccini), and by DevTools for what WebDriver cannot say.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::key::Key;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use sealwright_world::ports::free_address;
use serde_json::{Value, json};

/// The auditor of accessibility, which runs in the page.
const AXE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/var/tools/axe/node_modules/axe-core/axe.min.js");

pub struct Chromium {
    client: Client,
    _driver: Driver,
}

/// Ends with the test, and the browser with it.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A DevTools command, which WebDriver passes on (chromedriver's `goog/cdp/execute`).
#[derive(Debug)]
struct DevTools {
    command: &'static str,
    parameters: Value,
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({ "cmd": self.command, "params": self.parameters }).to_string()))
    }
}

impl Chromium {
    pub async fn start(profile: &Path) -> Self {
        let port = free_address().expect("a port").port();
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        let is_root = nix::unistd::geteuid().is_root();
        if is_root {
            // In processes of their own, none of a browser's is left behind: they end when the first of them is killed.
            command.args(["unshare", "--pid", "--fork", "--mount-proc", "--kill-child=KILL"]);
        }
        command.args(["chromedriver", &format!("--port={port}")]);
        let spawned = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let driver = Driver(spawned.expect("chromedriver (make test installs it)"));
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
        if is_root {
            arguments.push("--no-sandbox".to_owned());
        }
        let options = json!({ "args": arguments });
        let capabilities = Capabilities::from_iter([("goog:chromeOptions".to_owned(), options)]);
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities);
        for _ in 0..200 {
            if let Ok(client) = builder.connect(&format!("http://127.0.0.1:{port}")).await {
                return Self { client, _driver: driver };
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("chromedriver did not start within ten seconds");
    }

    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.expect("the page");
    }

    /// Runs a script in the page; gives what it returns.
    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap_or_else(|error| panic!("{script}: {error}"))
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

    /// Clicks what a selector finds, as a person does: again, if the page has just renewed itself under the finger.
    pub async fn click(&self, selector: &str) {
        for _ in 0..20 {
            let found = self.client.find(Locator::Css(selector)).await;
            let element = found.unwrap_or_else(|error| panic!("{selector}: {error}"));
            match element.click().await {
                Ok(()) => return,
                Err(error) if error.is_stale_element_reference() => {}
                Err(error) => panic!("{selector}: {error}"),
            }
        }
        panic!("{selector}: the page renews itself without rest");
    }

    /// Types into a field.
    pub async fn write(&self, selector: &str, text: &str) {
        let found = self.client.find(Locator::Css(selector)).await;
        let element = found.unwrap_or_else(|error| panic!("{selector}: {error}"));
        element.send_keys(text).await.unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    /// Goes on with the tab key until what has the focus is what a selector finds; it must be seen to have it.
    pub async fn tab_to(&self, selector: &str) {
        let script = format!("return document.activeElement.matches(\"{selector}\")");
        for _ in 0..60 {
            self.press(Key::Tab).await;
            if self.run(&script).await == Value::Bool(true) {
                let outline = "return getComputedStyle(document.activeElement).outlineStyle";
                assert_ne!(self.run(outline).await, "none", "{selector}: nobody sees where the keyboard is");
                return;
            }
        }
        panic!("{selector}: not reached with the keyboard");
    }

    /// Presses a key, wherever the keyboard is.
    pub async fn press(&self, key: Key) {
        self.press_keys(&char::from(key).to_string()).await;
    }

    /// Types, wherever the keyboard is.
    pub async fn press_keys(&self, keys: &str) {
        let actions = keys.chars().fold(KeyActions::new("keyboard".to_owned()), |actions, key| {
            actions.then(KeyAction::Down { value: key }).then(KeyAction::Up { value: key })
        });
        self.client.perform_actions(actions).await.expect("pressed");
    }

    async fn devtools(&self, command: &'static str, parameters: Value) -> Value {
        let answered = self.client.issue_cmd(DevTools { command, parameters }).await;
        answered.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Nothing that axe-core finds against WCAG 2.2 AA.
    async fn is_accessible(&self, name: &str) {
        let source =
            std::fs::read_to_string(AXE).unwrap_or_else(|error| panic!("{AXE} (make test installs it): {error}"));
        self.run(&source).await;
        let audit = "const done = arguments[arguments.length - 1];
            const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
            axe.run(document, { runOnly: { type: 'tag', values: tags } }).then(
                (found) => done(found.violations.map((rule) =>
                    rule.id + ': ' + rule.help + ': ' + rule.nodes.map((node) => node.html).join(' '))),
                (error) => done([String(error)]));";
        let found = self.client.execute_async(audit, Vec::new()).await.expect("an audit");
        assert_eq!(found, json!([]), "{name} is not accessible to everybody");
    }

    /// Takes pictures at three widths, light and dark; nothing may be wider than the window, out of reach for somebody, or fetched from elsewhere.
    pub async fn pictures(&self, folder: &Path, name: &str) {
        std::fs::create_dir_all(folder).expect("a folder");
        for width in [390, 768, 1280] {
            for scheme in ["light", "dark"] {
                self.look_at(name, width, scheme).await;
                let capture = json!({ "format": "png", "captureBeyondViewport": true });
                let picture = self.devtools("Page.captureScreenshot", capture).await;
                let bytes = STANDARD.decode(picture["data"].as_str().expect("a picture")).expect("base64");
                std::fs::write(folder.join(format!("{name}-{width}-{scheme}.png")), bytes).expect("written");
            }
        }
    }

    /// The same without pictures, on a phone in the light and on a desktop in the dark.
    pub async fn look(&self, name: &str) {
        self.look_at(name, 390, "light").await;
        self.look_at(name, 1280, "dark").await;
    }

    async fn look_at(&self, name: &str, width: u32, scheme: &str) {
        let fetched = "return performance.getEntriesByType('resource').map((entry) => entry.name)
            .filter((name) => !name.startsWith(location.origin + '/'))";
        assert_eq!(self.run(fetched).await, json!([]), "{name} fetches something from elsewhere");
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let feature = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", feature).await;
        let wide = self.run("return document.documentElement.scrollWidth > window.innerWidth + 1").await;
        assert_eq!(wide, Value::Bool(false), "{name} is wider than {width}");
        // The middle width has nothing that the others have not.
        if width != 768 {
            self.is_accessible(name).await;
        }
    }
}
