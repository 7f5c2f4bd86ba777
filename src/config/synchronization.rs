//! The section `[synchronization]`: the consequences of a directory that says otherwise than
//! certificates do.

use serde::Deserialize;

use super::error::ConfigurationError;
use crate::issuance::{DepartureAction, MOST_DEPARTURES};

/// Each difference and its consequence: `keep`, `suspend` or `revoke`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SynchronizationOptions {
    /// The directory does not have the person any more.
    pub gone: DepartureAction,
    /// The directory has disabled the account.
    pub disabled: DepartureAction,
    /// A certificate names the person otherwise than the directory does.
    pub moved: DepartureAction,
    /// Whether certificates that are suspended are taken out of the directory until they are
    /// reinstated. Revoked ones always are.
    pub unpublish: bool,
    /// The number of people at once above which a CA operator is asked first; less than one
    /// comparison can give.
    pub at_most: u32,
}

impl Default for SynchronizationOptions {
    fn default() -> Self {
        Self {
            gone: DepartureAction::Revoke,
            disabled: DepartureAction::Suspend,
            moved: DepartureAction::Keep,
            unpublish: true,
            at_most: 20,
        }
    }
}

impl SynchronizationOptions {
    /// # Errors
    /// [`ConfigurationError::Synchronization`], [`ConfigurationError::AtMost`].
    pub(super) fn check(&self) -> Result<(), ConfigurationError> {
        if [self.gone, self.disabled, self.moved].contains(&DepartureAction::Reinstate) {
            return Err(ConfigurationError::Synchronization);
        }
        if usize::try_from(self.at_most).unwrap_or(usize::MAX) >= MOST_DEPARTURES {
            return Err(ConfigurationError::AtMost);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> SynchronizationOptions {
        toml::from_str(text).expect("a section")
    }

    #[test]
    fn an_empty_section_is_the_default() {
        let options = read("");
        assert!(options.check().is_ok());
        let actions = [options.gone, options.disabled, options.moved];
        assert_eq!(actions, [DepartureAction::Revoke, DepartureAction::Suspend, DepartureAction::Keep]);
        assert!(options.unpublish && options.at_most == 20);
    }

    #[test]
    fn nobody_is_reinstated_by_a_difference() {
        for key in ["gone", "disabled", "moved"] {
            let wrong = read(&format!("{key} = 'reinstate'")).check();
            assert!(matches!(wrong, Err(ConfigurationError::Synchronization)), "{key}");
        }
    }

    #[test]
    fn the_limit_is_below_the_size_of_a_comparison() {
        assert!(read("at-most = 999").check().is_ok());
        assert!(matches!(read("at-most = 1000").check(), Err(ConfigurationError::AtMost)));
    }
}
