//! Files that hold a secret and are named in the configuration.

use std::path::Path;

use zeroize::Zeroizing;

use super::error::ConfigurationError;

/// Reads a whole file into memory that is wiped after use.
///
/// # Errors
/// [`ConfigurationError::File`].
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, ConfigurationError> {
    let text = std::fs::read_to_string(path);
    text.map(Zeroizing::new).map_err(|error| ConfigurationError::File { path: path.to_owned(), error })
}
