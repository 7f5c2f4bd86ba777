//! Readers and the cards in them: PIV cards over PC/SC, other tokens through the modules that the
//! configuration names.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::time::Duration;

use pcsc::{Context, ReaderState, Scope, State};
use sealwright_protocol::Reader;

use crate::card::{Card, CardError};
use crate::error::Error;
use crate::piv::{OpenCard, in_use};
use crate::terminal::Say;
use crate::token::{ModuleOptions, Tokens};

/// The pause before a mute card is tried once more: it may just have been put in.
const SETTLED: Duration = Duration::from_millis(250);

/// The connection to the smart card service.
pub struct Readers {
    context: RefCell<Context>,
    tokens: Tokens,
    /// Only readers whose name contains this.
    only: Option<String>,
    say: Say,
    /// The obstacle that the last look found, in words for the person.
    obstacle: RefCell<Option<String>>,
    /// The card that was found last, by its serial number, and the reader it was in.
    last: RefCell<Option<(String, String)>>,
}

/// A reader, whether there is something in it, and how often that has changed.
pub type ReaderPresence = (CString, bool, u32);

/// The reason why a reader gives no card.
enum NoCard {
    /// The reader is empty.
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

    /// Whether a card could be put in somewhere: a module's slot need not be a reader of the
    /// service, which may be away for a moment.
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

    /// The card with this serial number. `None` when it is not there now. Where it was last is
    /// looked at first: what another program does with a card in another reader holds up nothing.
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

    /// Every card and its serial number; one that is in a reader as a PIV card is not taken from a
    /// module too.
    pub fn all(&self) -> Vec<(String, Box<dyn Card>)> {
        let mut obstacle = None;
        let mut found: Vec<(String, Box<dyn Card>)> = Vec::new();
        for name in self.names() {
            let looked = match self.look(&name) {
                Err(NoCard::Mute) => {
                    std::thread::sleep(SETTLED);
                    self.look(&name)
                }
                looked => looked,
            };
            let reader = name.to_string_lossy();
            match looked {
                Ok((serial, open)) => found.push((serial, Box::new(open))),
                Err(NoCard::Empty) => {}
                Err(NoCard::Busy) => obstacle = Some(in_use(&reader)),
                Err(NoCard::Mute) => {
                    obstacle = Some(format!(
                        "The card in {reader} does not answer. Put it in the other way round, or another one."
                    ));
                }
                Err(NoCard::Unknown) => {
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

    /// The obstacle that keeps the card in a reader from being used, in words for the person.
    pub fn obstacle(&self) -> Option<String> {
        self.obstacle.borrow().clone()
    }

    fn look(&self, name: &CStr) -> Result<(String, OpenCard), NoCard> {
        let mut open = match OpenCard::connect(&self.context.borrow(), name, &self.say) {
            Ok(open) => open,
            Err(pcsc::Error::SharingViolation) => return Err(NoCard::Busy),
            Err(_) => return Err(self.mute_or_empty(name)),
        };
        match open.serial() {
            Ok(serial) => Ok((serial, open)),
            Err(CardError::Gone) => Err(self.mute_or_empty(name)),
            Err(_) => Err(NoCard::Unknown),
        }
    }

    fn mute_or_empty(&self, name: &CStr) -> NoCard {
        let mut states = [ReaderState::new(name, State::UNAWARE)];
        let told = self.context.borrow().get_status_change(Duration::ZERO, &mut states);
        if told.is_ok() && states[0].event_state().contains(State::PRESENT) { NoCard::Mute } else { NoCard::Empty }
    }

    /// The state of every reader of the service, without opening a card.
    pub fn presence(&self) -> Vec<ReaderPresence> {
        let mut states: Vec<ReaderState> =
            self.names().into_iter().map(|name| ReaderState::new(name, State::UNAWARE)).collect();
        if self.context.borrow().get_status_change(Duration::ZERO, &mut states).is_err() {
            return Vec::new();
        }
        let state = |state: &ReaderState| {
            (state.name().to_owned(), state.event_state().contains(State::PRESENT), state.event_count())
        };
        states.iter().map(state).collect()
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
