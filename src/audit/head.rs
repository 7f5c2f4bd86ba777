//! Signed heads of the chain: lines of a file outside the database, so that a chain that was cut off or made anew is found.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use sealwright_pki::certificate;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::random::NoRandomness;
use crate::store::audits::SealRecord;

/// What is signed stands behind this, so that the key's signatures mean nothing else.
const CONTEXT: &str = "sealwright audit head 1";

/// The section `[audit]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HeadsOptions {
    /// The file that heads are appended to; best where the portal may only append.
    pub heads_file: PathBuf,
    /// An Ed25519 key, PKCS#8 in PEM: `openssl genpkey -algorithm ed25519`.
    pub key_file: PathBuf,
}

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    pub tenant: String,
    pub sequence: i64,
    /// The seal's hash, hexadecimal.
    pub hash: String,
    /// Milliseconds since 1970.
    pub at: i64,
    /// The database was restored from a backup that ends here: greater numbers before this line are of a chain that was lost with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restored: bool,
    /// Restores alone: the greatest number up to which the heads before this line are of the chain that goes on; the sequence, where it is left out.
    /// A backup may be of a chain that an earlier restore had ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<i64>,
    /// Ed25519, base64.
    signature: String,
}

/// Why heads cannot be written or believed.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    #[error("audit: {path}: {error}")]
    File { path: PathBuf, error: std::io::Error },
    #[error("audit: {path} holds no Ed25519 key in PKCS#8 and PEM")]
    Key { path: PathBuf },
    #[error("audit: {path}, line {line}: this head was not signed with the configured key")]
    Signature { path: PathBuf, line: usize },
}

/// The file of heads and the key that signs them.
pub struct Heads {
    path: PathBuf,
    key: Ed25519KeyPair,
}

impl Heads {
    /// Reads the key.
    ///
    /// # Errors
    /// [`HeadError`].
    pub fn new(options: &HeadsOptions) -> Result<Self, HeadError> {
        let no_key = || HeadError::Key { path: options.key_file.clone() };
        let pem = Zeroizing::new(read(&options.key_file)?);
        let der = PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|_| no_key())?;
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).map_err(|_| no_key())?;
        Ok(Self { path: options.heads_file.clone(), key })
    }

    /// A new key, PKCS#8 in PEM.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn generate_key() -> Result<Zeroizing<String>, NoRandomness> {
        let key = Ed25519KeyPair::generate().and_then(|key| key.to_pkcs8v1()).map_err(|_| NoRandomness)?;
        Ok(Zeroizing::new(certificate::pem("PRIVATE KEY", key.as_ref())))
    }

    /// Appends a seal as a head of the tenant's chain.
    ///
    /// # Errors
    /// [`HeadError::File`].
    pub fn append(&self, tenant: &str, seal: &SealRecord, at: i64) -> Result<(), HeadError> {
        self.write(Head::new(tenant, seal, at))
    }

    /// Notes that the chain goes on from this seal, as a backup had it. Of the heads before, those up to the number `kept` are of that chain.
    ///
    /// # Errors
    /// [`HeadError::File`].
    pub fn note_restored(&self, tenant: &str, seal: &SealRecord, kept: i64, at: i64) -> Result<(), HeadError> {
        // It is the newest line, also when the clock was set back.
        let newest = self.all(tenant)?.iter().map(|head| head.at + 1).max().unwrap_or(at);
        let kept = Some(kept).filter(|kept| *kept != seal.sequence);
        self.write(Head { restored: true, kept, ..Head::new(tenant, seal, at.max(newest)) })
    }

    fn write(&self, mut head: Head) -> Result<(), HeadError> {
        head.signature = STANDARD.encode(self.key.sign(&head.signed()).as_ref());
        let file_error = |error| HeadError::File { path: self.path.clone(), error };
        let line = serde_json::to_string(&head).map_err(|error| file_error(error.into()))?;
        // What a full disk has left of a line is ended first: the next head must be readable.
        // Where the file may not be read that is not known; an empty line is no head.
        let begin = if self.ends_amid_a_line().unwrap_or(true) { "\n" } else { "" };
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&self.path).map_err(file_error)?;
        file.write_all(format!("{begin}{line}\n").as_bytes()).and_then(|()| file.sync_data()).map_err(file_error)
    }

    fn ends_amid_a_line(&self) -> std::io::Result<bool> {
        let mut file = match std::fs::File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let mut last = [b'\n'];
        if file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        Ok(last != *b"\n")
    }

    /// The heads of a tenant that were exported, each whole and with a good signature; without those that were lost before a backup was restored.
    ///
    /// # Errors
    /// [`HeadError`]; a file that is not there yet holds none.
    pub fn read(&self, tenant: &str) -> Result<Vec<Head>, HeadError> {
        let mut heads: Vec<Head> = Vec::new();
        for head in self.all(tenant)? {
            if head.restored {
                let kept = head.kept.unwrap_or(head.sequence).min(head.sequence);
                heads.retain(|lost| lost.sequence <= kept);
            }
            heads.push(head);
        }
        Ok(heads)
    }

    /// All heads of a tenant in the file, also those that were lost.
    fn all(&self, tenant: &str) -> Result<Vec<Head>, HeadError> {
        if !self.path.exists() {
            return Ok(Vec::new());
        }
        let key = UnparsedPublicKey::new(&ED25519, self.key.public_key().as_ref());
        let mut heads: Vec<Head> = Vec::new();
        // As bytes: what was cut off may end in the middle of a letter.
        for (index, line) in read(&self.path)?.split(|byte| *byte == b'\n').enumerate() {
            let wrong = || HeadError::Signature { path: self.path.clone(), line: index + 1 };
            let head: Head = match serde_json::from_slice(line) {
                Ok(head) => head,
                // Empty, or it ends in the middle: a full disk has kept the rest of it out, and the same head was written again.
                Err(error) if error.is_eof() => continue,
                Err(_) => return Err(wrong()),
            };
            let signature = STANDARD.decode(&head.signature).map_err(|_| wrong())?;
            key.verify(&head.signed(), &signature).map_err(|_| wrong())?;
            if head.tenant == tenant {
                // A note of a restore is the newest line when it is written; an older one that is written again hides nothing.
                if head.restored && heads.iter().any(|known| known.at >= head.at) {
                    return Err(wrong());
                }
                heads.push(head);
            }
        }
        Ok(heads)
    }
}

impl Head {
    /// Not signed yet.
    fn new(tenant: &str, seal: &SealRecord, at: i64) -> Self {
        Self {
            tenant: tenant.to_owned(),
            sequence: seal.sequence,
            hash: seal.hash.clone(),
            at,
            restored: false,
            kept: None,
            signature: String::new(),
        }
    }

    fn signed(&self) -> Vec<u8> {
        let Self { tenant, sequence, hash, at, .. } = self;
        let how = match (self.restored, self.kept) {
            (true, Some(kept)) => format!("restored, kept {kept}\n"),
            (true, None) => "restored\n".to_owned(),
            (false, _) => String::new(),
        };
        format!("{CONTEXT}\n{tenant}\n{sequence}\n{hash}\n{at}\n{how}").into_bytes()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, HeadError> {
    std::fs::read(path).map_err(|error| HeadError::File { path: path.to_owned(), error })
}

impl std::fmt::Debug for Heads {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Heads").field("path", &self.path).finish_non_exhaustive()
    }
}
