//! Alice's way: over HTTP through the proxy as a browser would, with the agent as a process of its own.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::browser::Browser;
use crate::world::World;

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

/// A person's page of an instance that waits for a card.
pub struct Begun {
    pub browser: Browser,
    pub path: String,
    pub instance: String,
    pub csrf: String,
    /// The write transactions that the database had committed before the start.
    commits_before: u64,
}

/// Signs in, starts, pairs, and waits for the end.
///
/// # Errors
/// What did not go as expected, with the page's own words.
pub async fn run(world: &World, person: &str, reader: &str, pin_file: &Path) -> anyhow::Result<Journey> {
    let mut begun = begin(world, person).await?;
    println!("{person} is signed in as a user and has begun");
    let code = offer(&mut begun).await?;
    let mut agent = Agent::start(world, &code, reader, Some(pin_file), &[])?;
    let ended = agent.converse(&mut begun).await?;
    ensure!(ended.success(), "the agent ended: {}", ended.said);
    let view = view(&mut begun).await?;
    let after = commits(&world.folder)?;
    let status = status_of(&view)?;
    ensure!(status == "success", "the personalization ended with {status}:\n{view}");
    Ok(Journey { instance: begun.instance, view, commits: after.saturating_sub(begun.commits_before) })
}

/// Signs in and picks a role; gives the browser and its form token.
///
/// # Errors
/// What the page says instead.
pub async fn sign_in(world: &World, person: &str, role: &str) -> anyhow::Result<(Browser, String)> {
    let mut browser = Browser::new(&format!("http://{}", world.proxy))?;
    browser.post("/demo", &[("person", person)]).await?;
    let csrf = pick_role(&mut browser, role).await?;
    Ok((browser, csrf))
}

/// Picks a role; gives the token of the session's forms.
///
/// # Errors
/// What the page says instead.
pub async fn pick_role(browser: &mut Browser, role: &str) -> anyhow::Result<String> {
    // The page of roles has no form for whom no handler grants one.
    let session = serde_json::from_str::<serde_json::Value>(&browser.get("/api/v1/session").await?)?;
    let csrf = session.get("csrf").and_then(serde_json::Value::as_str).context("no token of the session")?.to_owned();
    browser.post("/role", &[("csrf", &csrf), ("role", role), ("to", "/")]).await?;
    Ok(csrf)
}

/// Signs in, picks the role and starts.
///
/// # Errors
/// What the page says instead.
pub async fn begin(world: &World, person: &str) -> anyhow::Result<Begun> {
    let (browser, csrf) = sign_in(world, person, "user").await?;
    begin_as(world, browser, csrf).await
}

/// Starts, as somebody who has signed in and picked a role.
///
/// # Errors
/// What the page says instead.
pub async fn begin_as(world: &World, mut browser: Browser, csrf: String) -> anyhow::Result<Begun> {
    // Another database than SQLite has no such file.
    let commits_before = commits(&world.folder).unwrap_or_default();
    let path = browser.post("/start/personalize", &[("csrf", &csrf), ("plain", "1")]).await?;
    let path = path.split('?').next().unwrap_or_default().to_owned();
    let instance = path.trim_start_matches("/instances/").to_owned();
    Ok(Begun { browser, path, instance, csrf, commits_before })
}

/// The code that the page shows; asks for one where it shows none.
///
/// # Errors
/// The page shows none.
pub async fn offer(begun: &mut Begun) -> anyhow::Result<String> {
    const CODE: &str = "<code class=\"code\">";
    let needs_card = |page: &str| page.contains(CODE) || page.contains("Get a code");
    let mut page = begun.browser.until(&begun.path, PATIENCE, PAUSE, needs_card).await?;
    if !page.contains(CODE) {
        begun.browser.post(&format!("{}/code", begun.path), &[("csrf", &begun.csrf)]).await?;
        page = begun.browser.get(&begun.path).await?;
    }
    between(&page, CODE, "</code>").context("no code on the page")
}

/// The API's view, JSON.
///
/// # Errors
/// It is not answered.
pub async fn view(begun: &mut Begun) -> anyhow::Result<String> {
    begun.browser.get(&format!("/api/v1/instances/{}", begun.instance)).await
}

/// The status in a view.
///
/// # Errors
/// It is no view.
pub fn status_of(view: &str) -> anyhow::Result<String> {
    let view = serde_json::from_str::<serde_json::Value>(view)?;
    Ok(view.get("status").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned())
}

async fn end(child: &mut Child) -> anyhow::Result<Ended> {
    let status = child.wait().await?;
    let mut said = String::new();
    if let Some(mut errors) = child.stderr.take() {
        errors.read_to_string(&mut said).await?;
    }
    Ok(Ended { status, said })
}

/// How an agent ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    /// Its last words, where it did not succeed.
    pub said: String,
}

impl Ended {
    pub fn success(&self) -> bool {
        self.status.success()
    }
}

/// The agent as a process of its own.
pub struct Agent {
    child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Agent {
    /// Starts the agent with a code. The PIN comes from a file, or is asked for and answered like everything else.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(
        world: &World,
        code: &str,
        reader: &str,
        pin_file: Option<&Path>,
        environment: &[(String, String)],
    ) -> anyhow::Result<Self> {
        let mut command = match pin_file {
            // The shell opens the PIN's file as descriptor 3.
            Some(pin_file) => {
                let mut command = Command::new("sh");
                command.args(["-c", "exec 3<\"$0\"; exec \"$@\" --pin-fd 3"]).arg(pin_file).arg(&world.agent);
                command
            }
            None => Command::new(&world.agent),
        };
        command
            .args(["connect", code, "--portal", &world.agent_url, "--reader", reader])
            .envs(environment.iter().cloned());
        Self::spawn(command)
    }

    /// Starts the agent that waits for cards and codes.
    ///
    /// # Errors
    /// It does not start.
    pub fn wait_for_codes(world: &World, reader: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(&world.agent);
        command.args(["run", "--portal", &world.agent_url, "--reader", reader]);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().context("no input")?;
        let output = child.stdout.take().context("no output")?;
        Ok(Self { child, input, lines: BufReader::new(output).lines() })
    }

    /// The process.
    ///
    /// # Errors
    /// It has ended.
    pub fn id(&self) -> anyhow::Result<u32> {
        self.child.id().context("the agent has ended")
    }

    /// The next line that the agent prints.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn line(&mut self) -> anyhow::Result<Option<String>> {
        let line = self.lines.next_line().await?;
        Ok(line.map(|line| line.trim_start_matches("Does the page show the same number? [y/N] ").to_owned()))
    }

    /// Answers the agent's question about the number.
    ///
    /// # Errors
    /// The agent has gone.
    pub async fn answer(&mut self, answer: &str) -> anyhow::Result<()> {
        Ok(self.input.write_all(answer.as_bytes()).await?)
    }

    /// Compares the numbers on both sides, confirms both, and listens until the agent ends.
    ///
    /// # Errors
    /// The numbers differ.
    pub async fn converse(&mut self, begun: &mut Begun) -> anyhow::Result<Ended> {
        self.converse_and_hear(begun, |line| println!("  agent: {line}")).await
    }

    /// The same, with every line that it says.
    ///
    /// # Errors
    /// The numbers differ.
    pub async fn converse_and_hear(&mut self, begun: &mut Begun, mut hear: impl FnMut(&str)) -> anyhow::Result<Ended> {
        while let Some(line) = self.line().await? {
            hear(&line);
            self.answer_for(begun, &line).await?;
        }
        self.end().await
    }

    /// Compares the numbers on both sides, confirms both, and listens until the agent says `text`.
    ///
    /// # Errors
    /// The numbers differ, or the agent ends without having said it.
    pub async fn until(&mut self, begun: &mut Begun, text: &str) -> anyhow::Result<()> {
        while let Some(line) = self.line().await? {
            self.answer_for(begun, &line).await?;
            if line.contains(text) {
                return Ok(());
            }
        }
        anyhow::bail!("the agent has not said `{text}`: {}", self.end().await?.said)
    }

    /// Nobody types any more; waits for the end.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub async fn close(self) -> anyhow::Result<Ended> {
        let Self { mut child, input, lines } = self;
        drop(input);
        let ended = end(&mut child).await;
        // It may print until it has ended.
        drop(lines);
        ended
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub async fn end(&mut self) -> anyhow::Result<Ended> {
        end(&mut self.child).await
    }

    /// Does what a line asks the person for: to compare numbers.
    async fn answer_for(&mut self, begun: &mut Begun, line: &str) -> anyhow::Result<()> {
        if let Some(number) = line.strip_prefix("Number:") {
            return self.compare(begun, number.trim()).await;
        }
        let Some(number) = line.strip_prefix("Reconnected. If the page still asks, the number is ") else {
            return Ok(());
        };
        // Confirmed on this side before.
        let asks = begun.browser.get(&begun.path).await.is_ok_and(|page| page.contains("class=\"number\""));
        if asks { self.confirm(begun, number.trim_end_matches('.')).await } else { Ok(()) }
    }

    /// Compares the number with the page's and confirms both sides, again if the page does not answer.
    ///
    /// # Errors
    /// The numbers differ, or the page does not answer for long.
    pub async fn compare(&mut self, begun: &mut Begun, number: &str) -> anyhow::Result<()> {
        self.answer("y\n").await?;
        self.confirm(begun, number).await
    }

    /// The page's side of it.
    async fn confirm(&mut self, begun: &mut Begun, number: &str) -> anyhow::Result<()> {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            match confirm(begun, number).await {
                // An agent that has given up shows no number that could be compared; its end says why.
                Err(_) if self.child.try_wait()?.is_some() => return Ok(()),
                Err(error) if tokio::time::Instant::now() < end => {
                    tracing::debug!(%error, "confirmed again");
                    tokio::time::sleep(PAUSE).await;
                }
                other => return other,
            }
        }
    }
}

async fn confirm(begun: &mut Begun, number: &str) -> anyhow::Result<()> {
    let page = begun.browser.get(&begun.path).await?;
    // Confirmed before, and only the answer was lost.
    if page.contains("</strong> is connected.") {
        return Ok(());
    }
    let shown = between(&page, "<strong class=\"number\">", "</strong>").context("no number on the page")?;
    ensure!(shown == number, "the page shows {shown}, the agent {number}");
    if page.contains("/confirm\"") {
        let pairing = field(&page, "pairing").context("no pairing on the page")?;
        let fields = [("csrf", begun.csrf.as_str()), ("pairing", pairing.as_str())];
        begun.browser.post(&format!("{}/confirm", begun.path), &fields).await?;
    }
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
