//! A key in a hardware security module, by PKCS#11.
//!
//! The vendor's module runs in a process of its own ([`worker`]): its crash, hang or reinitialization ends that process and not the portal. A
//! worker that does not answer in time is killed; the next signature starts another one. Requests and answers are lines of JSON.

mod process;
mod protocol;
mod refusal;
pub mod worker;

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use sealwright_pki::key::{self, KeyAlgorithm};
use sealwright_pki::signer::{SignError, SignatureAlgorithm, Signer};
use serde::{Deserialize, Serialize};

use process::Worker;
use protocol::{Answer, Request};
use refusal::{Refusal, Tried, TriedResult};

/// A key that could not be reached is left alone for so long: a module that hangs costs its time limit each time.
const REST: Duration = Duration::from_secs(1);

/// Where a key is, the section `[authorities.<name>.hsm]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HsmOptions {
    /// The vendor's PKCS#11 module, an absolute path.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The key's label (`CKA_LABEL`).
    pub key: String,
    pub pin_file: PathBuf,
    /// Where tries with the PIN are written down, so that no restart spends another one: beside the PIN file, with `.refused` added to its name,
    /// when nothing is said. The portal writes there.
    pub refused_pin_file: Option<PathBuf>,
    /// The program that runs the module, called with the word `hsm-worker`: a wrapper that shuts it in, or sets what the module reads from its
    /// environment. This very program when nothing is said.
    pub worker: Option<PathBuf>,
}

/// Why a key cannot be used or made.
#[derive(Debug, thiserror::Error)]
pub enum HsmError {
    #[error("the public key of the certificate is of no kind that signs here")]
    PublicKey,
    #[error("the module's path must be absolute")]
    Module,
    #[error("{0} cannot be written, and a restart would try a refused PIN again: say `refused-pin-file`")]
    RefusedPinFile(PathBuf),
    #[error("the key is offline: {0}")]
    Offline(String),
    #[error("the module refuses: {0}")]
    Refused(String),
}

/// Signs with a key in a token. The public key is the one of the authority's certificate: a token that is offline is no obstacle to a start.
pub struct HsmKey {
    options: HsmOptions,
    public_key: Vec<u8>,
    algorithm: SignatureAlgorithm,
    refusal: Refusal,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    worker: Option<Worker>,
    /// Not asked again before.
    rests_until: Option<Instant>,
    /// A PIN was refused, and it is written nowhere: nothing is tried any more before a restart, as nobody would know how often.
    spent: bool,
}

impl HsmKey {
    /// # Errors
    /// [`HsmError`]; whether the token has the key shows when it is asked to sign.
    pub fn new(options: &HsmOptions, public_key: &[u8]) -> Result<Self, HsmError> {
        if !options.module.is_absolute() {
            return Err(HsmError::Module);
        }
        let algorithm = SignatureAlgorithm::for_key(key::examine(public_key).map_err(|_| HsmError::PublicKey)?);
        let (refusal, state) = (Refusal::new(options)?, Mutex::default());
        Ok(Self { options: options.clone(), public_key: public_key.to_vec(), algorithm, refusal, state })
    }

    fn ask(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        // A poisoned lock has no worker that could be trusted.
        let mut state = self.state.lock().unwrap_or_else(|poisoned| {
            let mut state = poisoned.into_inner();
            state.worker = None;
            state
        });
        if state.rests_until.is_some_and(|until| Instant::now() < until) {
            return Err(SignError::Offline);
        }
        let request = Request::Sign { message: BASE64.encode(message), algorithm: self.algorithm.into() };
        match self.exchange(&mut state, &request) {
            Ok(Answer::Signed { signature }) => BASE64.decode(signature.as_bytes()).map_err(|_| SignError::Refused),
            Ok(Answer::Refused { why }) => {
                tracing::error!(token = self.options.token, key = self.options.key, why, "the module refuses to sign");
                Err(SignError::Refused)
            }
            Ok(Answer::PinRefused) => {
                tracing::error!(
                    token = self.options.token,
                    "the token refuses the PIN: it is not tried again before the PIN file changes"
                );
                self.rest(&mut state);
                Err(SignError::Offline)
            }
            other => {
                tracing::warn!(token = self.options.token, key = self.options.key, ?other, "the key is offline");
                self.rest(&mut state);
                Err(SignError::Offline)
            }
        }
    }

    fn rest(&self, state: &mut State) {
        state.worker = None;
        state.rests_until = Some(Instant::now() + REST);
    }

    fn exchange(&self, state: &mut State, request: &Request) -> Result<Answer, String> {
        if state.spent {
            return Err("the token has refused the PIN".to_owned());
        }
        if state.worker.is_none() {
            match open(&self.options, &self.refusal, Some(&self.public_key))? {
                Opened::Worker(worker) => state.worker = Some(worker),
                Opened::Not(answer) => return Ok(answer),
                Opened::Unnoted => {
                    state.spent = true;
                    return Ok(Answer::PinRefused);
                }
            }
        }
        state.worker.as_mut().ok_or("no worker")?.exchange(request)
    }
}

/// What came of starting a worker.
enum Opened {
    Worker(Worker),
    Not(Answer),
    /// The PIN was refused, and that could not be written down.
    Unnoted,
}

/// Starts a worker and signs in. A try with the PIN is written down before it is made: whatever happens then, it was one.
fn open(options: &HsmOptions, refusal: &Refusal, public_key: Option<&[u8]>) -> Result<Opened, String> {
    let text = |error: std::io::Error| error.to_string();
    let _alone = refusal.lock().map_err(text)?;
    let before = refusal.read().map_err(text)?;
    let refused_pin = before.as_ref().filter(|tried| tried.result == TriedResult::Refused);
    let refused_pin = refused_pin.map(|tried| tried.stamp.clone());
    let mut worker = Worker::start(options.worker.as_deref()).map_err(text)?;
    let stamp = match worker.exchange(&Request::Find { options: options.clone(), refused_pin })? {
        Answer::Found { stamp } => stamp,
        other => return Ok(Opened::Not(other)),
    };
    let same = before.filter(|tried| tried.stamp == stamp);
    if same.as_ref().is_some_and(Tried::is_spent) {
        return Err(
            "the token has not answered to this PIN, and it is not tried again before the PIN file changes".to_owned()
        );
    }
    let unanswered = match same.map(|tried| tried.result) {
        Some(TriedResult::Unanswered(times)) => times,
        Some(TriedResult::Refused) | None => 0,
    };
    refusal.note(&stamp, TriedResult::Unanswered(unanswered + 1)).map_err(text)?;
    match worker.exchange(&Request::SignIn { public_key: public_key.map(|key| BASE64.encode(key)) })? {
        Answer::Opened => {
            refusal.forget().map_err(text)?;
            Ok(Opened::Worker(worker))
        }
        Answer::PinRefused => {
            if let Err(error) = refusal.note(&stamp, TriedResult::Refused) {
                tracing::error!(token = options.token, %error, "that the PIN was refused could not be written down");
                return Ok(Opened::Unnoted);
            }
            Ok(Opened::Not(Answer::PinRefused))
        }
        unanswered @ Answer::PinUnanswered { .. } => Ok(Opened::Not(unanswered)),
        // The token was not there, or the PIN was right and its key is not.
        other => {
            refusal.note(&stamp, TriedResult::Unanswered(unanswered)).map_err(text)?;
            Ok(Opened::Not(other))
        }
    }
}

impl Signer for HsmKey {
    fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.ask(message)
    }
}

impl std::fmt::Debug for HsmKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("HsmKey")
            .field("token", &self.options.token)
            .field("key", &self.options.key)
            .finish_non_exhaustive()
    }
}

/// Makes a key pair in a token: sensitive, never extractable, for signatures alone. Gives its SubjectPublicKeyInfo (DER).
///
/// # Errors
/// [`HsmError`], also when the token has a key of this label already.
pub fn generate(options: &HsmOptions, algorithm: KeyAlgorithm) -> Result<Vec<u8>, HsmError> {
    if !options.module.is_absolute() {
        return Err(HsmError::Module);
    }
    let refusal = Refusal::new(options)?;
    let answer = match open(options, &refusal, None).map_err(HsmError::Offline)? {
        Opened::Worker(mut worker) => worker.exchange(&Request::Generate { algorithm }).map_err(HsmError::Offline)?,
        Opened::Not(answer) => answer,
        Opened::Unnoted => Answer::PinRefused,
    };
    match answer {
        Answer::Generated { public_key } => {
            BASE64.decode(public_key.as_bytes()).map_err(|error| HsmError::Refused(error.to_string()))
        }
        Answer::PinRefused => Err(HsmError::Refused("the PIN is wrong".to_owned())),
        Answer::Offline { why } | Answer::PinUnanswered { why } => Err(HsmError::Offline(why)),
        Answer::Refused { why } => Err(HsmError::Refused(why)),
        Answer::Found { .. } | Answer::Opened | Answer::Signed { .. } => {
            Err(HsmError::Refused("an answer to another question".to_owned()))
        }
    }
}
