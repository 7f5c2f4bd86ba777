//! The thread that talks to cards: one job at a time, each begun again when the card comes back.

mod messages;
mod relay;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use sealwright_protocol::{Instruction, Reader, Report};
use tokio::sync::mpsc as channel;

use crate::card::Card;
use crate::error::Error;
use crate::job::JobContext;
use crate::jobs::{self, JobError};
use crate::journal::Journal;
use crate::pin_session::PinSession;
use crate::readers::{ReaderPresence, Readers};
use crate::terminal::{Say, ask_number};
use crate::token::ModuleOptions;

use messages::WorkerEnds;
pub use messages::{Answered, Channels, News, Order};
use relay::PortalRelay;

/// The pause before a card is looked for again.
const PAUSE: Duration = Duration::from_millis(300);
/// The interval in which an idle worker looks whether a card came or went.
const LOOK: Duration = Duration::from_secs(1);

struct Worker {
    readers: Readers,
    answers: mpsc::Receiver<Answered>,
    news: channel::UnboundedSender<News>,
    journal: Arc<Mutex<Journal>>,
    pins: PinSession,
    /// The state of the readers when the conversation was told of them last.
    told: Vec<ReaderPresence>,
}

/// Starts the worker. It ends when the channels are dropped, or after a failure.
pub fn start(
    journal: Arc<Mutex<Journal>>,
    pins: PinSession,
    only: Option<String>,
    modules: Vec<ModuleOptions>,
) -> (Channels, JoinHandle<()>) {
    let (channels, ends) = messages::channels();
    let thread = std::thread::spawn(move || run(ends, journal, pins, only, &modules));
    (channels, thread)
}

fn run(
    WorkerEnds { orders, answers, news }: WorkerEnds,
    journal: Arc<Mutex<Journal>>,
    pins: PinSession,
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

    let mut worker = Worker { readers, answers, news, journal, pins, told: Vec::new() };
    loop {
        match orders.recv_timeout(LOOK) {
            Ok(order) => {
                if let Err(error) = worker.carry_out(order) {
                    drop(worker.news.send(News::Failed(error)));
                    return;
                }
            }
            Err(mpsc::RecvTimeoutError::Timeout) => worker.tell_readers(),
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
    }
}

impl Worker {
    fn carry_out(&mut self, order: Order) -> Result<(), Error> {
        match order {
            Order::List(answer) => {
                self.told = self.readers.presence();
                drop(answer.send(self.readers.list()));
            }
            Order::Job { job, card, instruction, withdrawn } => {
                if let Some(report) = self.run_job(&job, card.as_deref(), &instruction, &withdrawn)? {
                    drop(self.news.send(News::Report { job, report }));
                }
            }
        }
        Ok(())
    }

    /// Tells the conversation which cards are there, if one came or went. Cards are opened only then.
    fn tell_readers(&mut self) {
        let presence = self.readers.presence();
        if presence != self.told {
            self.told = presence;
            drop(self.news.send(News::Readers(self.readers.list())));
        }
    }

    /// Begins a job again until there is a report; none when the job is withdrawn.
    fn run_job(
        &mut self,
        job: &str,
        serial: Option<&str>,
        instruction: &Instruction,
        withdrawn: &AtomicBool,
    ) -> Result<Option<Report>, Error> {
        let mut said = String::new();
        while !withdrawn.load(Ordering::SeqCst) {
            let found = match serial {
                Some(serial) => self.readers.find(serial),
                None => choose(self.readers.all(), &self.pins)?,
            };
            let Some(mut open) = found else {
                self.tell_readers();
                let say = self.missing(serial);
                if say != said {
                    said.clone_from(&say);
                    drop(self.news.send(News::Say(say)));
                }
                self.readers.wait(PAUSE);
                continue;
            };
            if !said.is_empty()
                && let Some(serial) = serial
            {
                // The whole list follows when the job is done: until then only the card in use is opened.
                let reader = Reader { name: open.reader().to_owned(), card: Some(serial.to_owned()) };
                drop(self.news.send(News::Readers(vec![reader])));
            }
            said.clear();
            if let Some(serial) = serial {
                self.pins.turn_to(serial);
            }

            let relay = PortalRelay { job, news: &self.news, answers: &self.answers };
            let (card, log, pins) = (open.as_mut(), self.journal.as_ref(), &mut self.pins);
            match jobs::run(&mut JobContext { job, card, relay: &relay, log, pins }, instruction) {
                Ok(report) => return Ok(Some(report)),
                Err(JobError::Gone) => self.readers.wait(PAUSE),
                Err(JobError::Stop(error)) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The words for a person whose card is not there, or cannot be used.
    fn missing(&self, serial: Option<&str>) -> String {
        let which = serial.map_or_else(String::new, |serial| format!(" {serial}"));
        self.readers.obstacle().unwrap_or_else(|| {
            if self.readers.is_any() {
                format!("Please put the card{which} into the reader.")
            } else {
                format!("There is no card reader. Please connect one, with the card{which} in it.")
            }
        })
    }
}

/// Chooses the card when the portal has not named one: the only one, or the one that the person
/// picks.
fn choose(mut cards: Vec<(String, Box<dyn Card>)>, pins: &PinSession) -> Result<Option<Box<dyn Card>>, Error> {
    if cards.len() <= 1 {
        return Ok(cards.pop().map(|(_, open)| open));
    }
    if !pins.can_ask() {
        return Err(Error::say("There are several cards. Take the others out, or say which reader with --reader."));
    }
    println!("There are several cards:");
    for (index, (serial, open)) in cards.iter().enumerate() {
        println!("  {}: card {serial} in {}", index + 1, open.reader());
    }
    let picked = ask_number("Which one is yours? ", cards.len())?;
    Ok(Some(cards.swap_remove(picked - 1).1))
}
