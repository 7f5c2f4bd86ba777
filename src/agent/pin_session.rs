//! The PIN: asked once per sitting, here and never in the page, wiped when the sitting ends, never
//! tried again after a refusal.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use sealwright_protocol::{PinFault, PinPolicy};
use zeroize::Zeroizing;

use crate::card::Pin;
use crate::error::Error;
use crate::terminal;

/// The source of the PIN.
pub enum Source {
    Terminal,
    /// Read from a file descriptor.
    Given(Pin),
    /// Read from a file descriptor and refused: it is not tried again.
    Spent,
}

/// The rules for a PIN that a person chooses.
pub struct PinRules<'a> {
    /// The portal's policy; a portal of an earlier release sends none.
    pub policy: Option<&'a PinPolicy>,
    /// The secrets that the card came with.
    pub factory: Vec<&'a [u8]>,
}

impl PinRules<'_> {
    fn check(&self, pin: &Pin) -> Result<(), PinFault> {
        if self.factory.contains(&pin.bytes()) {
            return Err(PinFault::Factory);
        }
        self.policy.map_or(Ok(()), |policy| policy.check(pin.bytes()))
    }

    fn prompt(&self) -> String {
        let rules = self.policy.map_or_else(|| "6 to 8 characters".to_owned(), ToString::to_string);
        format!("Choose a PIN for the card, {rules}")
    }
}

/// The PIN of one session.
pub struct PinSession {
    source: Source,
    /// The serial number of the card that it is for.
    card: Option<String>,
    pin: Option<Pin>,
}

impl PinSession {
    /// # Errors
    /// Nothing usable is behind the file descriptor.
    pub fn new(descriptor: Option<i32>) -> Result<Self, Error> {
        let source = match descriptor {
            Some(number) => Source::Given(read_descriptor(number)?),
            None => Source::Terminal,
        };
        Ok(Self { source, card: None, pin: None })
    }

    /// Goes on with a card. What was asked for another one would cost this one a try.
    pub fn turn_to(&mut self, card: &str) {
        if self.card.as_deref() != Some(card) {
            self.card = Some(card.to_owned());
            self.pin = None;
        }
    }

    /// The PIN of the card, asked if it is not known yet.
    ///
    /// # Errors
    /// The person gives none.
    pub fn pin(&mut self, tries: Option<u8>) -> Result<Pin, Error> {
        if let Some(pin) = &self.pin {
            return Ok(pin.clone());
        }
        let left = tries.map_or_else(String::new, |tries| format!(" ({tries} tries left)"));
        let pin = match &self.source {
            Source::Given(pin) => pin.clone(),
            Source::Terminal => ask_secret(&format!("PIN of the card{left}"))?,
            Source::Spent => return Err(Error::say("The PIN was refused.")),
        };
        self.pin = Some(pin.clone());
        Ok(pin)
    }

    /// A new PIN, typed twice. The rules are checked before the second time.
    ///
    /// # Errors
    /// The person gives none, or the one from the file descriptor breaks a rule.
    pub fn new_pin(&mut self, rules: &PinRules<'_>) -> Result<Pin, Error> {
        let pin = match &self.source {
            Source::Given(pin) => {
                rules.check(pin).map_err(|fault| Error::say(fault.to_string()))?;
                pin.clone()
            }
            Source::Terminal => loop {
                let first = ask_secret(&rules.prompt())?;
                if let Err(fault) = rules.check(&first) {
                    println!("{fault} Choose another one.");
                    continue;
                }
                let second = ask_secret("The same PIN again")?;
                if first.bytes() == second.bytes() {
                    break first;
                }
                println!("The two PINs differ. Try again.");
            },
            Source::Spent => return Err(Error::say("The PIN was refused.")),
        };
        self.pin = Some(pin.clone());
        Ok(pin)
    }

    /// Forgets a PIN that the card refused. A given one is not tried again.
    pub fn refuse(&mut self) {
        self.pin = None;
        if let Source::Given(_) = self.source {
            self.source = Source::Spent;
        }
    }

    /// Whether somebody can be asked again.
    pub fn can_ask(&self) -> bool {
        matches!(self.source, Source::Terminal)
    }
}

fn read_descriptor(number: i32) -> Result<Pin, Error> {
    let unreadable = |error| Error::say(format!("The PIN cannot be read from file descriptor {number}: {error}."));
    let file = open_descriptor(number).map_err(unreadable)?;
    let mut line = Zeroizing::new(String::new());
    BufReader::new(std::fs::File::from(file).take(64)).read_line(&mut line).map_err(unreadable)?;
    let pin = Pin::parse(line.trim_end_matches(['\r', '\n']));
    pin.map_err(|reason| Error::say(format!("File descriptor {number} holds no PIN: {reason}")))
}

/// `/proc/self/fd` opens what the caller left open, without taking ownership of it.
fn open_descriptor(number: i32) -> std::io::Result<OwnedFd> {
    std::fs::File::open(format!("/proc/self/fd/{number}")).map(OwnedFd::from)
}

fn ask_secret(prompt: &str) -> Result<Pin, Error> {
    loop {
        let typed = match from_pinentry(prompt) {
            Some(typed) => typed,
            None => terminal::hidden_line(prompt)?,
        };
        match Pin::parse(&typed) {
            Ok(pin) => return Ok(pin),
            Err(_) if typed.is_empty() => return Err(Error::say("No PIN was given.")),
            Err(reason) => println!("This is no PIN: {reason}"),
        }
    }
}

/// pinentry, where there is a display; `None` when it is not installed or does not work. Nothing
/// when the person does not want to.
#[expect(clippy::disallowed_methods, reason = "a display is announced in the environment")]
fn from_pinentry(prompt: &str) -> Option<Zeroizing<String>> {
    std::env::var_os("DISPLAY").or_else(|| std::env::var_os("WAYLAND_DISPLAY"))?;
    let mut child =
        Command::new("pinentry").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let mut input = child.stdin.take()?;
    let escaped = prompt.replace('%', "%25").replace('\n', "%0A");
    write!(input, "SETTITLE Sealwright\nSETDESC {escaped}\nSETPROMPT PIN:\nGETPIN\nBYE\n").ok()?;
    drop(input);
    let mut answer = Zeroizing::new(String::new());
    child.stdout.take()?.take(4096).read_to_string(&mut answer).ok()?;
    child.wait().ok()?;
    if let Some(pin) = answer.lines().find_map(|line| line.strip_prefix("D ")) {
        return Some(Zeroizing::new(pin.replace("%25", "%")));
    }
    is_cancelled(&answer).then(Zeroizing::default)
}

/// Whether the Assuan protocol's `ERR` says that the person cancelled: libgpg-error's
/// GPG_ERR_CANCELED in the low 16 bits.
fn is_cancelled(answer: &str) -> bool {
    const CANCELED: u32 = 99;
    let codes = answer.lines().filter_map(|line| line.strip_prefix("ERR ")?.split(' ').next()?.parse::<u32>().ok());
    codes.into_iter().any(|code| code & 0xffff == CANCELED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cancels_is_not_asked_elsewhere() {
        assert!(is_cancelled("OK Pleased to meet you\nOK\nERR 83886179 Operation cancelled <Pinentry>\n"));
        assert!(!is_cancelled("OK Pleased to meet you\nERR 83886340 Invalid IPC response <Pinentry>\n"));
        assert!(!is_cancelled("ERR\nERR x\n"));
    }

    #[test]
    fn a_pin_is_for_the_card_that_it_was_asked_for() {
        let mut session = PinSession { source: Source::Spent, card: None, pin: None };
        session.turn_to("1");
        session.pin = Pin::parse("246810").ok();
        session.turn_to("1");
        assert!(session.pin(None).is_ok());
        session.turn_to("2");
        assert!(session.pin(None).is_err());
    }

    fn rules(policy: Option<&PinPolicy>) -> PinRules<'_> {
        PinRules { policy, factory: vec![b"123456", b"98761234"] }
    }

    #[test]
    fn a_given_pin_is_refused_for_the_rule_that_it_breaks() {
        let policy = PinPolicy::default();
        let chosen = |pin: &str, policy: Option<&PinPolicy>| {
            let source = Source::Given(Pin::parse(pin).expect("a PIN"));
            let mut session = PinSession { source, card: None, pin: None };
            session.new_pin(&rules(policy)).map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(chosen("73915824", Some(&policy)), Ok(()));
        assert!(chosen("654321", Some(&policy)).is_err_and(|said| said.contains("it is a sequence")));
        assert!(chosen("222222", Some(&policy)).is_err_and(|said| said.contains("repeats")));
        assert!(chosen("98761234", Some(&policy)).is_err_and(|said| said.contains("came with this PIN")));
        // A portal of an earlier release sends no policy; the factory's secrets are known all the same.
        assert_eq!(chosen("654321", None), Ok(()));
        assert!(chosen("123456", None).is_err());
    }

    #[test]
    fn the_prompt_says_the_policy() {
        let said = rules(Some(&PinPolicy::default())).prompt();
        assert!(said.contains("6 to 8 digits") && said.contains("no sequence like 123456"), "{said}");
        assert_eq!(rules(None).prompt(), "Choose a PIN for the card, 6 to 8 characters");
    }
}
