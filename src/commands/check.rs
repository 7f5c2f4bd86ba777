//! `sealwright check`: verifies workflows before anybody runs them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

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

/// Files to be checked, and the ones beside them that they may name.
struct Files {
    asked: Vec<(String, String)>,
    beside: Vec<(String, String)>,
}

fn read(paths: &[PathBuf]) -> std::io::Result<Files> {
    if paths.is_empty() {
        return Ok(Files { asked: portal::workflow_files(None)?, beside: Vec::new() });
    }
    let (mut asked, mut beside) = (Vec::new(), Vec::new());
    for path in paths {
        if path.is_dir() {
            asked.extend(portal::workflow_files(Some(path))?);
        } else {
            asked.push((path.display().to_string(), std::fs::read_to_string(path)?));
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            beside.extend(portal::workflow_files(Some(folder.unwrap_or(Path::new("."))))?);
        }
    }
    // A file may be reached in more than one way; its name alone says which it is.
    let mut seen: BTreeSet<OsString> = asked.iter().filter_map(|(file, _)| name_of(file)).collect();
    beside.retain(|(file, _)| name_of(file).is_some_and(|name| seen.insert(name)));
    Ok(Files { asked, beside })
}

fn name_of(file: &str) -> Option<OsString> {
    Path::new(file).file_name().map(OsString::from)
}
