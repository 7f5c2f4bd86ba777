//! The ways in which a job fails, and what the portal is told of a card's error.

use sealwright_protocol::Refusal;

use crate::card::CardError;
use crate::error::Error;

/// A failure inside a job.
pub enum JobFailure {
    /// The card or the person refuses, which is reported.
    Refused(Refusal),
    Card(CardError),
    /// The agent cannot go on at all.
    Stop(Error),
}

impl From<CardError> for JobFailure {
    fn from(error: CardError) -> Self {
        Self::Card(error)
    }
}

impl From<Error> for JobFailure {
    fn from(error: Error) -> Self {
        Self::Stop(error)
    }
}

/// The refusal that the portal is told for a card's error; the log has the error whole.
pub fn refusal(error: &CardError) -> Refusal {
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
