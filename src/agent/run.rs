//! The command `run`: waits for cards and codes, one sitting after another, until nobody types any more.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sealwright_protocol::Reader;

use crate::configuration::{Configuration, answer};
use crate::readers::{Readers, Say};
use crate::{Error, conversation};

/// How often readers are looked at when nothing changes there.
const LOOK: Duration = Duration::from_secs(10);
/// A card is not looked at more often, whatever others do with it.
const REST: Duration = Duration::from_millis(300);

/// # Errors
/// What the person reads, for a computer that cannot do it at all; a sitting that fails is said, and the next one waited for.
pub fn run(config: Option<PathBuf>, portal: Option<String>, reader: Option<String>) -> Result<(), Error> {
    let configuration = Configuration::read(config.clone())?;
    if portal.as_ref().or(configuration.portal.as_ref()).is_none() {
        return Err(Error::say(
            "Say which portal codes are from: --portal https://…, or `portal` in the configuration.",
        ));
    }
    let busy = Arc::new(Busy::default());
    let watching = busy.clone();
    let say: Say = Arc::new(|text| println!("{text}"));
    let readers = Readers::new(reader.clone(), say.clone())?;
    drop(readers);
    let only = reader.clone();
    std::thread::spawn(move || watch(only, say, &watching));
    loop {
        let line = answer("Type the code that the page shows: ")?;
        if line.is_empty() {
            return Ok(());
        }
        let code = line.trim();
        if code.is_empty() {
            continue;
        }
        let _sitting = busy.begin();
        let configuration = Configuration::read(config.clone())?;
        if let Err(error) = conversation::connect(configuration, code, portal.clone(), None, reader.clone()) {
            println!("{error}");
        }
    }
}

/// A sitting has the card for itself: nobody looks at readers meanwhile.
#[derive(Default)]
struct Busy {
    sitting: AtomicBool,
    looking: Mutex<()>,
}

/// Ends with the sitting.
struct Sitting<'a>(&'a Busy);

impl Busy {
    fn begin(&self) -> Sitting<'_> {
        self.sitting.store(true, Ordering::SeqCst);
        // Whoever looks now is waited for.
        drop(self.looking.lock().unwrap_or_else(PoisonError::into_inner));
        Sitting(self)
    }
}

impl Drop for Sitting<'_> {
    fn drop(&mut self) {
        self.0.sitting.store(false, Ordering::SeqCst);
    }
}

/// Says which cards come and go.
fn watch(only: Option<String>, say: Say, busy: &Busy) {
    let Ok(readers) = Readers::new(only, say.clone()) else { return };
    let mut known: Vec<Reader> = Vec::new();
    loop {
        {
            let _looking = busy.looking.lock().unwrap_or_else(PoisonError::into_inner);
            if !busy.sitting.load(Ordering::SeqCst) {
                let now = readers.list();
                for line in changes(&known, &now) {
                    say(line);
                }
                known = now;
            }
        }
        std::thread::sleep(REST);
        readers.wait(LOOK);
    }
}

fn changes(before: &[Reader], now: &[Reader]) -> Vec<String> {
    let card = |readers: &[Reader], name: &str| {
        readers.iter().find(|reader| reader.name == name).and_then(|reader| reader.card.clone())
    };
    let mut lines = Vec::new();
    for reader in before {
        if let Some(serial) = reader.card.as_ref().filter(|serial| card(now, &reader.name).as_ref() != Some(*serial)) {
            lines.push(format!("Card {serial} was taken out of {}.", reader.name));
        }
    }
    for reader in now {
        if let Some(serial) = reader.card.as_ref().filter(|serial| card(before, &reader.name).as_ref() != Some(*serial))
        {
            lines.push(format!("Card {serial} is in {}.", reader.name));
        }
    }
    lines
}
