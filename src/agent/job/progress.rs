//! The notes that a job makes of the steps that the card has confirmed.

use sealwright_protocol::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The steps of one job that the card has confirmed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    pub pin: bool,
    pub puk: bool,
    pub management_key: bool,
    /// The public key of a key that was generated: the card tells it only once.
    pub public_key: Option<Bytes>,
}

/// Durable progress, by the id of the job: a job that begins again skips the steps that are noted.
pub trait ProgressLog {
    /// The steps of a job that are noted so far.
    fn progress(&self, job: &str) -> Progress;

    /// Notes the steps of a job, before the next one changes the card.
    ///
    /// # Errors
    /// The notes cannot be written: the job must not go on.
    fn note(&self, job: &str, progress: &Progress) -> Result<(), Error>;
}
