//! Rules that to-be-signed bytes keep before a key is touched: one file each, one line in [`RULES`].
//!
//! To add a rule: write `lint/<rule>.rs` with its citation and `pub fn check(&Certificate) -> Result<(), String>`, name it in
//! [`RULES`], and add a broken certificate for it in `tests/lint.rs`; a test fails when a rule has none. What authorities' own
//! certificates keep is in `authority.rs`, what revocation lists keep in `list.rs`.

mod alternative_name;
pub(crate) mod authority;
mod authority_key_identifier;
mod basic_constraints;
mod distribution_point;
mod extensions;
mod key;
mod key_usage;
pub(crate) mod list;
mod security_identifier;
mod serial_number;
mod signature_algorithm;
mod subject;
mod validity;

use x509_parser::certificate::TbsCertificate;
use x509_parser::prelude::FromDer;

use crate::authority::Authority;
use crate::profile::Profile;

/// What is linted: the bytes, and who is to sign them under which profile.
#[derive(Debug)]
pub struct Subject<'a> {
    pub authority: &'a Authority,
    pub profile: &'a Profile,
    pub to_be_signed: &'a [u8],
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule's name: its file's with hyphens, where a file has one rule.
    pub rule: &'static str,
    pub message: String,
}

/// Parsed bytes and their surroundings, for the rules.
struct Certificate<'a> {
    parsed: TbsCertificate<'a>,
    authority: &'a Authority,
    profile: &'a Profile,
}

type Rule = fn(&Certificate<'_>) -> Result<(), String>;

/// A rule's function, opaque outside.
#[derive(Clone, Copy, Debug)]
pub struct RuleFunction(Rule);

/// Every rule and its name.
pub const RULES: [(&str, RuleFunction); 12] = [
    ("serial-number", RuleFunction(serial_number::check)),
    ("signature-algorithm", RuleFunction(signature_algorithm::check)),
    ("validity", RuleFunction(validity::check)),
    ("subject", RuleFunction(subject::check)),
    ("key", RuleFunction(key::check)),
    ("extensions", RuleFunction(extensions::check)),
    ("basic-constraints", RuleFunction(basic_constraints::check)),
    ("key-usage", RuleFunction(key_usage::check)),
    ("authority-key-identifier", RuleFunction(authority_key_identifier::check)),
    ("alternative-name", RuleFunction(alternative_name::check)),
    ("security-identifier", RuleFunction(security_identifier::check)),
    ("distribution-point", RuleFunction(distribution_point::check)),
];

/// Runs every rule.
pub(crate) fn lint(subject: &Subject<'_>) -> Vec<Finding> {
    let parsed = match TbsCertificate::from_der(subject.to_be_signed) {
        Ok(([], parsed)) => parsed,
        _ => return unreadable("certificate"),
    };
    let certificate = Certificate { parsed, authority: subject.authority, profile: subject.profile };
    RULES.iter().filter_map(|(rule, RuleFunction(check))| found(rule, check(&certificate))).collect()
}

/// What a rule has found.
fn found(rule: &'static str, kept: Result<(), String>) -> Option<Finding> {
    kept.err().map(|message| Finding { rule, message })
}

/// What is found of bytes that are not even what they are to be.
fn unreadable(what: &str) -> Vec<Finding> {
    vec![Finding { rule: "encoding", message: format!("the bytes are no {what}") }]
}

/// RFC 5280 section 4.1.2.2: whether the octets of a serial number are a positive one of at most 20.
fn is_serial(octets: &[u8]) -> bool {
    octets.first().is_some_and(|first| first & 0x80 == 0)
        && octets.iter().any(|&octet| octet != 0)
        && octets.len() <= 20
}

/// The rule holds, or the message says why not.
fn ensure(holds: bool, message: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message.to_owned()) }
}
