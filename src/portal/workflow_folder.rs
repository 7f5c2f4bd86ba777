//! Workflow files of a folder. The build script includes this file, to find the built-in ones alike.

use std::io;
use std::path::{Path, PathBuf};

/// The YAML files of a folder and of the folders in it, sorted by path.
///
/// Skips folders called `scenarios`, which hold tests, and folders that begin with a dot, in which a
/// Kubernetes ConfigMap has its files a second time. Does not follow links to folders.
///
/// # Errors
/// A folder that cannot be read.
pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let (name, path) = (entry.file_name(), entry.path());

            if entry.file_type()?.is_dir() {
                let is_skipped = name == "scenarios" || name.to_string_lossy().starts_with('.');
                folders.extend((!is_skipped).then_some(path));
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
