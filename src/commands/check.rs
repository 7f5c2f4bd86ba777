//! `sealwright check`: verifies workflows before anybody runs them.

use std::path::PathBuf;
use std::process::ExitCode;

use sealwright_workflow::catalog::Catalog;

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
    let catalog = match catalog() {
        Ok(catalog) => catalog,
        Err(error) => {
            eprintln!("sealwright: {error}");
            return ExitCode::FAILURE;
        }
    };
    match portal::library(&files, &catalog) {
        Ok(library) => {
            for definition in library.all() {
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

fn read(paths: &[PathBuf]) -> std::io::Result<Vec<(String, String)>> {
    if paths.is_empty() {
        return portal::workflow_files(None);
    }
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(portal::workflow_files(Some(path))?);
        } else {
            files.push((path.display().to_string(), std::fs::read_to_string(path)?));
        }
    }
    Ok(files)
}

/// The catalog of this release, from the types alone: nothing is connected to.
///
/// # Errors
/// A type that the language cannot carry.
pub fn catalog() -> Result<Catalog, sealwright_workflow::types::UnknownSchema> {
    let mut catalog = Catalog::new();
    crate::activities::declare(&mut catalog)?;
    portal::complete(&mut catalog)?;
    Ok(catalog)
}
