//! One table a file, in the columns that the migrations make: the entity, and the record of a row without its tenant.

pub(in crate::store) mod audit;
pub(in crate::store) mod audit_seal;
pub(in crate::store) mod card;
pub(in crate::store) mod card_key;
pub(in crate::store) mod certificate;
pub(in crate::store) mod definition;
pub(in crate::store) mod history;
pub(in crate::store) mod hold;
pub(in crate::store) mod idempotency;
pub(in crate::store) mod inbox;
pub(in crate::store) mod instance;
pub(in crate::store) mod job;
pub(in crate::store) mod login;
pub(in crate::store) mod pairing;
pub(in crate::store) mod revocation_list;
pub(in crate::store) mod sealed_secret;
pub(in crate::store) mod service_account;
pub(in crate::store) mod session;
pub(in crate::store) mod task;
pub(in crate::store) mod timer;
pub(in crate::store) mod watch;
pub(in crate::store) mod work;
