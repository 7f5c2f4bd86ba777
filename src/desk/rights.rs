//! Rights to see what is others', by role. What is the caller's own needs none of them.

use crate::engine::verbs::Caller;

/// A read model that some roles see in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Certificates of everybody.
    Certificates,
    /// Instances of everybody; the engine shows those whose workflow names the role in its `see`.
    Instances,
}

/// Every role that sees what is others'. A service account has the rights of its role.
const RIGHTS: [(&str, &[Read]); 3] = [
    ("ra-operator", &[Read::Certificates, Read::Instances]),
    ("ca-operator", &[Read::Certificates, Read::Instances]),
    ("auditor", &[Read::Certificates, Read::Instances]),
];

/// Whether the caller's role sees a read model in full.
pub fn sees_all(caller: &Caller, read: Read) -> bool {
    RIGHTS.iter().any(|(role, reads)| *role == caller.actor.role && reads.contains(&read))
}
