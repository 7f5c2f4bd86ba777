//! The command `cards`: lists readers and the cards in them.

use std::sync::Arc;

use sealwright_protocol::Reader;
use serde::Serialize;

use crate::error::Error;
use crate::readers::Readers;
use crate::terminal::Say;
use crate::token::ModuleOptions;

/// A reader in the list that `cards --json` prints.
#[derive(Serialize)]
struct Listed {
    reader: String,
    /// The serial number of the card in it.
    card: Option<String>,
}

/// Prints one line for each reader, or all of them as JSON.
///
/// # Errors
/// [`Error::Service`].
pub fn run(modules: &[ModuleOptions], json: bool) -> Result<(), Error> {
    let say: Say = Arc::new(|text| eprintln!("{text}"));
    let list = Readers::new(None, modules, say)?.list();

    if json {
        let list: Vec<Listed> = list.into_iter().map(|Reader { name, card }| Listed { reader: name, card }).collect();
        let text = serde_json::to_string(&list).map_err(|_| Error::say("The list of cards cannot be written."))?;
        println!("{text}");
        return Ok(());
    }

    if list.is_empty() {
        println!("There is no reader.");
    }
    for reader in list {
        match reader.card {
            Some(serial) => println!("{}: card {serial}", reader.name),
            None => println!("{}: no card of a kind that is known here", reader.name),
        }
    }
    Ok(())
}
