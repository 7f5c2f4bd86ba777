//! The package's tests: what is issued, what is refused, and that hostile bytes never panic.

mod attestation;
mod fixture;
mod issue;
mod keys;
mod lint;
mod properties;
