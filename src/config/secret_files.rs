//! Files with secrets that a configuration names, and who may read them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Configuration;
use super::error::ConfigurationError;
use crate::auth::header::ProofOptions;

/// The permission bits of everybody who is neither owner nor in the group.
const OTHERS: u32 = 0o007;

impl Configuration {
    /// Checks that nobody but owner and group can read or change a file with a secret. One that is missing is found where it is read.
    ///
    /// # Errors
    /// [`ConfigurationError::Readable`] for the first such file.
    pub fn check_secret_files(&self) -> Result<(), ConfigurationError> {
        match self.secret_files().into_iter().find(|path| is_open_to_others(path)) {
            Some(path) => Err(ConfigurationError::Readable(path.to_owned())),
            None => Ok(()),
        }
    }

    fn secret_files(&self) -> Vec<&Path> {
        let authorities = self.authorities.values().flat_map(|authority| {
            let pin = authority.hsm.as_ref().map(|hsm| &hsm.pin_file);
            [authority.key.as_ref(), authority.passphrase_file.as_ref(), pin]
        });
        let proof = match &self.sign_in.proof {
            ProofOptions::Secret { file, .. } => Some(file),
            ProofOptions::MutualTls(options) => Some(&options.key_file),
            ProofOptions::Assertion(_) => None,
        };
        let others: [Option<&PathBuf>; 6] = [
            Some(&self.sealing_key_file),
            Some(&self.directory.bind_password_file),
            self.database_password_file.as_ref(),
            self.cards.factory_so_pin_file.as_ref(),
            self.audit.as_ref().map(|audit| &audit.key_file),
            proof,
        ];
        authorities.chain(others).flatten().map(PathBuf::as_path).collect()
    }
}

fn is_open_to_others(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & OTHERS != 0)
}
