//! Tries with the PIN are written down: no next try and no next process spends another one on a PIN that the token has refused, nor many on one
//! that it gives no answer to. What is written is which state of the PIN file it was, nothing of the PIN.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::{HsmError, HsmOptions};

/// A state of the PIN file: when it was written, as which inode, how long it is. A copy of the same PIN is another one: somebody wrote it anew.
pub(super) fn stamp(pin_file: &File) -> io::Result<String> {
    let told = pin_file.metadata()?;
    Ok(format!("{}.{:09} {} {}", told.mtime(), told.mtime_nsec(), told.ino(), told.len()))
}

/// So many tries with one PIN may stay without an answer: a module that crashes, hangs or says something else may have spent them.
const UNANSWERED: u32 = 3;

/// What is known of the PIN file's state that was tried last.
pub(super) struct Tried {
    pub stamp: String,
    pub result: TriedResult,
}

/// What came of the tries with it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TriedResult {
    Refused,
    /// So many ended without an answer.
    Unanswered(u32),
}

impl Tried {
    /// Whether it is not to be tried any more.
    pub fn is_spent(&self) -> bool {
        match self.result {
            TriedResult::Refused => true,
            TriedResult::Unanswered(times) => times >= UNANSWERED,
        }
    }
}

/// Where that is written down.
pub(super) struct Refusal {
    file: PathBuf,
}

impl Refusal {
    /// # Errors
    /// [`HsmError::RefusedPinFile`] when nothing can be written there: then a restart would try a refused PIN again.
    pub fn new(options: &HsmOptions) -> Result<Self, HsmError> {
        let file = options.refused_pin_file.clone().unwrap_or_else(|| {
            let mut beside = options.pin_file.clone().into_os_string();
            beside.push(".refused");
            beside.into()
        });
        match OpenOptions::new().append(true).create(true).open(&file) {
            Ok(_) => Ok(Self { file }),
            Err(_) => Err(HsmError::RefusedPinFile(file)),
        }
    }

    /// What was written down last, if the PIN was not taken since.
    pub fn read(&self) -> io::Result<Option<Tried>> {
        let text = std::fs::read_to_string(&self.file)?;
        let Some((result, stamp)) = text.trim().split_once(' ') else { return Ok(None) };
        let result = match result {
            REFUSED => TriedResult::Refused,
            // What cannot be read was not written here.
            times => TriedResult::Unanswered(times.parse().unwrap_or(UNANSWERED)),
        };
        Ok(Some(Tried { stamp: stamp.to_owned(), result }))
    }

    /// Writes it down, for good before anything else is tried.
    pub fn note(&self, stamp: &str, result: TriedResult) -> io::Result<()> {
        let text = match result {
            TriedResult::Refused => format!("{REFUSED} {stamp}\n"),
            TriedResult::Unanswered(times) => format!("{times} {stamp}\n"),
        };
        // Not emptied first: what a full disk refuses leaves what was there.
        let mut file = OpenOptions::new().write(true).open(&self.file)?;
        file.write_all(text.as_bytes())?;
        file.set_len(u64::try_from(text.len()).unwrap_or(u64::MAX))?;
        file.sync_all()
    }

    /// Nobody else tries meanwhile: keys in one token share a PIN.
    pub fn lock(&self) -> io::Result<File> {
        let file = File::open(&self.file)?;
        file.lock()?;
        Ok(file)
    }

    /// The PIN was taken.
    pub fn forget(&self) -> io::Result<()> {
        File::create(&self.file).map(drop)
    }
}

const REFUSED: &str = "refused";
