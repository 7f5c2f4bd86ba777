//! All workflows of a portal, linked with each other and with the host's catalog, and verified.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::catalog::Catalog;
use crate::definition::{Argument, ArgumentValue, Definition, Kind, Path, Word};
use crate::diagnostic::{Diagnostic, Report};
use crate::parse;
use crate::types::Type;
use crate::verify;

/// Verified definitions by name. There is no way to have one that was not verified.
#[derive(Clone, Debug, Default)]
pub struct Library {
    definitions: BTreeMap<String, Arc<Definition>>,
}

impl Library {
    /// Reads, links and verifies files given as (name for messages, text).
    ///
    /// # Errors
    /// Every problem of every file, by file and line.
    pub fn load<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
        catalog: &Catalog,
    ) -> Result<Self, Vec<Diagnostic>> {
        Self::load_unless(files, catalog, |_| false)
    }

    /// The same, where one file is a version that was released before: it need not name outcomes that its activities have got since. An instance
    /// that meets one is stuck, and an operator decides.
    ///
    /// # Errors
    /// As [`Library::load`].
    pub fn load_released<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
        released: &str,
        catalog: &Catalog,
    ) -> Result<Self, Vec<Diagnostic>> {
        Self::load_unless(files, catalog, |problem| problem.file == released && verify::YOUNGER.contains(&problem.rule))
    }

    fn load_unless<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
        catalog: &Catalog,
        is_allowed: impl Fn(&Diagnostic) -> bool,
    ) -> Result<Self, Vec<Diagnostic>> {
        let sources: Vec<(&str, &str)> = files.into_iter().collect();
        let mut problems = Vec::new();
        let mut parsed: BTreeMap<String, Definition> = BTreeMap::new();
        for (file, source) in sources.iter().copied() {
            match parse::parse(file, source) {
                Ok(definition) => {
                    let at = definition.name.at;
                    if let Some(other) = parsed.insert(definition.name.text.clone(), definition) {
                        let mut report = Report::new(file);
                        report.add(at, "names", format!("`{}` is declared in {} too", other.name.text, other.file));
                        problems.extend(report.into_diagnostics());
                    }
                }
                Err(found) => problems.extend(found),
            }
        }
        let signatures: BTreeMap<String, BTreeMap<String, Type>> = parsed
            .iter()
            .map(|(name, definition)| {
                let inputs = definition.data.iter().map(|(field, of)| (field.clone(), of.field_type.clone())).collect();
                (name.clone(), inputs)
            })
            .collect();
        for definition in parsed.values_mut() {
            let mut report = Report::new(&definition.file);
            link(definition, catalog, &signatures, &mut report);
            problems.extend(report.into_diagnostics());
        }
        for definition in parsed.values() {
            problems.extend(verify::verify(definition, &parsed, catalog));
        }
        problems.retain(|problem| !is_allowed(problem));
        if !problems.is_empty() {
            problems.sort();
            problems.dedup();
            let with_line = |problem: Diagnostic| match sources.iter().find(|(file, _)| *file == problem.file) {
                Some((_, source)) => problem.with_line_of(source),
                None => problem,
            };
            return Err(problems.into_iter().map(with_line).collect());
        }
        let definitions = parsed.into_iter().map(|(name, definition)| (name, Arc::new(definition))).collect();
        Ok(Self { definitions })
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Definition>> {
        self.definitions.get(name)
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.definitions.values()
    }
}

/// Gives forms the words that can be chosen, and decides what the words given to calls mean: a parameter whose type is a choice of words takes the word as it stands, every
/// other one names data.
fn link(
    definition: &mut Definition,
    catalog: &Catalog,
    workflows: &BTreeMap<String, BTreeMap<String, Type>>,
    report: &mut Report,
) {
    let choices = |of: &Type| catalog.words(of).unwrap_or_default().to_vec();
    for input in definition.start.form.iter_mut().flat_map(|form| &mut form.fields) {
        input.choices = choices(&input.input_type);
    }
    for state in &mut definition.states {
        if let Kind::Ask(ask) = &mut state.kind {
            for input in ask.actions.iter_mut().flat_map(|action| &mut action.fields) {
                input.choices = choices(&input.input_type);
            }
        }
        let (parameters, with) = match &mut state.kind {
            Kind::Do(call) => (catalog.activity(&call.name.text).map(|of| &of.parameters), &mut call.with),
            Kind::Card(call) => (catalog.job(&call.name.text).map(|of| &of.parameters), &mut call.with),
            Kind::Run(run) => (workflows.get(&run.workflow.text), &mut run.with),
            Kind::Fork(fork) => (workflows.get(&fork.run.workflow.text), &mut fork.run.with),
            Kind::Ask(_) | Kind::Wait(_) | Kind::End(_) => continue,
        };
        for (name, argument) in with {
            let parameter = parameters.and_then(|parameters| parameters.get(name));
            link_argument(argument, parameter, catalog, report);
        }
    }
}

fn link_argument(argument: &mut Argument, parameter: Option<&Type>, catalog: &Catalog, report: &mut Report) {
    let at = argument.at;
    let choice = |word: &str, words: &[String], report: &mut Report| {
        if !words.iter().any(|known| known == word) {
            report.add_with_hint(at, "parameters", format!("`{word}` is not one of the words here"), words.join(", "));
        }
        Value::from(word)
    };
    argument.value = match (&argument.value, parameter.map(Type::required)) {
        (ArgumentValue::Word(word), Some(of)) if catalog.words(of).is_some() && !word.contains('.') => {
            let words = catalog.words(of).unwrap_or_default();
            // A word of the choice, else a field of the data that holds one.
            if words.iter().any(|known| known == word) || !is_data_name(word) {
                ArgumentValue::Literal(choice(word, words, report))
            } else {
                path(word, argument.at, report)
            }
        }
        (ArgumentValue::Words(list), Some(Type::List(of))) if catalog.words(of).is_some() => {
            let words = catalog.words(of).unwrap_or_default();
            ArgumentValue::Literal(list.iter().map(|Word { text, .. }| choice(text, words, report)).collect())
        }
        (ArgumentValue::Words(list), Some(Type::List(_))) => {
            let read = list.iter().map(|word| match path(&word.text, word.at, report) {
                ArgumentValue::Path(path) => Some(path),
                _ => None,
            });
            match read.collect() {
                Some(paths) => ArgumentValue::Paths(paths),
                None => return,
            }
        }
        (ArgumentValue::Words(_), _) => {
            report.add(at, "parameters", "a list of words does not fit this parameter");
            return;
        }
        (ArgumentValue::Word(word), _) => path(word, argument.at, report),
        (linked, _) => linked.clone(),
    };
}

fn is_data_name(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn path(word: &str, at: crate::diagnostic::Position, report: &mut Report) -> ArgumentValue {
    match Path::parse(word, at) {
        Some(path) => ArgumentValue::Path(path),
        None => {
            report.add(at, "parameters", format!("`{word}` is no data name such as `card.serial`"));
            ArgumentValue::Word(word.to_owned())
        }
    }
}
