//! PINs that people choose: the portal's policy, the terminal where they are typed, and portals that know neither.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::pty::{OpenptyResult, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use sealwright_protocol::{FromPortal, Instruction, NOT_UNDERSTOOD};
use sealwright_world::journey::{self, Begun};

use super::assert_personalized;
use crate::support::wire::Wire;
use crate::support::{Database, PIN, TestWorld, shows};

/// How long the agent may take to say something at a terminal.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_that_breaks_the_policy_is_refused_at_its_first_entry() {
    let test = TestWorld::start(Database::Sqlite).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let mut agent = test.agent_with(&code, None, &[]);
    let mut said = Vec::new();
    while let Some(line) = agent.line().await.expect("a line") {
        if let Some(number) = line.strip_prefix("Number:") {
            agent.compare(&mut begun, number.trim()).await.expect("compared");
            // Each is typed once alone: none is asked for again.
            let typed = format!("123456\n654321\n111111\n73915a\n12345\n12345678\n{PIN}\n{PIN}\n");
            agent.answer(&typed).await.expect("typed");
        }
        said.push(line);
    }
    let end = agent.end().await.expect("an end");
    assert!(end.success(), "{said:?}: {}", end.said);
    let said = said.join("\n");
    assert!(said.contains("Choose a PIN for the card, 6 to 8 digits, not one repeated like 111111"), "{said}");
    for reason in ["came with this PIN", "is a sequence", "repeats one character", "digits only", "too short"] {
        assert!(said.contains(reason), "{reason}: {said}");
    }
    assert_eq!(said.matches("The same PIN again").count(), 1, "{said}");
    assert_personalized(&test, &mut begun).await;
}

/// A portal of an earlier release: it refuses a first message that names capabilities, and sends no policy.
#[tokio::test(flavor = "multi_thread")]
async fn a_portal_that_knows_no_capabilities_is_greeted_again_without() {
    let mut test = TestWorld::start(Database::Sqlite).await;
    let wire = Wire::refusing_capabilities(&test.world.agent_url, NOT_UNDERSTOOD).await;
    wire.stands_between(&mut test);
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let mut agent = test.agent(&code);
    agent.until(&mut begun, "Replacing").await.expect("a job");
    // The portal takes it for an agent of an earlier release, and says what that means.
    let page = begun.browser.get(&begun.path).await.expect("the page");
    assert!(page.contains("does not check that a new PIN is hard to guess"), "{page}");
    while agent.line().await.expect("a line").is_some() {}
    assert!(agent.end().await.expect("an end").success());
    for message in wire.told() {
        if let FromPortal::Job { instruction: Instruction::ReplaceFactorySecrets { pin_policy, .. }, .. } = message {
            assert_eq!(pin_policy, None);
        }
    }
    assert_personalized(&test, &mut begun).await;
}

/// An agent at a pseudo terminal.
struct AtTerminal {
    child: Child,
    /// The side of the person.
    keyboard: File,
    /// The side of the agent, whose settings are looked at.
    terminal: File,
    said: mpsc::Receiver<Vec<u8>>,
    heard: String,
}

impl AtTerminal {
    fn start(test: &TestWorld, code: &str) -> Self {
        let OpenptyResult { master, slave } = openpty(None, None).expect("a pseudo terminal");
        let [input, output, errors] = [(); 3].map(|()| Stdio::from(slave.try_clone().expect("a descriptor")));
        let child = Command::new(&test.world.agent)
            .args(["connect", code, "--portal", &test.world.agent_url, "--reader", &test.world.readers[0]])
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .stdin(input)
            .stdout(output)
            .stderr(errors)
            .spawn()
            .expect("an agent");
        let keyboard = File::from(master);
        let mut screen = keyboard.try_clone().expect("a descriptor");
        let (tell, said) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut bytes) {
                drop(tell.send(bytes[..length].to_vec()));
            }
        });
        Self { child, keyboard, terminal: File::from(slave), said, heard: String::new() }
    }

    /// Listens until the terminal shows a text; gives everything that it has shown.
    fn until(&mut self, text: &str) -> &str {
        while !self.heard.contains(text) {
            let more = self.said.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no `{text}`: {}", self.heard));
            self.heard.push_str(&String::from_utf8_lossy(&more));
        }
        &self.heard
    }

    fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).expect("typed");
    }

    fn echoes(&self) -> bool {
        tcgetattr(self.terminal.as_fd()).expect("settings").local_flags.contains(LocalFlags::ECHO)
    }

    /// Confirms the number on both sides.
    async fn confirm(&mut self, begun: &mut Begun) {
        self.until("the same number? [y/N] ");
        assert!(self.echoes());
        self.types("y\n");
        self.until("Now confirm the number on the page.");
        // From here on nothing that is typed is shown.
        assert!(!self.echoes());
        self.types("typed-ahead\n");
        let page = shows(begun, "/confirm\"").await;
        let pairing = journey::field(&page, "pairing").expect("a pairing");
        let fields = [("csrf", begun.csrf.clone()), ("pairing", pairing)];
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        begun.browser.post(&format!("{}/confirm", begun.path), &fields).await.expect("confirmed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_typed_is_shown_from_the_confirmation_on() {
    let test = TestWorld::start(Database::Sqlite).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let mut agent = AtTerminal::start(&test, &code);
    agent.confirm(&mut begun).await;
    agent.until("Choose a PIN for the card");
    agent.types(&format!("{PIN}\n"));
    agent.until("The same PIN again: ");
    agent.types(&format!("{PIN}\n"));
    agent.until("Making a key");
    let status = agent.child.wait().expect("an end");
    assert!(status.success(), "{}", agent.heard);
    assert!(agent.echoes());
    agent.until("card is ready");
    assert!(!agent.heard.contains(PIN) && !agent.heard.contains("typed-ahead"), "{}", agent.heard);
    assert!(!agent.heard.contains("This is no PIN"), "{}", agent.heard);
    assert_personalized(&test, &mut begun).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_echo_comes_back_when_a_signal_ends_the_agent() {
    let test = TestWorld::start(Database::Sqlite).await;
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let mut begun = test.alice().await;
        let code = journey::offer(&mut begun).await.expect("a code");
        let mut agent = AtTerminal::start(&test, &code);
        agent.confirm(&mut begun).await;
        agent.until("Choose a PIN for the card");
        assert!(!agent.echoes());
        kill(Pid::from_raw(i32::try_from(agent.child.id()).expect("a process")), signal).expect("sent");
        assert!(!agent.child.wait().expect("an end").success());
        assert!(agent.echoes(), "{signal}");
        agent.until("nothing is lost");
        shows(&mut begun, "has been gone since").await;
        let fields = [("csrf", begun.csrf.clone())];
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        drop(begun.browser.post(&format!("{}/code", begun.path), &fields).await);
    }
}
