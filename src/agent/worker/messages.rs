//! Messages between the conversation with the portal and the thread that talks to cards.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use sealwright_protocol::{
    Bytes, Instruction, ManagementKey, ManagementKeyAlgorithm, Reader, RelayAnswer, RelayRefusal, Report,
};
use tokio::sync::oneshot;

use crate::error::Error;

/// A request to the worker.
pub enum Order {
    List(oneshot::Sender<Vec<Reader>>),
    Job { job: String, card: Option<String>, instruction: Instruction, withdrawn: Arc<AtomicBool> },
}

/// A message of the worker.
pub enum News {
    Relay { job: String, serial: String, key: ManagementKey, algorithm: ManagementKeyAlgorithm, witness: Bytes },
    Report { job: String, report: Report },
    Say(String),
    Failed(Error),
}

/// The portal's answer to a witness.
pub struct Answered {
    pub witness: Bytes,
    pub answer: Result<RelayAnswer, RelayRefusal>,
}
