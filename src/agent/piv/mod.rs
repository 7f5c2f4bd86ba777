//! The driver for PIV cards over PC/SC (SP 800-73-5 part 2).
//!
//! `contention` and `connection` have the card from the smart card service, `apdu` sends commands
//! and puts long answers together, `tlv` reads and writes BER-TLV, `commands` knows the
//! application's commands, `driver` does with them what jobs ask for.

mod apdu;
mod commands;
mod connection;
mod contention;
mod driver;
mod tlv;

pub use connection::OpenCard;
pub use contention::in_use;
