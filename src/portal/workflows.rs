//! Workflow files: those that are built in, and those of a configured folder.

use std::path::Path;

use super::workflow_folder;

/// Path and text of every file in `workflows/`, embedded by the build script.
const BUILT_IN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/workflows.rs"));

/// Reads workflow files: the built-in ones, or those of a folder and its subfolders.
///
/// # Errors
/// The file or folder that cannot be read.
pub fn workflow_files(folder: Option<&Path>) -> std::io::Result<Vec<(String, String)>> {
    let Some(folder) = folder else {
        return Ok(BUILT_IN.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect());
    };
    let paths = workflow_folder::files(folder)?.into_iter();
    paths.map(|path| Ok((path.display().to_string(), std::fs::read_to_string(&path)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_with_its_subfolders_and_without_scenarios() {
        let folder = tempfile::tempdir().expect("a folder");
        for file in
            ["flat.yaml", "cards/nested.yaml", "cards/scenarios/nested-done.yaml", "..data/flat.yaml", "README.md"]
        {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, file).expect("written");
        }

        let files = workflow_files(Some(folder.path())).expect("read");
        let texts: Vec<&str> = files.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["cards/nested.yaml", "flat.yaml"]);
    }
}
