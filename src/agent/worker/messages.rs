//! Messages between the conversation with the portal and the thread that talks to cards.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, mpsc};

use sealwright_protocol::{
    Bytes, Instruction, ManagementKey, ManagementKeyAlgorithm, Reader, RelayAnswer, RelayRefusal, Report,
};
use tokio::sync::{mpsc as channel, oneshot};

use crate::error::Error;

/// A request to the worker.
pub enum Order {
    List(oneshot::Sender<Vec<Reader>>),
    Job { job: String, card: Option<String>, instruction: Box<Instruction>, withdrawn: Arc<AtomicBool> },
}

/// A message of the worker.
pub enum News {
    Relay {
        job: String,
        serial: String,
        key: ManagementKey,
        algorithm: ManagementKeyAlgorithm,
        witness: Bytes,
    },
    Report {
        job: String,
        report: Report,
    },
    /// Every reader and the card in it, after a card came or went.
    Readers(Vec<Reader>),
    Say(String),
    Failed(Error),
}

/// The portal's answer to a witness.
pub struct Answered {
    pub witness: Bytes,
    pub answer: Result<RelayAnswer, RelayRefusal>,
}

/// The conversation's ends of the channels.
pub struct Channels {
    pub orders: mpsc::Sender<Order>,
    pub answers: mpsc::Sender<Answered>,
    pub news: channel::UnboundedReceiver<News>,
}

/// The worker's ends of the channels.
pub(super) struct WorkerEnds {
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) answers: mpsc::Receiver<Answered>,
    pub(super) news: channel::UnboundedSender<News>,
}

pub(super) fn channels() -> (Channels, WorkerEnds) {
    let (orders, taken) = mpsc::channel();
    let (answers, answered) = mpsc::channel();
    let (news, told) = channel::unbounded_channel();
    (Channels { orders, answers, news: told }, WorkerEnds { orders: taken, answers: answered, news })
}
