//! A PIN that the token has refused is written down: no next try and no next process spends another one. What is written is which state of
//! the PIN file it was, nothing of the PIN.

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

/// Where a refusal is written down.
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

    /// The state of the PIN file that was refused, if one was.
    pub fn read(&self) -> io::Result<Option<String>> {
        let text = std::fs::read_to_string(&self.file)?;
        Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
    }

    /// Writes it down, for good before anything else is tried.
    pub fn note(&self, stamp: &str) -> io::Result<()> {
        let mut file = File::create(&self.file)?;
        writeln!(file, "{stamp}")?;
        file.sync_all()
    }

    /// The PIN was taken.
    pub fn forget(&self) -> io::Result<()> {
        File::create(&self.file).map(drop)
    }
}
