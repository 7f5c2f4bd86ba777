//! The journal of a pairing: the keys and notes by which a killed agent goes on where it was.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use data_encoding::HEXLOWER;
use sealwright_protocol::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::job::{Progress, ProgressLog};
use crate::private_file;

/// One pairing's journal: a file that only its owner reads.
pub struct Journal {
    path: PathBuf,
    entry: Entry,
    key: Ed25519KeyPair,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    /// The agent's key, PKCS#8.
    key: Bytes,
    /// Set once the person at the agent has confirmed.
    pairing: Option<Paired>,
    /// The progress of each job.
    jobs: BTreeMap<String, Progress>,
}

/// A pairing that the person at the agent has confirmed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Paired {
    pub pairing: String,
    /// The number that both sides show, for a page that has not been answered yet.
    pub number: String,
}

impl Journal {
    /// Opens the journal of a code, or begins one.
    ///
    /// # Errors
    /// [`Error::File`]; a journal that cannot be read is begun anew.
    pub fn open(folder: &Path, portal: &str, code: &str) -> Result<Self, Error> {
        let name = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("{portal}\n{code}").as_bytes());
        let name = HEXLOWER.encode(name.as_ref().get(..16).unwrap_or_default());
        let path = folder.join(format!("{name}.journal"));
        let known = std::fs::read_to_string(&path).ok().and_then(|text| serde_json::from_str::<Entry>(&text).ok());
        if let Some(entry) = known
            && let Ok(key) = Ed25519KeyPair::from_pkcs8(&entry.key.0)
        {
            return Ok(Self { path, entry, key });
        }
        let no_key = |_| Error::say("The system cannot provide random numbers.");
        let key = Ed25519KeyPair::generate().map_err(no_key)?;
        let pkcs8 = key.to_pkcs8v1().map_err(no_key)?;
        let entry = Entry { key: Bytes(pkcs8.as_ref().to_vec()), pairing: None, jobs: BTreeMap::new() };
        let journal = Self { path, entry, key };
        journal.write()?;
        Ok(journal)
    }

    /// The agent's public key, 32 bytes.
    pub fn public_key(&self) -> Vec<u8> {
        self.key.public_key().as_ref().to_vec()
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(message).as_ref().to_vec()
    }

    pub fn pairing(&self) -> Option<&Paired> {
        self.entry.pairing.as_ref()
    }

    /// # Errors
    /// [`Error::File`].
    pub fn paired(&mut self, paired: Paired) -> Result<(), Error> {
        self.entry.pairing = Some(paired);
        self.write()
    }

    /// Removes a journal that is no longer needed.
    pub fn remove(&self) {
        // The portal refuses a pairing that is over: a file that stays behind does no harm.
        drop(std::fs::remove_file(&self.path));
    }

    fn write(&self) -> Result<(), Error> {
        let text = serde_json::to_string(&self.entry).unwrap_or_default();
        private_file::write(&self.path, &text)
    }
}

/// Locked only to be read or written: the conversation needs the journal while a person types.
impl ProgressLog for Mutex<Journal> {
    fn progress(&self, job: &str) -> Progress {
        self.lock().ok().and_then(|journal| journal.entry.jobs.get(job).cloned()).unwrap_or_default()
    }

    fn note(&self, job: &str, progress: &Progress) -> Result<(), Error> {
        let mut journal = self.lock().map_err(|_| Error::say("The agent's journal cannot be written."))?;
        journal.entry.jobs.insert(job.to_owned(), progress.clone());
        journal.write()
    }
}
