//! Certification authorities: their revocation lists, and whether their keys answer.

pub(super) mod issue_crl;
pub(super) mod key_online;
