//! Who did what: written in the transaction of the change, sealed into a chain afterwards.
//!
//! Rows are written unchained, so that no two transactions wait for each other; one sealer per tenant gives committed rows a sequence
//! number of its own and links each to the one before. Where the database has one writer anyway, a row is sealed as it is written.
//! Heads of the chain are signed and exported; `sealwright audit verify` follows the links up to the last of them.
//!
//! What may tell of a person (actor, address, detail) is in the chain as a salted digest, so that it can be erased and the chain still holds.

mod event;
mod head;
mod record;
mod refusals;
mod seal;

pub use event::{Event, Origin};
pub use head::{Head, HeadError, Heads, HeadsOptions};
pub use record::{erase, record, record_alone, record_followed};
pub use refusals::Refusals;
pub use seal::{Chain, Problem, Sealer, agreement, verify};
