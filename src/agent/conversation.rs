//! One sitting with a portal: pair or resume, compare the numbers, do jobs until it is finished.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use sealwright_protocol::{Bytes, FromAgent, FromPortal, RESUME_CONTEXT, Reader, VERSION};
use tokio::sync::{mpsc as channel, oneshot};

use crate::comparison;
use crate::configuration::Configuration;
use crate::connection::{Connection, Lost};
use crate::error::Error;
use crate::journal::{Journal, Paired};
use crate::pin_session::PinSession;
use crate::worker::{self, Answered, News, Order};
use crate::{fail_point, terminal};

/// How long a lost portal is tried again.
const PATIENCE: u32 = 120;
const PAUSE: Duration = Duration::from_millis(500);
/// How long the worker may take to end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The command `connect`.
///
/// # Errors
/// What the person reads.
pub fn connect(
    configuration: Configuration,
    code: &str,
    portal: Option<String>,
    pin_fd: Option<i32>,
    reader: Option<String>,
) -> Result<(), Error> {
    let (portal, code) = target(code, portal.or_else(|| configuration.portal.clone()))?;
    configuration.trust(&portal)?;
    let pins = PinSession::new(pin_fd)?;
    let journal = Arc::new(Mutex::new(Journal::open(&configuration.state, &portal, &code)?));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|_| Error::say("The agent cannot start."))?;
    let (orders, to_do) = mpsc::channel();
    let (answers, answered) = mpsc::channel();
    let (news, told) = channel::unbounded_channel();
    let shared = journal.clone();
    let modules = configuration.modules.clone();
    let thread = std::thread::spawn(move || worker::run(to_do, answered, news, shared, pins, reader, &modules));
    let mut talk = Talk {
        portal,
        code,
        configuration,
        journal,
        orders,
        answers,
        news: told,
        jobs: BTreeMap::new(),
        reports: BTreeMap::new(),
        unsent: Vec::new(),
        last: String::new(),
    };
    let result = runtime.block_on(talk.run());
    // The worker may wait for a card: what it was asked for is no longer wanted.
    for withdrawn in talk.jobs.values() {
        withdrawn.store(true, Ordering::SeqCst);
    }
    drop(talk);
    // Without orders the worker ends, unless somebody is asked for a PIN. A module must not be at work while the process ends.
    let limit = Instant::now() + LAST_WORDS;
    while !thread.is_finished() && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(5));
    }
    // There may be no terminal.
    drop(terminal::show_input());
    result
}

/// `sealwright://host/CODE`, or a typed code and the portal's address.
fn target(code: &str, portal: Option<String>) -> Result<(String, String), Error> {
    let (portal, code) = if let Some(link) = code.strip_prefix("sealwright://") {
        let (host, code) = link.split_once('/').ok_or_else(|| Error::say("The link is not complete."))?;
        let scheme = if host == "127.0.0.1" || host.starts_with("127.0.0.1:") { "http" } else { "https" };
        (format!("{scheme}://{host}"), code)
    } else {
        (portal.ok_or_else(|| Error::say("Say which portal the code is from: --portal https://…"))?, code)
    };
    // What stands before it is no host (RFC 3986 section 3.2.1), and looks like one to whoever is asked for trust.
    if portal.contains('@') {
        return Err(Error::say("The portal's address must name a host alone, without anything before an @."));
    }
    Ok((portal, code.to_owned()))
}

struct Talk {
    portal: String,
    code: String,
    configuration: Configuration,
    journal: Arc<Mutex<Journal>>,
    orders: mpsc::Sender<Order>,
    answers: mpsc::Sender<Answered>,
    news: channel::UnboundedReceiver<News>,
    /// Jobs under way, and the flag that withdraws each.
    jobs: BTreeMap<String, Arc<AtomicBool>>,
    /// Reports that the portal has not taken yet, by job: a lost connection or a killed portal may have lost them.
    reports: BTreeMap<String, FromAgent>,
    /// Reports that are to be sent again.
    unsent: Vec<FromAgent>,
    /// The last progress line.
    last: String,
}

/// How a connection ended.
enum End {
    Finished { success: bool, say: String },
    Refused(String),
    Lost,
    Failed(Error),
}

impl Talk {
    async fn run(&mut self) -> Result<(), Error> {
        let mut tries = 0;
        loop {
            let end = match Connection::open(&self.portal, self.configuration.ca_file.as_deref()).await {
                Ok(connection) => {
                    tries = 0;
                    self.converse(connection).await
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

    fn forget(&self) {
        if let Ok(journal) = self.journal.lock() {
            journal.remove();
        }
    }

    async fn converse(&mut self, mut connection: Connection) -> End {
        match self.greet(&mut connection).await {
            Ok(()) => {}
            Err(end) => return end,
        }
        self.unsent.clear();
        loop {
            for report in std::mem::take(&mut self.unsent) {
                if connection.send(&report).await.is_err() {
                    return End::Lost;
                }
            }
            tokio::select! {
                message = connection.receive() => match message {
                    Ok(message) => if let Some(end) = self.take(message) { return end },
                    Err(Lost::Network) => return End::Lost,
                    Err(Lost::Protocol) => return another_version(),
                },
                news = self.news.recv() => match news {
                    Some(news) => if let Some(end) = self.tell(&mut connection, news).await { return end },
                    None => return End::Failed(Error::say("The card worker ended.")),
                },
            }
        }
    }

    /// Pairs or resumes.
    async fn greet(&mut self, connection: &mut Connection) -> Result<(), End> {
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
        send(connection, &hello).await?;
        match pairing {
            Some(paired) => self.resume(connection, paired).await,
            None => self.pair(connection, &key).await,
        }
    }

    async fn resume(&mut self, connection: &mut Connection, paired: Paired) -> Result<(), End> {
        let Paired { pairing, number } = paired;
        send(connection, &FromAgent::Resume { pairing: pairing.clone() }).await?;
        let nonce = match receive(connection).await? {
            FromPortal::Challenge { nonce } => nonce,
            other => return Err(unexpected(other)),
        };
        let message = [RESUME_CONTEXT.as_bytes(), pairing.as_bytes(), &nonce.0].concat();
        let signature = self.journal.lock().map_err(|_| End::Lost)?.sign(&message);
        send(connection, &FromAgent::Proof { signature: Bytes(signature) }).await?;
        println!("Reconnected. If the page still asks, the number is {number}.");
        match receive(connection).await? {
            FromPortal::Paired => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    async fn pair(&mut self, connection: &mut Connection, key: &[u8]) -> Result<(), End> {
        let mut nonce = [0; 32];
        aws_lc_rs::rand::fill(&mut nonce)
            .map_err(|_| End::Failed(Error::say("The system cannot provide random numbers.")))?;
        let (answer, listed) = oneshot::channel();
        self.orders.send(Order::List(answer)).map_err(|_| End::Lost)?;
        let readers = self.listed(listed).await?;
        let commitment = Bytes(comparison::commitment(key, &nonce));
        send(connection, &FromAgent::Redeem { code: self.code.clone(), commitment, readers }).await?;
        let (pairing, portal_nonce) = match receive(connection).await? {
            FromPortal::Offer { pairing, portal, person, purpose, nonce } => {
                println!("Portal:  {portal}\nPerson:  {person}\nPurpose: {purpose}");
                (pairing, nonce)
            }
            other => return Err(unexpected(other)),
        };
        send(connection, &FromAgent::Reveal { nonce: Bytes(nonce.to_vec()) }).await?;
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
        send(connection, &FromAgent::Confirm).await?;
        println!("Now confirm the number on the page.");
        match receive(connection).await? {
            FromPortal::Paired => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    /// The readers, once the worker has looked; another program may hold it up, and that is said.
    async fn listed(&mut self, mut listed: oneshot::Receiver<Vec<Reader>>) -> Result<Vec<Reader>, End> {
        loop {
            tokio::select! {
                biased;
                news = self.news.recv() => match news {
                    Some(News::Say(text)) => println!("{text}"),
                    Some(News::Failed(error)) => return Err(End::Failed(error)),
                    _ => return Err(End::Lost),
                },
                readers = &mut listed => match readers {
                    Ok(readers) => return Ok(readers),
                    // The worker says why when it ends.
                    Err(_) => match self.news.recv().await {
                        Some(News::Failed(error)) => return Err(End::Failed(error)),
                        _ => return Err(End::Lost),
                    },
                },
            }
        }
    }

    fn take(&mut self, message: FromPortal) -> Option<End> {
        match message {
            FromPortal::Job { job, card, instruction } => {
                // Told again after a reconnect: it is under way already, or its report was lost.
                if self.jobs.contains_key(&job) {
                    self.unsent.extend(self.reports.get(&job).cloned());
                    return None;
                }
                let withdrawn = Arc::new(AtomicBool::new(false));
                self.jobs.insert(job.clone(), withdrawn.clone());
                let order = Order::Job { job, card, instruction, withdrawn };
                self.orders.send(order).err().map(|_| End::Lost)
            }
            FromPortal::RelayAnswer { witness, answer, .. } => {
                drop(self.answers.send(Answered { witness, answer }));
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

    async fn tell(&mut self, connection: &mut Connection, news: News) -> Option<End> {
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
            News::Failed(error) => return Some(End::Failed(error)),
        };
        if connection.send(&message).await.is_err() {
            // A report is kept; a relay that is not answered makes its job begin again.
            return Some(End::Lost);
        }
        None
    }
}

async fn send(connection: &mut Connection, message: &FromAgent) -> Result<(), End> {
    connection.send(message).await.map_err(|_| End::Lost)
}

async fn receive(connection: &mut Connection) -> Result<FromPortal, End> {
    connection.receive().await.map_err(|lost| match lost {
        Lost::Network => End::Lost,
        Lost::Protocol => another_version(),
    })
}

fn another_version() -> End {
    End::Failed(Error::say("The portal speaks another version of the protocol. Update the agent."))
}

fn unexpected(message: FromPortal) -> End {
    match message {
        FromPortal::Refused { say } => End::Refused(say),
        FromPortal::Finished { success, say } => End::Finished { success, say },
        _ => End::Failed(Error::say("The portal says something that this agent does not expect. Update the agent.")),
    }
}

fn host_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.unwrap_or_else(|| "unknown".to_owned()).chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_names_its_portal_and_no_other() {
        let target = |link: &str| target(link, None).map(|(portal, _)| portal).ok();
        assert_eq!(target("sealwright://portal.example.org/c0de").as_deref(), Some("https://portal.example.org"));
        assert_eq!(target("sealwright://127.0.0.1:8443/c0de").as_deref(), Some("http://127.0.0.1:8443"));
        assert_eq!(target("sealwright://127.0.0.1.example.org/c0de").as_deref(), Some("https://127.0.0.1.example.org"));
        for link in ["sealwright://portal.example.org@example.net/c0de", "sealwright://127.0.0.1:80@example.net/c0de"] {
            assert_eq!(target(link), None, "{link}");
        }
    }
}
