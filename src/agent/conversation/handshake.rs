//! The handshake at the beginning of each connection: pairing with comparison of the numbers, or
//! resumption.

use std::sync::Mutex;

use sealwright_protocol::{Bytes, FromAgent, FromPortal, RESUME_CONTEXT, Reader, VERSION};
use tokio::sync::oneshot;

use super::comparison;
use super::end::{End, receive, send, unexpected};
use crate::connection::Connection;
use crate::error::Error;
use crate::journal::{Journal, Paired};
use crate::worker::{Channels, News, Order};
use crate::{fail_point, terminal};

/// A handshake with the portal on one connection.
pub struct Handshake<'a> {
    pub connection: &'a mut Connection,
    pub code: &'a str,
    pub journal: &'a Mutex<Journal>,
    pub worker: &'a mut Channels,
}

impl Handshake<'_> {
    /// Says hello, and pairs or resumes.
    ///
    /// # Errors
    /// [`End`].
    pub async fn run(&mut self) -> Result<(), End> {
        let (key, pairing) = {
            let journal = self.journal.lock().map_err(|_| End::Lost)?;
            (journal.public_key(), journal.pairing().cloned())
        };

        let hello = FromAgent::Hello {
            protocol: VERSION,
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            host: host_name(),
            key: Bytes(key.clone()),
        };
        send(self.connection, &hello).await?;

        match pairing {
            Some(paired) => self.resume(paired).await,
            None => self.pair(&key).await,
        }
    }

    async fn resume(&mut self, paired: Paired) -> Result<(), End> {
        let Paired { pairing, number } = paired;
        send(self.connection, &FromAgent::Resume { pairing: pairing.clone() }).await?;
        let nonce = match receive(self.connection).await? {
            FromPortal::Challenge { nonce } => nonce,
            other => return Err(unexpected(other)),
        };

        let message = [RESUME_CONTEXT.as_bytes(), pairing.as_bytes(), &nonce.0].concat();
        let signature = self.journal.lock().map_err(|_| End::Lost)?.sign(&message);
        send(self.connection, &FromAgent::Proof { signature: Bytes(signature) }).await?;

        println!("Reconnected. If the page still asks, the number is {number}.");
        match receive(self.connection).await? {
            FromPortal::Paired => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    async fn pair(&mut self, key: &[u8]) -> Result<(), End> {
        let mut nonce = [0; 32];
        aws_lc_rs::rand::fill(&mut nonce)
            .map_err(|_| End::Failed(Error::say("The system cannot provide random numbers.")))?;

        let (answer, listed) = oneshot::channel();
        self.worker.orders.send(Order::List(answer)).map_err(|_| End::Lost)?;
        let readers = self.listed(listed).await?;

        let commitment = Bytes(comparison::commitment(key, &nonce));
        send(self.connection, &FromAgent::Redeem { code: self.code.to_owned(), commitment, readers }).await?;

        let (pairing, portal_nonce) = match receive(self.connection).await? {
            FromPortal::Offer { pairing, portal, person, purpose, nonce } => {
                println!("Portal:  {portal}\nPerson:  {person}\nPurpose: {purpose}");
                (pairing, nonce)
            }
            other => return Err(unexpected(other)),
        };

        send(self.connection, &FromAgent::Reveal { nonce: Bytes(nonce.to_vec()) }).await?;
        let number = comparison::number(&pairing, key, &nonce, &portal_nonce.0);
        println!("Number:  {number}");

        let same = tokio::task::spawn_blocking(|| terminal::ask("Does the page show the same number? [y/N] ")).await;
        match same {
            Ok(Ok(true)) => {}
            _ => return Err(End::Refused("The numbers were not confirmed. Nothing was done.".to_owned())),
        }
        fail_point!("agent.confirm");

        // Kept before it is said: a portal that hears it takes it for given.
        self.journal.lock().map_err(|_| End::Lost)?.paired(Paired { pairing, number }).map_err(End::Failed)?;
        send(self.connection, &FromAgent::Confirm).await?;
        println!("Now confirm the number on the page.");
        match receive(self.connection).await? {
            FromPortal::Paired => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    /// Waits for the worker's list of readers; another program may hold it up, and that is said.
    async fn listed(&mut self, mut listed: oneshot::Receiver<Vec<Reader>>) -> Result<Vec<Reader>, End> {
        loop {
            tokio::select! {
                biased;
                news = self.worker.news.recv() => match news {
                    Some(News::Say(text)) => println!("{text}"),
                    Some(News::Failed(error)) => return Err(End::Failed(error)),
                    _ => return Err(End::Lost),
                },
                readers = &mut listed => match readers {
                    Ok(readers) => return Ok(readers),
                    // The worker says why when it ends.
                    Err(_) => match self.worker.news.recv().await {
                        Some(News::Failed(error)) => return Err(End::Failed(error)),
                        _ => return Err(End::Lost),
                    },
                },
            }
        }
    }
}

fn host_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.unwrap_or_else(|| "unknown".to_owned()).chars().take(64).collect()
}
