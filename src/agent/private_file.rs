//! Files that hold secrets or decisions of the person, with mode 0600.

use std::io::Write;
use std::path::Path;

use crate::error::Error;

/// Writes a file that only its owner reads, complete or not at all: a temporary file is renamed
/// over it.
///
/// # Errors
/// [`Error::File`].
pub fn write(path: &Path, text: &str) -> Result<(), Error> {
    use std::os::unix::fs::OpenOptionsExt;

    let write = || -> std::io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }

        let unfinished = path.with_extension("new");
        let mut file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&unfinished, path)
    };
    write().map_err(|error| Error::File { path: path.to_owned(), error })
}
