//! X.509 alone: names, profiles, requests, certificates, revocation lists, the rules they keep and the keys that sign them.
//!
//! Pure: time and randomness are arguments, nothing is read or written but what [`key_file`] turns into bytes.
//! The order of an issuance, which nothing can leave out:
//!
//! 1. [`request::Request::read`] checks the PKCS#10 request: proof of possession and the key;
//! 2. [`authority::Authority::prepare`] makes the to-be-signed bytes from the profile and the directory, never from the request's names;
//! 3. [`authority::Authority::admit`] lints those bytes and gives a [`authority::Ticket`];
//! 4. [`authority::Ticket::sign`] consumes the ticket and verifies the signature; nothing else reaches the key.

pub mod attestation;
pub mod authority;
pub mod certificate;
mod encoding;
pub mod extension;
pub mod key;
pub mod key_file;
pub mod key_proof;
pub mod lint;
pub mod name;
pub mod profile;
pub mod request;
pub mod revocation;
pub mod signer;

#[cfg(test)]
mod tests;
