//! Readers and the cards in them: PIV cards over PC/SC, other tokens through the modules that the configuration names.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use pcsc::{Context, Disposition, Protocols, ReaderState, Scope, ShareMode, State};
use sealwright_protocol::Reader;

use crate::card::{Card, CardError};
use crate::error::Error;
use crate::piv::Transport;
use crate::terminal::Say;
use crate::token::{ModuleOptions, Tokens};

/// How long another program may keep a card before the person is told.
const PATIENCE: Duration = Duration::from_secs(2);

/// A card that does not answer gets so long, once: it may just have been put in.
const SETTLED: Duration = Duration::from_millis(250);

/// How long a card that was reset may take to be on again.
const SWITCHED_ON: Duration = Duration::from_secs(2);

/// The connection to the smart card service.
pub struct Readers {
    context: RefCell<Context>,
    tokens: Tokens,
    /// Only readers whose name contains this.
    only: Option<String>,
    say: Say,
    /// What kept a card from being used when it was looked for last, for the person.
    obstacle: RefCell<Option<String>>,
    /// The card that was found last, by its serial number, and the reader it was in.
    last: RefCell<Option<(String, String)>>,
}

/// Why a reader gives no card.
enum Trouble {
    /// There is none in it.
    Empty,
    /// Another program has it for itself.
    Busy,
    /// It is in the reader and does not answer; also one that was pulled just now.
    Mute,
    /// It is of another kind, or what it answers is nonsense.
    Unknown,
}

impl Readers {
    /// # Errors
    /// [`Error::Service`].
    pub fn new(only: Option<String>, modules: &[ModuleOptions], say: Say) -> Result<Self, Error> {
        let context = RefCell::new(Context::establish(Scope::User).map_err(Error::Service)?);
        let tokens = Tokens::load(modules, &say);
        Ok(Self { context, tokens, only, say, obstacle: RefCell::default(), last: RefCell::default() })
    }

    fn names(&self) -> Vec<CString> {
        let listed = self.context.borrow().list_readers_owned();
        let names = match listed {
            Ok(names) => names,
            Err(pcsc::Error::NoReadersAvailable) => Vec::new(),
            Err(error) => {
                // The service was restarted: the old connection to it is good for nothing.
                tracing::debug!(%error, "the smart card service is asked anew");
                if let Ok(context) = Context::establish(Scope::User) {
                    self.context.replace(context);
                }
                Vec::new()
            }
        };
        names.into_iter().filter(|name| self.is_meant(&name.to_string_lossy())).collect()
    }

    /// Whether a card could be put in somewhere: a module's slot need not be a reader of the service, which may be away for a moment.
    pub fn is_any(&self) -> bool {
        let listed = self.context.borrow().list_readers_owned();
        let is_none = listed.map_or_else(|error| error == pcsc::Error::NoReadersAvailable, |names| names.is_empty());
        !is_none || !self.tokens.is_empty()
    }

    fn is_meant(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }

    /// Every reader, and the serial number of the card in it.
    pub fn list(&self) -> Vec<Reader> {
        let names = self.names().into_iter();
        let mut listed: Vec<Reader> =
            names.map(|name| Reader { name: name.to_string_lossy().into_owned(), card: None }).collect();
        for (serial, card) in self.all() {
            match listed.iter_mut().find(|reader| reader.name == card.reader()) {
                Some(reader) => reader.card = Some(serial),
                // A module's slot need not be a reader of the service.
                None => listed.push(Reader { name: card.reader().to_owned(), card: Some(serial) }),
            }
        }
        listed
    }

    /// The card with this serial number. `None` when it is not there now. Where it was last is looked at first: what another program does with a
    /// card in another reader holds up nothing.
    pub fn find(&self, serial: &str) -> Option<Box<dyn Card>> {
        let last = self.last.borrow().clone().filter(|(known, _)| known == serial).map(|(_, reader)| reader);
        let name =
            last.and_then(|reader| self.names().into_iter().find(|name| name.to_string_lossy() == reader.as_str()));
        if let Some(Ok((found, open))) = name.map(|name| self.look(&name))
            && found == serial
        {
            self.obstacle.replace(None);
            return Some(Box::new(open));
        }
        let (_, open) = self.all().into_iter().find(|(found, _)| found == serial)?;
        self.last.replace(Some((serial.to_owned(), open.reader().to_owned())));
        Some(open)
    }

    /// Every card and its serial number; one that is in a reader as a PIV card is not taken from a module too.
    pub fn all(&self) -> Vec<(String, Box<dyn Card>)> {
        let mut obstacle = None;
        let mut found: Vec<(String, Box<dyn Card>)> = Vec::new();
        for name in self.names() {
            let looked = match self.look(&name) {
                Err(Trouble::Mute) => {
                    std::thread::sleep(SETTLED);
                    self.look(&name)
                }
                looked => looked,
            };
            let reader = name.to_string_lossy();
            match looked {
                Ok((serial, open)) => found.push((serial, Box::new(open))),
                Err(Trouble::Empty) => {}
                Err(Trouble::Busy) => obstacle = Some(in_use(&reader)),
                Err(Trouble::Mute) => {
                    obstacle = Some(format!(
                        "The card in {reader} does not answer. Put it in the other way round, or another one."
                    ));
                }
                Err(Trouble::Unknown) => {
                    obstacle = Some(format!(
                        "The card in {reader} is of a kind that is not supported. Put another one into the reader."
                    ));
                }
            }
        }
        let in_readers: BTreeSet<String> = found.iter().map(|(_, card)| card.reader().to_owned()).collect();
        for mut token in self.tokens.all() {
            if self.is_meant(token.reader()) && !in_readers.contains(token.reader()) {
                found.extend(token.serial().ok().map(|serial| (serial, Box::new(token) as Box<dyn Card>)));
            }
        }
        // A card that is none of PIV may be a module's token.
        self.obstacle.replace(obstacle.filter(|_| found.is_empty()));
        found
    }

    /// What keeps the card in a reader from being used, in words for the person.
    pub fn obstacle(&self) -> Option<String> {
        self.obstacle.borrow().clone()
    }

    fn look(&self, name: &CStr) -> Result<(String, OpenCard), Trouble> {
        let mut open = match self.open(name) {
            Ok(open) => open,
            Err(pcsc::Error::SharingViolation) => return Err(Trouble::Busy),
            Err(_) => return Err(self.mute_or_empty(name)),
        };
        match open.serial() {
            Ok(serial) => Ok((serial, open)),
            Err(CardError::Gone) => Err(self.mute_or_empty(name)),
            Err(_) => Err(Trouble::Unknown),
        }
    }

    fn mute_or_empty(&self, name: &CStr) -> Trouble {
        let mut states = [ReaderState::new(name, State::UNAWARE)];
        let told = self.context.borrow().get_status_change(Duration::ZERO, &mut states);
        if told.is_ok() && states[0].event_state().contains(State::PRESENT) { Trouble::Mute } else { Trouble::Empty }
    }

    fn open(&self, name: &CStr) -> Result<OpenCard, pcsc::Error> {
        let reader = name.to_string_lossy().into_owned();
        let context = self.context.borrow();
        let card = patiently(&self.say, &reader, || context.connect(name, ShareMode::Shared, Protocols::ANY))?;
        Ok(OpenCard { card: Some(card), reader, say: self.say.clone() })
    }

    /// Waits until something changes at a reader, or the time is over.
    pub fn wait(&self, limit: Duration) {
        let names = self.names();
        let mut states: Vec<ReaderState> =
            names.into_iter().map(|name| ReaderState::new(name, State::UNAWARE)).collect();
        if states.is_empty() {
            std::thread::sleep(limit);
            return;
        }
        // The first call tells the present state, the second one waits for a change of it.
        if self.context.borrow().get_status_change(Duration::ZERO, &mut states).is_ok() {
            for state in &mut states {
                state.sync_current_state();
            }
            match self.context.borrow().get_status_change(limit, &mut states) {
                Ok(()) | Err(pcsc::Error::Timeout) => {}
                // The service or the reader went away: look again later.
                Err(_) => std::thread::sleep(limit),
            }
        } else {
            std::thread::sleep(limit);
        }
    }
}

/// A card in a reader, connected.
pub struct OpenCard {
    /// `None` only while it is dropped.
    card: Option<pcsc::Card>,
    pub reader: String,
    say: Say,
}

/// How a transaction leaves the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Nothing was unlocked.
    AsItIs,
    /// A PIN or key was verified: the card forgets it before another program can use it.
    Locked,
}

impl OpenCard {
    /// Runs `work` while no other program can talk to the card.
    ///
    /// # Errors
    /// What `work` ends with, or [`CardError::Gone`].
    pub fn transaction<T>(
        &mut self,
        leave: Leave,
        work: impl FnOnce(&mut dyn Transport) -> Result<T, CardError>,
    ) -> Result<T, CardError> {
        let card = self.card.as_mut().ok_or(CardError::Gone)?;
        let transaction = patiently(&self.say, &self.reader, || card.transaction2());
        let transaction = match transaction {
            Ok(transaction) => transaction,
            Err((card, pcsc::Error::ResetCard)) => {
                // Another program reset it: nothing is lost but what was verified.
                reconnect(card).map_err(|_| CardError::Gone)?;
                card.transaction().map_err(|_| CardError::Gone)?
            }
            Err(_) => return Err(CardError::Gone),
        };
        let mut transport = CardTransport(&transaction);
        let result = work(&mut transport);
        let end = if leave == Leave::Locked { Disposition::ResetCard } else { Disposition::LeaveCard };
        drop(transaction.end(end));
        result
    }
}

/// Connects to a card that was reset. While it is being switched on the service knows no protocol for it yet, and the binding would go on with none:
/// so that is waited for, and it is connected to once more.
fn reconnect(card: &mut pcsc::Card) -> Result<(), pcsc::Error> {
    card.reconnect(ShareMode::Shared, Protocols::ANY, Disposition::LeaveCard)?;
    let is_on = |card: &pcsc::Card| card.status2_owned().is_ok_and(|status| status.protocol2().is_some());
    let limit = Instant::now() + SWITCHED_ON;
    while !is_on(card) && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(10));
    }
    card.reconnect(ShareMode::Shared, Protocols::ANY, Disposition::LeaveCard)
}

impl Drop for OpenCard {
    /// The binding would reset the card, in the middle of what another program does with it.
    fn drop(&mut self) {
        if let Some(card) = self.card.take() {
            drop(card.disconnect(Disposition::LeaveCard));
        }
    }
}

struct CardTransport<'a>(&'a pcsc::Card);

impl Transport for CardTransport<'_> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError> {
        let mut buffer = [0; pcsc::MAX_BUFFER_SIZE];
        match self.0.transmit(command, &mut buffer) {
            Ok(answer) => Ok(answer.to_vec()),
            Err(error) => {
                tracing::debug!(%error, "the card does not answer");
                Err(CardError::Gone)
            }
        }
    }
}

/// Asks the service for a card. Whoever comes second waits there without an end: the person is told for what.
fn patiently<T>(say: &Say, reader: &str, ask: impl FnOnce() -> T) -> T {
    let (asked, waiting) = mpsc::channel::<()>();
    let (say, reader) = (say.clone(), reader.to_owned());
    std::thread::spawn(move || {
        if waiting.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            say(in_use(&reader));
        }
    });
    let answer = ask();
    drop(asked);
    answer
}

/// Says which program has the card: one of those that have loaded the smart card library, as far as this user may look.
fn in_use(reader: &str) -> String {
    let programs = programs();
    let who = match programs.as_slice() {
        [] => "Another program".to_owned(),
        names => format!("Another program ({})", names.join(", ")),
    };
    format!("{who} uses the card in {reader}. This continues when that program releases it.")
}

/// Names of other processes that have loaded the smart card library (proc(5), `/proc/<pid>/maps`).
fn programs() -> Vec<String> {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let named = processes.filter_map(|process| {
        let id = process.file_name().into_string().ok()?;
        if id == own || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let maps = std::fs::read_to_string(process.path().join("maps")).ok()?;
        let name = std::fs::read_to_string(process.path().join("comm")).ok()?;
        maps.contains("libpcsclite").then(|| name.trim().to_owned())
    });
    let names: BTreeSet<String> = named.filter(|name| name != "pcscd").collect();
    names.into_iter().collect()
}
