//! The section `[personalization]`: the slots of every new card.

use serde::Deserialize;

use crate::issuance::SlotOptions;

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PersonalizationOptions {
    /// The slots in the order in which they are filled; each names one of the profiles.
    pub slots: Vec<SlotOptions>,
    #[serde(default)]
    pub approvals: ApprovalScope,
}

/// The certificates that one approval is for, where profiles ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApprovalScope {
    /// All of a personalization, before the card is touched.
    #[default]
    Together,
    /// Each, when its key is made.
    Each,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_needs_a_profile_and_may_leave_its_algorithm_out() {
        let read = |text: &str| toml::from_str::<PersonalizationOptions>(text);
        let options = read("slots = [{ slot = '9a', profile = 'sign-in' }]").expect("a section");
        assert!(options.slots.iter().all(|slot| slot.profile == "sign-in" && slot.algorithm.is_none()));
        assert_eq!(options.approvals, ApprovalScope::Together);
        assert!(read("slots = [{ slot = '9a' }]").is_err());
        assert!(read("slots = [{ slot = 'first', profile = 'sign-in' }]").is_err());
    }
}
