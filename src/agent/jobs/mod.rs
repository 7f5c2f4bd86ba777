//! What a card is asked to do: one job a file.

mod generate_key;
mod identify;
mod install_certificate;
mod prove_key;
mod replace_factory_secrets;

use std::sync::Mutex;

use sealwright_protocol::{Instruction, Refusal, Report};

use crate::card::{Card, CardError, Unlock, WritesWith};
use crate::error::Error;
use crate::journal::{Journal, Progress};
use crate::pin::{Pin, Sitting};
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
    card: &mut dyn Card,
    instruction: &Instruction,
    relay: &Relay<'_>,
    journal: &Mutex<Journal>,
    sitting: &mut Sitting,
) -> Result<Report, JobError> {
    let mut desk = Desk { card, relay, journal, sitting };
    let done = match instruction {
        Instruction::Identify => identify::run(&mut desk),
        Instruction::ReplaceFactorySecrets { secrets } => replace_factory_secrets::run(&mut desk, secrets),
        Instruction::GenerateKeyAndCsr { slot, algorithm } => generate_key::run(&mut desk, *slot, *algorithm),
        Instruction::InstallCertificate { slot, certificate, test } => {
            install_certificate::run(&mut desk, *slot, &certificate.0, test)
        }
    };
    match done {
        Ok(report) => Ok(report),
        Err(Trouble::Card(CardError::Gone)) => Err(JobError::Gone),
        Err(Trouble::Stop(error)) => Err(JobError::Stop(error)),
        Err(Trouble::Refused(reason)) => Ok(Report::Refused { reason }),
        Err(Trouble::Card(error)) => Ok(Report::Refused { reason: refusal(&error) }),
    }
}

/// What the portal is told of a card's error; the log has it whole.
fn refusal(error: &CardError) -> Refusal {
    tracing::warn!(%error, "the card refused");
    match error {
        CardError::ManagementKey => Refusal::ManagementKey,
        CardError::Unsupported => Refusal::Unsupported,
        CardError::PinPad => {
            println!("This card's reader has its own PIN pad, which is not supported. Use a reader without one.");
            Refusal::Unsupported
        }
        _ => Refusal::Card,
    }
}

/// Everything that a job works with.
struct Desk<'a> {
    card: &'a mut dyn Card,
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
    Card(CardError),
    Stop(Error),
}

impl From<CardError> for Trouble {
    fn from(error: CardError) -> Self {
        Self::Card(error)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Stop(error)
    }
}

/// Changes what is on the card, with whatever secret the card asks for that.
fn write<T>(
    desk: &mut Desk<'_>,
    work: impl Fn(&mut dyn Card, Unlock<'_>) -> Result<T, CardError>,
) -> Result<T, Trouble> {
    match desk.card.writes_with() {
        WritesWith::ManagementKey => Ok(work(desk.card, Unlock::ManagementKey(desk.relay))?),
        WritesWith::Pin => with_pin(desk, |card, pin| work(card, Unlock::Pin(pin))),
    }
}

/// Does what needs the PIN. A refused one is not tried again.
fn with_pin<T>(desk: &mut Desk<'_>, work: impl Fn(&mut dyn Card, &Pin) -> Result<T, CardError>) -> Result<T, Trouble> {
    loop {
        let tries = desk.card.pin_tries()?;
        // The last try is the person's own to spend, elsewhere and knowingly.
        if tries.is_some_and(|tries| tries <= 1) {
            return Err(Trouble::Refused(Refusal::PinBlocked));
        }
        let pin = desk.sitting.pin(tries).map_err(|_| Trouble::Refused(Refusal::NoPin))?;
        match work(desk.card, &pin) {
            Err(CardError::Wrong(_)) => {
                desk.sitting.refuse();
                if !desk.sitting.can_ask() {
                    return Err(Trouble::Refused(Refusal::NoPin));
                }
                println!("Wrong PIN.");
            }
            Err(CardError::Blocked) => return Err(Trouble::Refused(Refusal::PinBlocked)),
            other => return Ok(other?),
        }
    }
}
