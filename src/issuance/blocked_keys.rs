//! Keys that nobody may have certified: known to be compromised, or the authorities' own.

use std::collections::HashSet;
use std::path::Path;

use super::IssuanceError;
use crate::random;

/// SHA-256 digests of SubjectPublicKeyInfo (DER), hexadecimal.
#[derive(Clone, Debug, Default)]
pub(super) struct BlockedKeys(HashSet<String>);

impl BlockedKeys {
    /// Reads a file with a digest a line; empty lines and those that begin with `#` say nothing.
    pub fn read(path: &Path) -> Result<Self, IssuanceError> {
        let text = std::fs::read_to_string(path).map_err(|_| IssuanceError::File { path: path.to_owned() })?;
        let mut digests = HashSet::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.len() != 64 || !line.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(IssuanceError::BlockedKeys { path: path.to_owned(), line: index + 1 });
            }
            digests.insert(line.to_ascii_lowercase());
        }
        Ok(Self(digests))
    }

    pub fn add(&mut self, subject_public_key_info: &[u8]) {
        self.0.insert(random::digest(subject_public_key_info));
    }

    /// Whether a key, by its digest, is blocked.
    pub fn contains(&self, digest: &str) -> bool {
        self.0.contains(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_or_its_line_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys");
        let digest = random::digest(b"key");
        std::fs::write(&path, format!("# leaked in spring\n\n{}\n", digest.to_uppercase())).expect("written");
        let keys = BlockedKeys::read(&path).expect("read");
        assert!(keys.contains(&digest) && !keys.contains(&random::digest(b"other")));
        std::fs::write(&path, format!("{digest}\nleaked\n")).expect("written");
        assert!(matches!(BlockedKeys::read(&path), Err(IssuanceError::BlockedKeys { line: 2, .. })));
    }
}
