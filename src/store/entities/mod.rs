//! One table a file, in the columns that the migrations make: the entity, and the record of a row without its tenant.

pub(super) mod audit;
pub(super) mod audit_seal;
pub(super) mod card;
pub(super) mod card_key;
pub(super) mod certificate;
pub(super) mod definition;
pub(super) mod history;
pub(super) mod hold;
pub(super) mod idempotency;
pub(super) mod inbox;
pub(super) mod instance;
pub(super) mod job;
pub(super) mod login;
pub(super) mod pairing;
pub(super) mod revocation_list;
pub(super) mod sealed_secret;
pub(super) mod service_account;
pub(super) mod session;
pub(super) mod task;
pub(super) mod timer;
pub(super) mod watch;
pub(super) mod work;
