//! Alice's way: over HTTP through the proxy as a browser would, with the agent as a process of its own.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use super::browser::Browser;
use super::world::World;

/// How long a page may take to show what is expected.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(40);

/// What came of it.
pub struct Journey {
    pub instance: String,
    /// The API's view, JSON.
    pub view: String,
    pub commits: u64,
}

/// Signs in, starts, pairs, and waits for the end.
///
/// # Errors
/// What did not go as expected, with the page's own words.
pub async fn run(world: &World, person: &str, reader: &str, pin_file: &Path) -> anyhow::Result<Journey> {
    let mut browser = Browser::new(&format!("http://{}", world.proxy))?;
    browser.post("/demo", &[("person", person)]).await?;
    let page = browser.get("/role?to=/token").await?;
    let csrf = field(&page, "csrf").context("no form on the role page")?;
    browser.post("/role", &[("csrf", &csrf), ("role", "user"), ("to", "/token")]).await?;
    println!("{person} is signed in as a user");
    let before = commits(&world.folder)?;
    let path = browser.post("/start/personalize", &[("csrf", &csrf), ("plain", "1")]).await?;
    let path = path.split('?').next().unwrap_or_default().to_owned();
    let instance = path.trim_start_matches("/instances/").to_owned();
    browser.until(&path, PATIENCE, PAUSE, |page| page.contains("Get a code")).await?;
    browser.post(&format!("{path}/code"), &[("csrf", &csrf)]).await?;
    let page = browser.until(&path, PATIENCE, PAUSE, |page| page.contains("class=\"code\"")).await?;
    let code = between(&page, "<code class=\"code\">", "</code>").context("no code on the page")?;
    agent(world, &mut browser, &path, &csrf, &code, reader, pin_file).await?;
    let view = browser.get(&format!("/api/v1/instances/{instance}")).await?;
    let after = commits(&world.folder)?;
    let status = serde_json::from_str::<serde_json::Value>(&view)?;
    let status = status.get("status").and_then(serde_json::Value::as_str).unwrap_or_default();
    ensure!(status == "success", "the personalization ended with {status}:\n{view}");
    Ok(Journey { instance, view, commits: after - before })
}

async fn agent(
    world: &World,
    browser: &mut Browser,
    path: &str,
    csrf: &str,
    code: &str,
    reader: &str,
    pin_file: &Path,
) -> anyhow::Result<()> {
    // The shell opens the PIN's file as descriptor 3.
    let mut child = Command::new("sh")
        .args(["-c", "exec 3<\"$0\"; exec \"$@\""])
        .arg(pin_file)
        .arg(&world.agent)
        .args(["connect", code, "--portal", &world.agent_url, "--pin-fd", "3", "--reader", reader])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut input = child.stdin.take().context("no input")?;
    let output = child.stdout.take().context("no output")?;
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await? {
        let line = line.trim_start_matches("Does the page show the same number? [y/N] ").to_owned();
        println!("  agent: {line}");
        if let Some(number) = line.strip_prefix("Number:") {
            let page = browser.until(path, PATIENCE, PAUSE, |page| page.contains("class=\"number\"")).await?;
            let shown = between(&page, "<strong class=\"number\">", "</strong>").context("no number on the page")?;
            if shown != number.trim() {
                bail!("the page shows {shown}, the agent {number}");
            }
            input.write_all(b"y\n").await?;
            browser.post(&format!("{path}/confirm"), &[("csrf", csrf)]).await?;
        }
    }
    let status = child.wait().await?;
    ensure!(status.success(), "the agent ended with {status}");
    Ok(())
}

/// The number of write transactions that SQLite has committed: the counter in the header of its WAL index
/// (SQLite's file format, section "WAL-Index Header", `iChange`).
fn commits(folder: &Path) -> anyhow::Result<u64> {
    let index = std::fs::read(folder.join("sealwright.db-shm"))?;
    let counter = index.get(8..12).context("no WAL index")?;
    Ok(u64::from(u32::from_ne_bytes(counter.try_into()?)))
}

/// The value of a hidden field.
pub fn field(page: &str, name: &str) -> Option<String> {
    between(page, &format!("name=\"{name}\" value=\""), "\"")
}

pub fn between(page: &str, before: &str, after: &str) -> Option<String> {
    let (_, rest) = page.split_once(before)?;
    rest.split_once(after).map(|(value, _)| value.to_owned())
}
