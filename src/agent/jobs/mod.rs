//! The jobs of a card, one a file. They know cards and the messages of the protocol, and nothing of
//! connections.

mod generate_key;
mod identify;
mod install_certificate;
mod prove_key;
mod replace_factory_secrets;

use sealwright_protocol::{Instruction, Report};

use crate::card::CardError;
use crate::error::Error;
use crate::job::{JobContext, JobFailure, refusal};

/// The reason why an attempt at a job came to no report.
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
pub fn run(context: &mut JobContext<'_>, instruction: &Instruction) -> Result<Report, JobError> {
    let done = match instruction {
        Instruction::Identify => identify::run(context),
        Instruction::ReplaceFactorySecrets { secrets, pin_policy } => {
            replace_factory_secrets::run(context, secrets, pin_policy.as_ref())
        }
        Instruction::GenerateKeyAndCsr { slot, algorithm } => generate_key::run(context, *slot, *algorithm),
        Instruction::InstallCertificate { slot, certificate, test } => {
            install_certificate::run(context, *slot, &certificate.0, test)
        }
    };
    match done {
        Ok(report) => Ok(report),
        Err(JobFailure::Card(CardError::Gone)) => Err(JobError::Gone),
        Err(JobFailure::Stop(error)) => Err(JobError::Stop(error)),
        Err(JobFailure::Refused(reason)) => Ok(Report::Refused { reason }),
        Err(JobFailure::Card(error)) => Ok(Report::Refused { reason: refusal(&error) }),
    }
}
