//! Certification authorities: their revocation lists, and whether their keys answer.

mod issue_crl;
mod key_online;

use super::registration::Registration;

/// Everything of this subject that workflows may name.
pub(super) const ALL: &[Registration] =
    &[Registration::activity::<issue_crl::IssueCrl>(), Registration::condition::<key_online::KeyOnline>()];
