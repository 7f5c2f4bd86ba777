//! What is wrong with a definition, said so that its author can mend it.

use std::fmt;

/// A place in a source file; both numbers count from one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// One problem: where, which rule, what, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    pub file: String,
    pub at: Position,
    /// The rule's name, the same word as its file under `verify/`, or `syntax`.
    pub rule: &'static str,
    pub message: String,
    pub hint: Option<String>,
    /// The line of the file, to be shown with a caret below.
    pub excerpt: Option<String>,
}

/// How much of a line is shown.
const EXCERPT: usize = 160;

impl Diagnostic {
    /// Adds the line from the file's text.
    pub fn with_line_of(mut self, source: &str) -> Self {
        let line = self.at.line.checked_sub(1).and_then(|index| source.lines().nth(index));
        // A file may hold anything; a terminal gets no control characters.
        let shown = |line: &str| {
            line.chars().take(EXCERPT).map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
        };
        self.excerpt = line.map(shown);
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}: {}: {}", self.file, self.at.line, self.at.column, self.rule, self.message)?;
        if let Some(excerpt) = self.excerpt.as_ref().filter(|excerpt| !excerpt.trim().is_empty()) {
            let number = self.at.line.to_string();
            write!(out, "\n{number:>6} | {excerpt}")?;
            if self.at.column <= EXCERPT {
                write!(out, "\n{:>6} | {}^", "", " ".repeat(self.at.column.saturating_sub(1)))?;
            }
        }
        match &self.hint {
            Some(hint) => write!(out, "\n    help: {hint}"),
            None => Ok(()),
        }
    }
}

/// Collects the problems of one file.
#[derive(Debug)]
pub struct Report {
    file: String,
    diagnostics: Vec<Diagnostic>,
}

impl Report {
    pub fn new(file: &str) -> Self {
        Self { file: file.to_owned(), diagnostics: Vec::new() }
    }

    pub fn add(&mut self, at: Position, rule: &'static str, message: impl Into<String>) {
        self.push(at, rule, message.into(), None);
    }

    pub fn add_with_hint(
        &mut self,
        at: Position,
        rule: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(at, rule, message.into(), Some(hint.into()));
    }

    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    pub fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        self.diagnostics.sort();
        self.diagnostics.dedup();
        self.diagnostics
    }

    fn push(&mut self, at: Position, rule: &'static str, message: String, hint: Option<String>) {
        self.diagnostics.push(Diagnostic { file: self.file.clone(), at, rule, message, hint, excerpt: None });
    }
}

/// The known word nearest to a misspelt one, for a hint.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(far, candidate)| *far <= 1 + candidate.chars().count() / 3)
        .min()
        .map(|(_, candidate)| format!("did you mean `{candidate}`?"))
}

/// Levenshtein's distance, in characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, left) in left.chars().enumerate() {
        let mut diagonal = above;
        let mut before = above + 1;
        let mut next = vec![before];
        for (right, old) in right.iter().zip(row.iter().skip(1)) {
            before = (diagonal + usize::from(left != *right)).min(old + 1).min(before + 1);
            diagonal = *old;
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
