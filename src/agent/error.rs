//! The errors that end a command, in words for the person.

use std::path::PathBuf;

/// An error that ends a command without success.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Say(String),
    #[error("The smart card service does not answer. Start pcscd and try again. ({0})")]
    Service(pcsc::Error),
    #[error("{path}: {error}")]
    File { path: PathBuf, error: std::io::Error },
}

impl Error {
    pub fn say(text: impl Into<String>) -> Self {
        Self::Say(text.into())
    }
}
