//! The terminal: questions to the person, and lines that are typed, shown or hidden.

use std::fs::File;
use std::io::{BufRead, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::error::Error;

/// Tells the person something.
pub type Say = Arc<dyn Fn(String) + Send + Sync>;

/// The longest line that [`line()`] reads, in bytes.
const LONGEST: usize = 1024;

/// The error of a terminal that cannot be used.
pub fn unusable(error: std::io::Error) -> Error {
    Error::File { path: PathBuf::from("terminal"), error }
}

/// Asks for yes or no; no answer is no.
///
/// # Errors
/// The terminal cannot be read.
pub fn ask(question: &str) -> Result<bool, Error> {
    let answer = answer(question)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Asks for a number from 1 to `most` until one is given.
///
/// # Errors
/// The terminal cannot be read, or nobody answers.
pub fn ask_number(question: &str, most: usize) -> Result<usize, Error> {
    loop {
        let answer = answer(question)?;
        if answer.is_empty() {
            return Err(Error::say("Nobody answered."));
        }
        if let Some(number) = answer.trim().parse().ok().filter(|number| (1..=most).contains(number)) {
            return Ok(number);
        }
    }
}

/// Asks and reads a line; empty at the end of the input.
///
/// # Errors
/// The terminal cannot be read.
fn answer(question: &str) -> Result<String, Error> {
    print!("{question}");
    std::io::stdout().flush().map_err(unusable)?;

    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(unusable)?;
    Ok(answer)
}

/// Asks and reads a line without a buffer, byte by byte: the input behind it is left to a child
/// process. None at the end of the input.
///
/// # Errors
/// The terminal cannot be read.
pub fn line(question: &str) -> std::io::Result<Option<String>> {
    print!("{question}");
    std::io::stdout().flush()?;

    let mut input = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let mut bytes = Vec::new();
    let mut byte = [0];
    while bytes.len() < LONGEST && input.read(&mut byte)? == 1 {
        if byte == *b"\n" {
            return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
        }
        bytes.extend(byte);
    }
    Ok(None)
}

/// The settings of the terminal before it hid the input.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Asks and reads a line that is not shown while it is typed.
///
/// # Errors
/// The terminal cannot be read or set.
pub fn hidden_line(prompt: &str) -> Result<Zeroizing<String>, Error> {
    let stdin = std::io::stdin();
    print!("{prompt}: ");
    std::io::stdout().flush().map_err(unusable)?;

    if let Ok(before) = tcgetattr(&stdin) {
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        tcsetattr(&stdin, SetArg::TCSANOW, &silent).map_err(|error| unusable(error.into()))?;
    }

    let mut line = Zeroizing::new(String::new());
    let read = stdin.lock().read_line(&mut line);
    show_input().map_err(unusable)?;
    read.map_err(unusable)?;
    Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Shows typed input again, also when the agent ends while [`hidden_line`] waits.
///
/// # Errors
/// The terminal cannot be set.
pub fn show_input() -> std::io::Result<()> {
    if let Some(before) = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take() {
        tcsetattr(std::io::stdin(), SetArg::TCSANOW, &before)?;
        println!();
    }
    Ok(())
}
