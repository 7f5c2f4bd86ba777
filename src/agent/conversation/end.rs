//! The ways in which a connection to the portal ends.

use sealwright_protocol::{FromAgent, FromPortal};

use crate::connection::{Connection, Lost};
use crate::error::Error;

/// The end of a connection.
pub enum End {
    /// The portal has no more jobs.
    Finished {
        success: bool,
        say: String,
    },
    /// The portal refuses, in words for the person.
    Refused(String),
    /// The portal is of an earlier release: say hello again without capabilities.
    Older,
    /// The network or the portal went away: try again.
    Lost,
    Failed(Error),
}

/// # Errors
/// [`End::Lost`].
pub async fn send(connection: &mut Connection, message: &FromAgent) -> Result<(), End> {
    connection.send(message).await.map_err(|_| End::Lost)
}

/// # Errors
/// [`End`].
pub async fn receive(connection: &mut Connection) -> Result<FromPortal, End> {
    connection.receive().await.map_err(|lost| match lost {
        Lost::Network => End::Lost,
        Lost::Protocol => another_version(),
    })
}

/// The end for a message that cannot be read.
pub fn another_version() -> End {
    End::Failed(Error::say("The portal speaks another version of the protocol. Update the agent."))
}

/// The end for a message that does not fit here.
pub fn unexpected(message: FromPortal) -> End {
    match message {
        FromPortal::Refused { say } => End::Refused(say),
        FromPortal::Finished { success, say } => End::Finished { success, say },
        _ => End::Failed(Error::say("The portal says something that this agent does not expect. Update the agent.")),
    }
}
