//! The conversation with a portal: connects, pairs or resumes, and does jobs until it is finished.

mod comparison;
mod end;
mod handshake;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealwright_protocol::{Capabilities, Capability, FromAgent, FromPortal, Reader};

use crate::connection::{Connection, Lost};
use crate::error::Error;
use crate::fail_point;
use crate::journal::Journal;
use crate::worker::{Answered, Channels, News, Order};
use end::{End, another_version, unexpected};
use handshake::Handshake;

/// How often a lost portal is tried again.
const PATIENCE: u32 = 120;
const PAUSE: Duration = Duration::from_millis(500);

/// A conversation about one code, over as many connections as it takes.
pub struct Conversation {
    portal: String,
    code: String,
    ca_file: Option<PathBuf>,
    journal: Arc<Mutex<Journal>>,
    worker: Channels,
    /// Jobs under way, and the flag that withdraws each.
    jobs: BTreeMap<String, Arc<AtomicBool>>,
    /// Reports that the portal has not taken yet, by job: a lost connection or a killed portal may
    /// have lost them.
    reports: BTreeMap<String, FromAgent>,
    /// Reports that are to be sent again.
    unsent: Vec<FromAgent>,
    /// The last progress line.
    last: String,
    /// Capabilities that the next hello names.
    named: Capabilities,
    /// Capabilities that the portal of the present connection names too.
    shared: Capabilities,
    /// The readers and cards that the worker told last.
    readers: Option<Vec<Reader>>,
}

impl Conversation {
    pub fn new(
        portal: String,
        code: String,
        ca_file: Option<PathBuf>,
        journal: Arc<Mutex<Journal>>,
        worker: Channels,
    ) -> Self {
        Self {
            portal,
            code,
            ca_file,
            journal,
            worker,
            jobs: BTreeMap::new(),
            reports: BTreeMap::new(),
            unsent: Vec::new(),
            last: String::new(),
            named: Capabilities::known(),
            shared: Capabilities::default(),
            readers: None,
        }
    }

    /// Talks to the portal until it is finished; a lost connection is opened again.
    ///
    /// # Errors
    /// The text that the person reads.
    pub async fn run(&mut self) -> Result<(), Error> {
        let mut tries = 0;
        loop {
            let end = match Connection::open(&self.portal, self.ca_file.as_deref()).await {
                Ok(connection) => {
                    tries = 0;
                    self.run_connection(connection).await
                }
                Err(Some(error)) => return Err(error),
                Err(None) => End::Lost,
            };
            match end {
                End::Finished { success, say } => {
                    println!("{say}");
                    self.forget();
                    return if success { Ok(()) } else { Err(Error::say("The card is not ready.")) };
                }
                End::Refused(say) => return Err(Error::say(say)),
                End::Failed(error) => return Err(error),
                End::Older => self.named = Capabilities::default(),
                End::Lost => {
                    tries += 1;
                    if tries > PATIENCE {
                        return Err(Error::say(
                            "The portal does not answer. Start the same command again later: nothing is lost.",
                        ));
                    }
                    if tries == 1 {
                        println!("The connection to the portal was lost. Trying again…");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Withdraws the jobs under way, for which the worker may wait for a card, and lets the worker
    /// end.
    pub fn end(self) {
        for withdrawn in self.jobs.values() {
            withdrawn.store(true, Ordering::SeqCst);
        }
    }

    fn forget(&self) {
        if let Ok(journal) = self.journal.lock() {
            journal.remove();
        }
    }

    async fn run_connection(&mut self, mut connection: Connection) -> End {
        let (code, journal, worker) = (&*self.code, &*self.journal, &mut self.worker);
        let named = &self.named;
        let handshake = Handshake { connection: &mut connection, code, journal, worker, named, shared: None };
        self.shared = match handshake.run().await {
            Ok(shared) => shared,
            Err(end) => return end,
        };

        self.unsent.clear();
        self.unsent.extend(self.readers.clone().and_then(|readers| self.told(readers)));
        loop {
            for report in std::mem::take(&mut self.unsent) {
                if connection.send(&report).await.is_err() {
                    return End::Lost;
                }
            }
            tokio::select! {
                message = connection.receive() => match message {
                    Ok(message) => if let Some(end) = self.handle_message(message) { return end },
                    Err(Lost::Network) => return End::Lost,
                    Err(Lost::Protocol) => return another_version(),
                },
                news = self.worker.news.recv() => match news {
                    Some(news) => if let Some(end) = self.handle_news(&mut connection, news).await { return end },
                    None => return End::Failed(Error::say("The card worker ended.")),
                },
            }
        }
    }

    fn handle_message(&mut self, message: FromPortal) -> Option<End> {
        match message {
            FromPortal::Job { job, card, instruction } => {
                // Told again after a reconnect: it is under way already, or its report was lost.
                if self.jobs.contains_key(&job) {
                    self.unsent.extend(self.reports.get(&job).cloned());
                    return None;
                }
                let withdrawn = Arc::new(AtomicBool::new(false));
                self.jobs.insert(job.clone(), withdrawn.clone());
                let order = Order::Job { job, card, instruction: Box::new(instruction), withdrawn };
                self.worker.orders.send(order).err().map(|_| End::Lost)
            }
            FromPortal::RelayAnswer { witness, answer, .. } => {
                drop(self.worker.answers.send(Answered { witness, answer }));
                None
            }
            FromPortal::Withdraw { job } => {
                self.reports.remove(&job);
                if let Some(withdrawn) = self.jobs.remove(&job) {
                    withdrawn.store(true, Ordering::SeqCst);
                }
                None
            }
            FromPortal::Progress { label } => {
                if label != self.last {
                    println!("· {label}");
                    self.last = label;
                }
                None
            }
            FromPortal::Finished { success, say } => Some(End::Finished { success, say }),
            other => Some(unexpected(other)),
        }
    }

    /// The message that tells of cards; none where the portal has not named it.
    fn told(&self, readers: Vec<Reader>) -> Option<FromAgent> {
        self.shared.has(Capability::Readers).then_some(FromAgent::Readers { readers })
    }

    async fn handle_news(&mut self, connection: &mut Connection, news: News) -> Option<End> {
        let message = match news {
            News::Relay { job, serial, key, algorithm, witness } => {
                FromAgent::Relay { job, serial, key, algorithm, witness }
            }
            News::Report { job, report } => {
                fail_point!("agent.report");
                let message = FromAgent::Report { job: job.clone(), report };
                self.reports.insert(job, message.clone());
                message
            }
            News::Say(text) => {
                println!("{text}");
                return None;
            }
            News::Readers(readers) => {
                self.readers = Some(readers.clone());
                self.told(readers)?
            }
            News::Failed(error) => return Some(End::Failed(error)),
        };
        if connection.send(&message).await.is_err() {
            // A report is kept; a relay that is not answered makes its job begin again.
            return Some(End::Lost);
        }
        None
    }
}
