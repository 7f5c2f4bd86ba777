//! The handshake at the beginning of each connection: pairing with comparison of the numbers, or
//! resumption.

use std::sync::Mutex;
use std::time::Duration;

use sealwright_protocol::{
    Bytes, Capabilities, Capability, FromAgent, FromPortal, Hello, NOT_UNDERSTOOD, RESUME_CONTEXT, Reader, VERSION,
};
use tokio::sync::oneshot;

use super::comparison;
use super::end::{End, another_version, receive, send, unexpected};
use crate::connection::{Connection, Lost};
use crate::error::Error;
use crate::journal::{Journal, Paired};
use crate::worker::{Channels, News, Order};
use crate::{fail_point, terminal};

/// The time limit for the portal to take the last message.
const LAST_WORD: Duration = Duration::from_secs(2);

/// A handshake with the portal on one connection.
pub struct Handshake<'a> {
    pub connection: &'a mut Connection,
    pub code: &'a str,
    pub journal: &'a Mutex<Journal>,
    pub worker: &'a mut Channels,
    /// Capabilities that this agent names.
    pub named: &'a Capabilities,
    /// Capabilities that the portal names too, from its first answer on.
    pub shared: Option<Capabilities>,
}

impl Handshake<'_> {
    /// Says hello, and pairs or resumes; gives the capabilities that both sides name.
    ///
    /// # Errors
    /// [`End`].
    pub async fn run(mut self) -> Result<Capabilities, End> {
        match self.pair_or_resume().await {
            Ok(()) => Ok(self.shared.unwrap_or_default()),
            Err(End::Refused(say)) if say == NOT_UNDERSTOOD && self.shared.is_none() && !self.named.is_empty() => {
                Err(End::Older)
            }
            Err(end) => Err(end),
        }
    }

    async fn pair_or_resume(&mut self) -> Result<(), End> {
        let (key, pairing) = {
            let journal = self.journal.lock().map_err(|_| End::Lost)?;
            (journal.public_key(), journal.pairing().cloned())
        };

        let hello = FromAgent::Hello(Hello {
            protocol: VERSION,
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            host: host_name(),
            key: Bytes(key.clone()),
            capabilities: self.named.clone(),
        });
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
            FromPortal::Challenge { nonce, capabilities } => {
                self.shared = Some(capabilities);
                nonce
            }
            other => return Err(unexpected(other)),
        };

        hide_input()?;
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
            FromPortal::Offer { pairing, portal, person, purpose, nonce, capabilities } => {
                self.shared = Some(capabilities);
                println!("Portal:  {portal}\nPerson:  {person}\nPurpose: {purpose}");
                (pairing, nonce)
            }
            other => return Err(unexpected(other)),
        };

        send(self.connection, &FromAgent::Reveal { nonce: Bytes(nonce.to_vec()) }).await?;
        let number = comparison::number(&pairing, key, &nonce, &portal_nonce.0);
        println!("Number:  {number}");

        self.compare().await?;
        hide_input()?;
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

    /// Asks whether the numbers are the same. The portal may end the pairing meanwhile; a pairing that is
    /// not confirmed does not outlive its connection.
    async fn compare(&mut self) -> Result<(), End> {
        let mut asked = tokio::task::spawn_blocking(|| terminal::ask("Does the page show the same number? [y/N] "));
        let is_pinged = self.has(Capability::Decline);
        let answer = tokio::select! {
            answer = &mut asked => answer.map_err(|_| End::Failed(Error::say("The agent cannot ask. Nothing was done.")))?,
            received = receive_while_asking(self.connection, is_pinged) => {
                // The question stands at the end of its line.
                println!();
                return Err(match received {
                    Ok(message) => unexpected(message),
                    Err(Lost::Protocol) => another_version(),
                    Err(Lost::Network) => End::Failed(Error::say(
                        "The connection to the portal broke before the number was confirmed. Nothing was done. Use a new code.",
                    )),
                });
            }
        };
        let say = match answer {
            Ok(Some(true)) => return Ok(()),
            Ok(Some(false)) => {
                if self.has(Capability::Decline) {
                    send(self.connection, &FromAgent::Decline).await?;
                    // The portal closes. A process that ends before it has read everything resets the
                    // connection, and the message may be lost with it.
                    drop(tokio::time::timeout(LAST_WORD, self.connection.receive()).await);
                }
                "The number was not confirmed here. Nothing was done. The page offers a new code.".to_owned()
            }
            Ok(None) => "Nobody answered whether the numbers are the same. Nothing was done.".to_owned(),
            Err(error) => format!("The answer cannot be read: {error}. Nothing was done."),
        };
        Err(End::Refused(say))
    }

    fn has(&self, capability: Capability) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.has(capability))
    }

    /// Waits for the worker's list of readers; another program may hold it up, and that is said.
    async fn listed(&mut self, mut listed: oneshot::Receiver<Vec<Reader>>) -> Result<Vec<Reader>, End> {
        loop {
            tokio::select! {
                biased;
                news = self.worker.news.recv() => match news {
                    Some(News::Say(text)) => println!("{text}"),
                    Some(News::Readers(_)) => {}
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

async fn receive_while_asking(connection: &mut Connection, is_pinged: bool) -> Result<FromPortal, Lost> {
    if is_pinged { connection.receive().await } else { connection.receive_unpinged().await }
}

/// Hides what is typed from the confirmation on: a PIN that comes before its question is not shown.
fn hide_input() -> Result<(), End> {
    terminal::hide_input().map_err(|error| End::Failed(terminal::unusable(error)))
}

fn host_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.unwrap_or_else(|| "unknown".to_owned()).chars().take(64).collect()
}
