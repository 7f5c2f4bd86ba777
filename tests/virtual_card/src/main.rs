//! Smart cards in software, for tests and the demo: `readers` starts a private pcscd, `card` puts a card into one of its readers.

mod attestation;
mod card;
mod chip;
mod hold;
mod readers;
mod removal;

use std::path::PathBuf;
use std::process::{self, ExitCode};

use clap::Parser;

#[derive(Parser)]
#[command(version, about)]
enum Arguments {
    /// A factory-fresh PIV card, inserted for as long as this process runs; its state stays in a folder.
    Card {
        /// Where the reader's driver listens.
        #[arg(long)]
        reader: String,
        /// The number that GET SERIAL answers.
        #[arg(long)]
        serial: u32,
        /// Do not know GET SERIAL, as cards of other makes: what tells this one from others is its CHUID.
        #[arg(long)]
        unnumbered: bool,
        #[arg(long)]
        state: PathBuf,
        /// A folder with the authority that the card's attestations lead to: the card attests its keys then.
        #[arg(long)]
        attestation: Option<PathBuf>,
        /// Do not sign with the key of key management, as strict cards do.
        #[arg(long)]
        strict: bool,
        /// Let it be one that does not work.
        #[arg(long)]
        fault: Option<card::Fault>,
    },
    /// An authority for attestations: makes `authority.pem` and its key in a folder.
    AttestationAuthority {
        #[arg(long)]
        directory: PathBuf,
    },
    /// A pcscd of one's own with empty readers, until standard input ends. Prints one line of JSON when it is ready.
    Readers {
        /// A folder of one's own for socket, drivers and configuration.
        #[arg(long)]
        directory: PathBuf,
        /// How many readers.
        #[arg(long, default_value_t = 2)]
        count: u16,
    },
    /// Use the card of a reader as another program would, until standard input ends. Prints a line when it has it.
    Hold {
        #[arg(long)]
        reader: String,
        #[arg(long)]
        how: hold::How,
    },
    /// Wait until the service has noticed that the card of a reader was pulled. Prints a line when it begins to watch.
    Removal {
        #[arg(long)]
        reader: String,
    },
}

fn main() -> ExitCode {
    // A panic in the card's service thread would leave its client waiting for ever.
    let default_hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        default_hook(info);
        #[expect(clippy::disallowed_methods, reason = "the card's own threads do not end otherwise")]
        process::exit(101);
    }));
    let result = match Arguments::parse() {
        Arguments::Card { reader, serial, unnumbered, state, attestation, strict, fault } => {
            card::run(&reader, &state, card::Make { serial, unnumbered, attestation, strict, fault })
        }
        Arguments::AttestationAuthority { directory } => attestation::make_authority(&directory),
        Arguments::Readers { directory, count } => readers::run(&directory, count),
        Arguments::Hold { reader, how } => hold::run(&reader, how),
        Arguments::Removal { reader } => removal::wait(&reader),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("virtual-card: {error}");
            ExitCode::FAILURE
        }
    }
}
