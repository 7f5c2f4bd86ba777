//! `sealwright check`: verifies workflows before anybody runs them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sealwright_workflow::definition::Definition;
use sealwright_workflow::parse::parse;

use crate::portal;

/// Prints a line for every workflow, or every problem; exit status 1 when there is one.
pub fn run(paths: &[PathBuf]) -> ExitCode {
    let files = match read(paths) {
        Ok(files) => files,
        Err(error) => {
            eprintln!("sealwright: {error}");
            return ExitCode::FAILURE;
        }
    };
    let catalog = match portal::catalog() {
        Ok(catalog) => catalog,
        Err(error) => {
            eprintln!("sealwright: {error}");
            return ExitCode::FAILURE;
        }
    };
    let Files { asked, beside } = files;
    let all: Vec<(String, String)> = asked.iter().chain(&beside).cloned().collect();
    let is_asked = |file: &str| asked.iter().any(|(name, _)| name == file);
    match portal::library(&all, &catalog) {
        Ok(library) => {
            for definition in library.all().filter(|definition| is_asked(&definition.file)) {
                println!(
                    "{}: {} version {}, {} states: verified",
                    definition.file,
                    definition.name.text,
                    definition.version,
                    definition.states.len()
                );
            }
            ExitCode::SUCCESS
        }
        Err(problems) => {
            for problem in &problems {
                println!("{problem}");
            }
            println!("{} problems", problems.len());
            ExitCode::FAILURE
        }
    }
}

/// Files to be checked, and others that they may name.
struct Files {
    asked: Vec<(String, String)>,
    beside: Vec<(String, String)>,
}

fn read(paths: &[PathBuf]) -> io::Result<Files> {
    if paths.is_empty() {
        return Ok(Files { asked: portal::workflow_files(None)?, beside: Vec::new() });
    }
    let (mut asked, mut beside, mut folders) = (Vec::new(), Vec::new(), Vec::new());
    for path in paths {
        if path.is_dir() {
            asked.extend(portal::workflow_files(Some(path))?);
            folders.push(path.as_path());
        } else {
            asked.push((path.display().to_string(), std::fs::read_to_string(path)?));
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            beside.extend(files_in(folder)?);
            folders.push(folder);
        }
    }
    // A file may be reached in more than one way; its name alone says which it is.
    let mut seen: BTreeSet<OsString> = asked.iter().filter_map(|(file, _)| name_of(file)).collect();
    beside.retain(|(file, _)| name_of(file).is_some_and(|name| seen.insert(name)));

    let elsewhere = children_elsewhere(asked.iter().chain(&beside), &folders);
    beside.extend(elsewhere);
    Ok(Files { asked, beside })
}

fn name_of(file: &str) -> Option<OsString> {
    Path::new(file).file_name().map(OsString::from)
}

/// The YAML files directly in a folder.
fn files_in(folder: &Path) -> io::Result<Vec<(String, String)>> {
    let entries = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    paths.into_iter().map(|path| Ok((path.display().to_string(), std::fs::read_to_string(&path)?))).collect()
}

/// Finds the child workflows that `files` start and do not declare.
///
/// Looks into the folders above, next to and in `folders`: workflows are sorted by subject, and may start
/// one of another subject. Passes over files that cannot be read, are no workflow or are not started.
fn children_elsewhere<'a>(
    files: impl Iterator<Item = &'a (String, String)>,
    folders: &[&Path],
) -> Vec<(String, String)> {
    let definition = |(file, text): &(String, String)| parse(file, text).ok();
    let mut known: Vec<Definition> = files.filter_map(definition).collect();
    if !known.iter().flat_map(Definition::children).any(|child| is_missing(&child.text, &known)) {
        return Vec::new();
    }

    let neighbours = folders.iter().flat_map(|folder| neighbours(folder));
    let files = neighbours.flat_map(|folder| files_in(&folder).unwrap_or_default());
    let mut candidates: Vec<_> = files.filter_map(|file| Some((definition(&file)?, file))).collect();

    let mut found = Vec::new();
    while let Some(index) = candidates.iter().position(|(candidate, _)| is_missing(&candidate.name.text, &known)) {
        let (definition, file) = candidates.swap_remove(index);
        known.push(definition);
        found.push(file);
    }
    found
}

/// Whether a workflow is started by one of the definitions and is none of them.
fn is_missing(workflow: &str, known: &[Definition]) -> bool {
    let is_started = known.iter().flat_map(Definition::children).any(|child| child.text == workflow);
    is_started && !known.iter().any(|definition| definition.name.text == workflow)
}

/// The folder above another one, the folders in that, and the folders in this one.
fn neighbours(folder: &Path) -> Vec<PathBuf> {
    let above = match folder.parent() {
        Some(above) if folder.file_name().is_some() && above.as_os_str().is_empty() => PathBuf::from("."),
        Some(above) if folder.file_name().is_some() => above.to_owned(),
        _ => folder.join(".."),
    };
    let folders_in = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    let mut found = folders_in(folder);
    found.extend(folders_in(&above));
    found.push(above);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_workflow_starts_is_found_in_the_folders_of_other_subjects() {
        let workflows = Path::new(env!("CARGO_MANIFEST_DIR")).join("workflows");
        let catalog = portal::catalog().expect("the catalog");
        for (path, count) in [("cards/personalize.yaml", 1), ("cards", 2), ("people/settle-departure.yaml", 1)] {
            let Files { asked, beside } = read(&[workflows.join(path)]).expect("read");
            assert_eq!(asked.len(), count, "{path}");
            let all: Vec<_> = asked.into_iter().chain(beside).collect();
            let verified = portal::library(&all, &catalog).map(|library| library.all().count());
            assert!(verified.is_ok_and(|verified| verified > count), "{path}");
        }
    }
}
