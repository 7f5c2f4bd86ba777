//! The card and everything else that a job works with.

use sealwright_protocol::Refusal;

use super::failure::JobFailure;
use super::progress::{Progress, ProgressLog};
use crate::card::{Card, CardError, Pin, Relay, Unlock, WritesWith};
use crate::pin_session::PinSession;

/// Everything that one attempt at a job works with.
pub struct JobContext<'a> {
    /// The id of the job.
    pub job: &'a str,
    pub card: &'a mut dyn Card,
    pub relay: &'a dyn Relay,
    pub log: &'a dyn ProgressLog,
    pub pins: &'a mut PinSession,
}

impl JobContext<'_> {
    /// The steps of this job that the card has confirmed so far.
    pub fn progress(&self) -> Progress {
        self.log.progress(self.job)
    }

    pub fn note(&self, progress: &Progress) -> Result<(), JobFailure> {
        Ok(self.log.note(self.job, progress)?)
    }

    /// Changes what is on the card, unlocked by the secret that the card asks for.
    pub fn write<T>(
        &mut self,
        work: impl Fn(&mut dyn Card, Unlock<'_>) -> Result<T, CardError>,
    ) -> Result<T, JobFailure> {
        match self.card.writes_with() {
            WritesWith::ManagementKey => Ok(work(self.card, Unlock::ManagementKey(self.relay))?),
            WritesWith::Pin => self.with_pin(|card, pin| work(card, Unlock::Pin(pin))),
        }
    }

    /// Does what needs the PIN. A refused one is not tried again.
    pub fn with_pin<T>(&mut self, work: impl Fn(&mut dyn Card, &Pin) -> Result<T, CardError>) -> Result<T, JobFailure> {
        loop {
            let tries = self.card.pin_tries()?;
            // The last try is the person's own to spend, elsewhere and knowingly.
            if tries.is_some_and(|tries| tries <= 1) {
                return Err(JobFailure::Refused(Refusal::PinBlocked));
            }

            let pin = self.pins.pin(tries).map_err(|_| JobFailure::Refused(Refusal::NoPin))?;
            match work(self.card, &pin) {
                Err(CardError::Wrong(_)) => {
                    self.pins.refuse();
                    if !self.pins.can_ask() {
                        return Err(JobFailure::Refused(Refusal::NoPin));
                    }
                    println!("Wrong PIN.");
                }
                Err(CardError::Blocked) => return Err(JobFailure::Refused(Refusal::PinBlocked)),
                other => return Ok(other?),
            }
        }
    }
}
