//! The command `run`: waits for cards and codes, one sitting after another, until the input ends.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sealwright_protocol::Reader;

use crate::configuration::Configuration;
use crate::error::Error;
use crate::readers::Readers;
use crate::terminal::{Say, line, unusable};
use crate::token::ModuleOptions;

/// The interval of looks when nothing changes at the readers.
const LOOK: Duration = Duration::from_secs(10);
/// The shortest interval of looks, whatever other programs do with the cards.
const REST: Duration = Duration::from_millis(300);

/// # Errors
/// What the person reads, for a computer that cannot do it at all; a sitting that fails is said,
/// and the next one waited for.
pub fn run(config: Option<PathBuf>, portal: Option<String>, reader: Option<String>) -> Result<(), Error> {
    let configuration = Configuration::read(config.clone())?;
    if portal.as_ref().or(configuration.portal.as_ref()).is_none() {
        return Err(Error::say(
            "Say which portal codes are from: --portal https://…, or `portal` in the configuration.",
        ));
    }
    let lock = Arc::new(CardLock::default());
    let watching = lock.clone();
    let say: Say = Arc::new(|text| println!("{text}"));
    let modules = configuration.modules;
    let readers = Readers::new(reader.clone(), &modules, say.clone())?;
    drop(readers);
    let only = reader.clone();
    std::thread::spawn(move || watch(only, &modules, say, &watching));
    let program = std::env::current_exe().map_err(unusable)?;
    loop {
        let Some(line) = line("Type the code that the page shows: ").map_err(unusable)? else {
            // The watching thread is kept from readers and modules while the process ends.
            std::mem::forget(lock.acquire());
            return Ok(());
        };
        let code = line.trim();
        if code.is_empty() {
            continue;
        }
        let _guard = lock.acquire();
        // A process of its own: when the sitting is over, nobody waits at the terminal for its PIN
        // any more.
        let mut sitting = Command::new(&program);
        sitting.args(config.iter().flat_map(|path| [OsStr::new("--config"), path.as_os_str()]));
        sitting.arg("connect");
        sitting.args(portal.iter().flat_map(|portal| ["--portal", portal]));
        sitting.args(reader.iter().flat_map(|reader| ["--reader", reader]));
        // A code that begins with a hyphen is no option.
        if !sitting.arg("--").arg(code).status().map_err(unusable)?.success() {
            println!("Nothing more is done with this code.");
        }
    }
}

/// The lock on the cards: while a sitting has it, readers are not looked at.
#[derive(Default)]
struct CardLock {
    sitting: AtomicBool,
    looking: Mutex<()>,
}

/// The lock as a sitting holds it.
struct CardGuard<'a>(&'a CardLock);

impl CardLock {
    fn acquire(&self) -> CardGuard<'_> {
        self.sitting.store(true, Ordering::SeqCst);
        // Waits for a look that is under way.
        drop(self.looking.lock().unwrap_or_else(PoisonError::into_inner));
        CardGuard(self)
    }
}

impl Drop for CardGuard<'_> {
    fn drop(&mut self) {
        self.0.sitting.store(false, Ordering::SeqCst);
    }
}

/// Says which cards come and go.
fn watch(only: Option<String>, modules: &[ModuleOptions], say: Say, lock: &CardLock) {
    let Ok(readers) = Readers::new(only, modules, say.clone()) else { return };
    let mut known: Vec<Reader> = Vec::new();
    loop {
        {
            let _looking = lock.looking.lock().unwrap_or_else(PoisonError::into_inner);
            if !lock.sitting.load(Ordering::SeqCst) {
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
