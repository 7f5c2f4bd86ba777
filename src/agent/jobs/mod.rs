//! What a card is asked to do: one job a file.

mod generate_key;
mod identify;
mod install_certificate;
mod prove_key;
mod prove_key_by_secret;
mod replace_factory_secrets;

use std::sync::Mutex;

use sealwright_protocol::{Instruction, ManagementKey, ManagementKeyAlgorithm, Refusal, Report};

use crate::Error;
use crate::journal::{Journal, Progress};
use crate::pin::Sitting;
use crate::piv::{Piv, PivError, Transport};
use crate::readers::{Leave, OpenCard};
use crate::worker::Relay;

/// Why a job came to no report.
pub enum JobError {
    /// The card was pulled: the job begins again when it is back.
    Gone,
    /// The agent cannot go on at all.
    Stop(Error),
}

/// Does one job. What the card or the person refuses is a report.
///
/// # Errors
/// [`JobError`].
pub fn run(
    card: &mut OpenCard,
    instruction: &Instruction,
    relay: &Relay<'_>,
    journal: &Mutex<Journal>,
    sitting: &mut Sitting,
) -> Result<Report, JobError> {
    let mut desk = Desk { card, relay, journal, sitting };
    let done = match instruction {
        Instruction::Identify => identify::run(&mut desk),
        Instruction::ReplaceFactorySecrets { .. } => replace_factory_secrets::run(&mut desk, instruction),
        Instruction::GenerateKeyAndCsr { slot, algorithm } => generate_key::run(&mut desk, *slot, *algorithm),
        Instruction::InstallCertificate { slot, certificate } => {
            install_certificate::run(&mut desk, *slot, &certificate.0)
        }
        Instruction::ProveKey { slot, certificate, portal, nonce } => {
            prove_key::run(&mut desk, *slot, &certificate.0, portal, nonce)
        }
        Instruction::ProveKeyBySecret { slot, certificate, portal, nonce, challenge } => {
            prove_key_by_secret::run(&mut desk, *slot, &certificate.0, portal, nonce, &challenge.0)
        }
    };
    match done {
        Ok(report) => Ok(report),
        Err(Trouble::Refused(reason)) => Ok(Report::Refused { reason }),
        Err(Trouble::Piv(PivError::Gone)) => Err(JobError::Gone),
        Err(Trouble::Piv(error)) => {
            tracing::warn!(%error, "the card refused");
            Ok(Report::Refused { reason: Refusal::Card })
        }
        Err(Trouble::Stop(error)) => Err(JobError::Stop(error)),
    }
}

/// Everything that a job works with.
struct Desk<'a> {
    card: &'a mut OpenCard,
    relay: &'a Relay<'a>,
    /// Locked only to be read or written: the conversation needs it while a person types.
    journal: &'a Mutex<Journal>,
    sitting: &'a mut Sitting,
}

impl Desk<'_> {
    /// What the card has confirmed of this job so far.
    fn progress(&self) -> Progress {
        self.journal.lock().map(|journal| journal.progress(self.relay.job)).unwrap_or_default()
    }

    fn note(&self, progress: &Progress) -> Result<(), Trouble> {
        let mut journal = self.journal.lock().map_err(|_| Error::say("The agent's journal cannot be written."))?;
        Ok(journal.note(self.relay.job, progress)?)
    }
}

/// What keeps a job from being done.
enum Trouble {
    Refused(Refusal),
    Piv(PivError),
    Stop(Error),
}

impl From<PivError> for Trouble {
    fn from(error: PivError) -> Self {
        Self::Piv(error)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Stop(error)
    }
}

/// The algorithms that a management key may have, the usual one first.
const ALGORITHMS: [ManagementKeyAlgorithm; 4] = [
    ManagementKeyAlgorithm::TripleDes,
    ManagementKeyAlgorithm::Aes192,
    ManagementKeyAlgorithm::Aes256,
    ManagementKeyAlgorithm::Aes128,
];

/// The algorithm of the card's management key: the one that it gives a witness for.
fn management_key_algorithm(piv: &mut Piv<'_>) -> Result<ManagementKeyAlgorithm, PivError> {
    for algorithm in ALGORITHMS {
        match piv.witness(algorithm) {
            Ok(_) => return Ok(algorithm),
            Err(PivError::Gone) => return Err(PivError::Gone),
            Err(_) => {}
        }
    }
    Err(PivError::Answer)
}

/// Authenticates to the card with a key that only the portal has; gives the card's answer to the portal's challenge. `None` when
/// the portal has no such key or the card has another one.
fn authenticate(
    piv: &mut Piv<'_>,
    relay: &Relay<'_>,
    serial: &str,
    key: ManagementKey,
    algorithm: ManagementKeyAlgorithm,
) -> Result<Option<Vec<u8>>, PivError> {
    let witness = piv.witness(algorithm)?;
    let Some(answer) = relay.ask(serial, key, algorithm, witness)? else { return Ok(None) };
    match piv.authenticate(algorithm, &answer.witness.0, &answer.challenge.0) {
        Ok(response) => Ok(Some(response)),
        Err(PivError::Gone) => Err(PivError::Gone),
        Err(_) => Ok(None),
    }
}

/// Authenticates with the card's own key and then runs `work`, in one transaction.
fn with_management_key<T>(
    desk: &mut Desk<'_>,
    work: impl FnOnce(&mut Piv<'_>) -> Result<T, PivError>,
) -> Result<T, Trouble> {
    let relay = desk.relay;
    let done = desk.card.transaction(Leave::Locked, |transport: &mut dyn Transport| {
        let mut piv = Piv::select(transport)?;
        let serial = piv.serial()?;
        let algorithm = management_key_algorithm(&mut piv)?;
        match authenticate(&mut piv, relay, &serial, ManagementKey::Own, algorithm)? {
            Some(_) => work(&mut piv).map(Some),
            None => Ok(None),
        }
    })?;
    done.ok_or(Trouble::Refused(Refusal::ManagementKey))
}

/// Signs with a key of the card.
fn sign(
    desk: &mut Desk<'_>,
    slot: sealwright_protocol::Slot,
    algorithm: sealwright_protocol::KeyAlgorithm,
    message: &[u8],
) -> Result<Vec<u8>, Trouble> {
    with_pin(desk, |piv| piv.sign(slot, algorithm, message))
}

/// Does what needs the PIN. It is verified just before, in the same transaction; a refused one is not tried again.
fn with_pin<T>(desk: &mut Desk<'_>, work: impl Fn(&mut Piv<'_>) -> Result<T, PivError>) -> Result<T, Trouble> {
    loop {
        let tries = desk.card.transaction(Leave::AsItIs, |transport| Piv::select(transport)?.pin_tries())?;
        // The last try is the person's own to spend, elsewhere and knowingly.
        if tries.is_some_and(|tries| tries <= 1) {
            return Err(Trouble::Refused(Refusal::PinBlocked));
        }
        let pin = desk.sitting.pin(tries).map_err(|_| Trouble::Refused(Refusal::NoPin))?;
        let done = desk.card.transaction(Leave::Locked, |transport| {
            let mut piv = Piv::select(transport)?;
            piv.verify_pin(pin.bytes())?;
            work(&mut piv)
        });
        match done {
            Err(PivError::Wrong(_)) => {
                desk.sitting.refuse();
                if !desk.sitting.can_ask() {
                    return Err(Trouble::Refused(Refusal::NoPin));
                }
                println!("The card says that this is not its PIN.");
            }
            Err(PivError::Blocked) => return Err(Trouble::Refused(Refusal::PinBlocked)),
            other => return Ok(other?),
        }
    }
}
