//! The profiles that want an approval, against the roles that can give it.

use std::collections::BTreeMap;

use sealwright_pki::profile::{Approval, ProfileOptions};

use super::error::ConfigurationError;
use crate::auth::RoleOptions;

const APPROVING: &str = "ra-operator";

/// Refuses a profile that wants an approval when no handler grants the role that gives it.
///
/// # Errors
/// [`ConfigurationError::Approval`].
pub(super) fn check(
    profiles: &BTreeMap<String, ProfileOptions>,
    roles: &BTreeMap<String, RoleOptions>,
) -> Result<(), ConfigurationError> {
    let asks = |(_, profile): &(&String, &ProfileOptions)| profile.approval == Approval::Ra;
    match profiles.iter().find(asks) {
        Some((name, _)) if !roles.contains_key(APPROVING) => Err(ConfigurationError::Approval(name.clone())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_that_wants_an_approval_needs_somebody_who_approves() {
        let profile = |approval: &str| {
            let text = format!(
                "title = 'Signatures'\nsubject = ['CN={{name}}']\nkey-algorithms = ['p-256']\nvalidity-days = 365\n\
                 key-usage = ['digital-signature']\n{approval}"
            );
            let options: ProfileOptions = toml::from_str(&text).expect("a profile");
            BTreeMap::from([("signature".to_owned(), options)])
        };
        let nobody = BTreeMap::new();
        let somebody = BTreeMap::from([(APPROVING.to_owned(), RoleOptions::Static)]);
        assert!(check(&profile(""), &nobody).is_ok());
        assert!(check(&profile("approval = 'ra'"), &somebody).is_ok());
        let wrong = check(&profile("approval = 'ra'"), &nobody);
        assert!(matches!(wrong, Err(ConfigurationError::Approval(name)) if name == "signature"));
    }
}
