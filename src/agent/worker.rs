//! The thread that talks to cards: one job at a time, each begun again when the card comes back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use sealwright_protocol::{
    Bytes, Instruction, ManagementKey, ManagementKeyAlgorithm, Reader, RelayAnswer, RelayRefusal, Report,
};
use tokio::sync::mpsc as channel;

use crate::card::{Card, CardError};
use crate::error::Error;
use crate::jobs::{self, JobError};
use crate::journal::Journal;
use crate::pin::Sitting;
use crate::readers::Readers;
use crate::terminal::{Say, ask_number};
use crate::token::ModuleOptions;

/// What the conversation wants of the cards.
pub enum Order {
    List(tokio::sync::oneshot::Sender<Vec<Reader>>),
    Job { job: String, card: Option<String>, instruction: Instruction, withdrawn: Arc<AtomicBool> },
}

/// What the worker has to say.
pub enum News {
    Relay { job: String, serial: String, key: ManagementKey, algorithm: ManagementKeyAlgorithm, witness: Bytes },
    Report { job: String, report: Report },
    Say(String),
    Failed(Error),
}

/// What the portal says of a witness.
pub struct Answered {
    pub witness: Bytes,
    pub answer: Result<RelayAnswer, RelayRefusal>,
}

/// Asks the portal through the conversation, from within a card transaction.
pub struct Relay<'a> {
    pub job: &'a str,
    pub news: &'a channel::UnboundedSender<News>,
    pub answers: &'a mpsc::Receiver<Answered>,
}

/// Windows resets a card transaction that rests for five seconds.
const RELAY_LIMIT: Duration = Duration::from_millis(4500);

impl Relay<'_> {
    /// `None` when the portal has no such key.
    ///
    /// # Errors
    /// [`CardError::Gone`] when the portal does not answer in time: the job begins again.
    pub fn ask(
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

/// Runs until the conversation ends.
pub fn run(
    orders: mpsc::Receiver<Order>,
    answers: mpsc::Receiver<Answered>,
    news: channel::UnboundedSender<News>,
    journal: Arc<Mutex<Journal>>,
    mut sitting: Sitting,
    only: Option<String>,
    modules: &[ModuleOptions],
) {
    let to_person = news.clone();
    let say: Say = Arc::new(move |text| drop(to_person.send(News::Say(text))));
    let readers = match Readers::new(only, modules, say) {
        Ok(readers) => readers,
        Err(error) => {
            drop(news.send(News::Failed(error)));
            return;
        }
    };
    for order in orders {
        match order {
            Order::List(answer) => drop(answer.send(readers.list())),
            Order::Job { job, card, instruction, withdrawn } => {
                let relay = Relay { job: &job, news: &news, answers: &answers };
                let mut said = String::new();
                loop {
                    if withdrawn.load(Ordering::SeqCst) {
                        break;
                    }
                    let found = match &card {
                        Some(serial) => Ok(readers.find(serial)),
                        None => choose(readers.all(), &sitting),
                    };
                    let found = match found {
                        Ok(found) => found,
                        Err(error) => {
                            drop(news.send(News::Failed(error)));
                            return;
                        }
                    };
                    let Some(mut open) = found else {
                        let which = card.as_ref().map_or_else(String::new, |serial| format!(" {serial}"));
                        let missing = || {
                            if readers.is_any() {
                                format!("Please put the card{which} into the reader.")
                            } else {
                                format!("There is no card reader. Please connect one, with the card{which} in it.")
                            }
                        };
                        let say = readers.obstacle().unwrap_or_else(missing);
                        if say != said {
                            said.clone_from(&say);
                            drop(news.send(News::Say(say)));
                        }
                        readers.wait(Duration::from_millis(300));
                        continue;
                    };
                    said.clear();
                    if let Some(serial) = &card {
                        sitting.turn_to(serial);
                    }
                    let result = jobs::run(open.as_mut(), &instruction, &relay, &journal, &mut sitting);
                    match result {
                        Ok(report) => {
                            drop(news.send(News::Report { job: job.clone(), report }));
                            break;
                        }
                        Err(JobError::Gone) => readers.wait(Duration::from_millis(300)),
                        Err(JobError::Stop(error)) => {
                            drop(news.send(News::Failed(error)));
                            return;
                        }
                    }
                }
            }
        }
    }
}

/// The card that is meant, when the portal has not named one: the only one, or the one that the person picks.
fn choose(mut cards: Vec<(String, Box<dyn Card>)>, sitting: &Sitting) -> Result<Option<Box<dyn Card>>, Error> {
    if cards.len() <= 1 {
        return Ok(cards.pop().map(|(_, open)| open));
    }
    if !sitting.can_ask() {
        return Err(Error::say("There are several cards. Take the others out, or say which reader with --reader."));
    }
    println!("There are several cards:");
    for (index, (serial, open)) in cards.iter().enumerate() {
        println!("  {}: card {serial} in {}", index + 1, open.reader());
    }
    let picked = ask_number("Which one is yours? ", cards.len())?;
    Ok(Some(cards.swap_remove(picked - 1).1))
}
