//! The way from a card transaction to the portal and back, through the conversation.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use sealwright_protocol::{Bytes, ManagementKey, ManagementKeyAlgorithm, RelayAnswer};
use tokio::sync::mpsc as channel;

use super::messages::{Answered, News};
use crate::card::{CardError, Relay};

/// The time limit of an answer: Windows resets a card transaction that rests for five seconds.
const RELAY_LIMIT: Duration = Duration::from_millis(4500);

/// Relays what one job asks.
pub struct PortalRelay<'a> {
    pub job: &'a str,
    pub news: &'a channel::UnboundedSender<News>,
    pub answers: &'a mpsc::Receiver<Answered>,
}

impl Relay for PortalRelay<'_> {
    fn ask(
        &self,
        serial: &str,
        key: ManagementKey,
        algorithm: ManagementKeyAlgorithm,
        witness: Vec<u8>,
    ) -> Result<Option<RelayAnswer>, CardError> {
        let (job, serial, witness) = (self.job.to_owned(), serial.to_owned(), Bytes(witness));
        let question = News::Relay { job, serial, key, algorithm, witness: witness.clone() };
        self.news.send(question).map_err(|_| CardError::Gone)?;

        let limit = Instant::now() + RELAY_LIMIT;
        loop {
            match self.answers.recv_timeout(limit.saturating_duration_since(Instant::now())) {
                Ok(answered) if answered.witness == witness => return Ok(answered.answer.ok()),
                // It came too late, for an earlier question.
                Ok(_) => {}
                Err(_) => return Err(CardError::Gone),
            }
        }
    }
}
