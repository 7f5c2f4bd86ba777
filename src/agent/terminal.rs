//! The terminal: questions to the person, and lines that are typed, shown or hidden.

use std::fs::File;
use std::io::{BufRead, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::termios::{FlushArg, LocalFlags, SetArg, Termios, tcflush, tcgetattr, tcsetattr};
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

/// Asks for yes or no; `None` at the end of the input. An empty line is no.
///
/// # Errors
/// The terminal cannot be read.
pub fn ask(question: &str) -> Result<Option<bool>, Error> {
    let answer = answer(question)?;
    let is_yes = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    Ok((!answer.is_empty()).then_some(is_yes))
}

/// Asks for a number from 1 to `most` until one is given. The digits are shown while they are typed.
///
/// # Errors
/// The terminal cannot be read, or nobody answers.
pub fn ask_number(question: &str, most: usize) -> Result<usize, Error> {
    let was_hidden = ECHO.show(std::io::stdin()).map_err(unusable)?;
    let asked = ask_shown_number(question, most);
    if was_hidden {
        ECHO.hide(std::io::stdin()).map_err(unusable)?;
    }
    asked
}

fn ask_shown_number(question: &str, most: usize) -> Result<usize, Error> {
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

/// Asks and reads a line that is not shown while it is typed. What was typed before the question is
/// dropped.
///
/// # Errors
/// The terminal cannot be read or set.
pub fn hidden_line(prompt: &str) -> Result<Zeroizing<String>, Error> {
    let stdin = std::io::stdin();
    let is_terminal = ECHO.hide(&stdin).and_then(|()| drop_typed_ahead(&stdin)).map_err(unusable)?;
    print!("{prompt}: ");
    std::io::stdout().flush().map_err(unusable)?;

    let mut line = Zeroizing::new(String::new());
    let read = stdin.lock().read_line(&mut line);
    if is_terminal {
        println!();
    }
    read.map_err(unusable)?;
    Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Drops lines and parts of lines that the terminal has received and nobody has read; tells whether
/// it is a terminal. The input of a pipe is left as it is.
fn drop_typed_ahead(input: impl AsFd) -> std::io::Result<bool> {
    if tcgetattr(&input).is_err() {
        return Ok(false);
    }
    tcflush(input, FlushArg::TCIFLUSH)?;
    Ok(true)
}

/// Hides typed input from now on, until [`show_input`]: a PIN that somebody types before they are
/// asked is not shown either.
///
/// # Errors
/// The terminal cannot be set.
pub fn hide_input() -> std::io::Result<()> {
    ECHO.hide(std::io::stdin())
}

/// Shows typed input again.
///
/// # Errors
/// The terminal cannot be set.
pub fn show_input() -> std::io::Result<()> {
    ECHO.show(std::io::stdin()).map(drop)
}

/// The echo of the process's own terminal.
static ECHO: Echo = Echo { before: Mutex::new(None) };

/// The echo of a terminal, and its settings before the echo was switched off.
struct Echo {
    before: Mutex<Option<Termios>>,
}

impl Echo {
    /// Switches the echo off; does nothing where it is off already, or there is no terminal.
    fn hide(&self, input: impl AsFd) -> std::io::Result<()> {
        let mut kept = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_some() {
            return Ok(());
        }
        let Ok(before) = tcgetattr(&input) else { return Ok(()) };
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO | LocalFlags::ECHONL);
        *kept = Some(before);
        Ok(tcsetattr(input, SetArg::TCSANOW, &silent)?)
    }

    /// Restores the settings; tells whether the echo was off.
    fn show(&self, input: impl AsFd) -> std::io::Result<bool> {
        let Some(before) = self.before.lock().unwrap_or_else(PoisonError::into_inner).take() else { return Ok(false) };
        // A process in the background is stopped by SIGTTOU when it sets a terminal. The agent may be
        // there when a signal has ended the program that started it.
        let mut stop = SigSet::empty();
        stop.add(Signal::SIGTTOU);
        stop.thread_block()?;
        let set = tcsetattr(input, SetArg::TCSANOW, &before);
        stop.thread_unblock()?;
        set?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {

    use nix::pty::{OpenptyResult, openpty};

    use super::*;

    fn echoes(terminal: impl AsFd) -> bool {
        tcgetattr(terminal).expect("settings").local_flags.contains(LocalFlags::ECHO)
    }

    fn terminal() -> OpenptyResult {
        openpty(None, None).expect("a pseudo terminal")
    }

    #[test]
    fn the_echo_is_off_until_it_is_restored() {
        let OpenptyResult { slave, master: _keyboard } = terminal();
        let echo = Echo { before: Mutex::new(None) };
        assert!(echoes(&slave));
        assert!(!echo.show(&slave).expect("nothing to restore"));

        for _ in 0..2 {
            echo.hide(&slave).expect("set");
            assert!(!echoes(&slave));
        }
        // The settings of before the first call come back.
        assert!(echo.show(&slave).expect("restored"));
        assert!(echoes(&slave));
    }

    #[test]
    fn settings_other_than_the_echo_are_left() {
        let OpenptyResult { slave, master: _keyboard } = terminal();
        let echo = Echo { before: Mutex::new(None) };
        let before = tcgetattr(&slave).expect("settings");
        echo.hide(&slave).expect("set");
        let hidden = tcgetattr(&slave).expect("settings");
        assert_eq!(hidden.local_flags | LocalFlags::ECHO, before.local_flags);
        assert!(hidden.local_flags.contains(LocalFlags::ISIG | LocalFlags::ICANON));
    }

    #[test]
    fn lines_that_were_typed_ahead_are_dropped() {
        let OpenptyResult { master, slave } = terminal();
        let mut keyboard = File::from(master);
        keyboard.write_all(b"123456\nhalf a li").expect("typed");
        assert!(drop_typed_ahead(&slave).expect("dropped"));
        keyboard.write_all(b"73915824\n").expect("typed");

        let mut line = String::new();
        std::io::BufReader::new(File::from(slave)).read_line(&mut line).expect("a line");
        assert_eq!(line, "73915824\n");
    }

    #[test]
    fn a_pipe_has_no_echo_and_loses_nothing() {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let echo = Echo { before: Mutex::new(None) };
        writer.write_all(b"73915824\n").expect("written");
        echo.hide(&reader).expect("nothing to set");
        assert!(!drop_typed_ahead(&reader).expect("nothing to drop"));
        assert!(!echo.show(&reader).expect("nothing to restore"));

        let mut line = String::new();
        std::io::BufReader::new(reader).read_line(&mut line).expect("a line");
        assert_eq!(line, "73915824\n");
    }
}
