//! RFC 5280 section 5: what a revocation list keeps before the key is touched.

use std::collections::BTreeSet;

use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Version};
use x509_parser::revocation_list::TbsCertList;

use super::{Finding, ensure, found, is_serial, unreadable};
use crate::authority::Authority;
use crate::signer::SignatureAlgorithm;

/// A parsed list and its surroundings, for the rules.
pub(crate) struct List<'a> {
    parsed: TbsCertList<'a>,
    authority: &'a Authority,
    algorithm: SignatureAlgorithm,
}

type Rule = fn(&List<'_>) -> Result<(), String>;

/// Every rule and its name.
pub(crate) const RULES: [(&str, Rule); 4] =
    [("list-issuer", issuer), ("list-validity", validity), ("list-extensions", extensions), ("list-entries", entries)];

/// Runs every rule on what `authority` is to sign by `algorithm`.
pub(crate) fn lint(authority: &Authority, algorithm: SignatureAlgorithm, to_be_signed: &[u8]) -> Vec<Finding> {
    let parsed = match TbsCertList::from_der(to_be_signed) {
        Ok(([], parsed)) => parsed,
        _ => return unreadable("list"),
    };
    let list = List { parsed, authority, algorithm };
    RULES.iter().filter_map(|(rule, check)| found(rule, check(&list))).collect()
}

/// Sections 5.1.2.1 to 5.1.2.3: version 2, the algorithm that it is signed by, the authority's own name.
fn issuer(list: &List<'_>) -> Result<(), String> {
    ensure(list.parsed.version == Some(X509Version::V2), "the list is not of version 2")?;
    let algorithm = list.parsed.signature.algorithm.to_id_string();
    ensure(algorithm == list.algorithm.identifier().oid.to_string(), "the list names another signature algorithm")?;
    ensure(list.parsed.issuer.as_raw() == list.authority.subject(), "the issuer is not the authority")
}

/// Sections 5.1.2.4 and 5.1.2.5: the next list comes after this one.
fn validity(list: &List<'_>) -> Result<(), String> {
    let this = list.parsed.this_update.timestamp();
    let next = list.parsed.next_update.map(|next| next.timestamp());
    ensure(next.is_some_and(|next| next > this), "the next list does not come after this one")
}

/// Sections 5.2.1 and 5.2.3: the authority's key and the list's number, neither critical, each once, and nothing else.
fn extensions(list: &List<'_>) -> Result<(), String> {
    let extensions = list.parsed.extensions();
    ensure(extensions.iter().all(|extension| !extension.critical), "an extension of the list is critical")?;
    let keys = extensions.iter().filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(identifier) => identifier.key_identifier.as_ref().map(|key| key.0),
        _ => None,
    });
    ensure(keys.eq([list.authority.key_identifier()]), "the authority key identifier is not the issuer's")?;
    let mut numbers = extensions.iter().filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::CRLNumber(number) => Some(number.to_bytes_be().len()),
        _ => None,
    });
    ensure(numbers.next().is_some_and(|length| length <= 20), "the list has no number, or a too long one")?;
    ensure(extensions.len() == 2, "the list has an extension that it is not to have")
}

/// Sections 5.1.2.6 and 5.3.1: serial numbers that a certificate may have, each once; a reason that says something.
fn entries(list: &List<'_>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for entry in &list.parsed.revoked_certificates {
        let serial = entry.raw_serial();
        ensure(is_serial(serial), "a serial number is not positive, or longer than 20 octets")?;
        ensure(seen.insert(serial), "a serial number is there twice")?;
        ensure(entry.extensions().iter().all(|extension| !extension.critical), "an extension of an entry is critical")?;
        ensure(entry.reason_code().is_none_or(|(_, code)| code.0 != 0), "a reason says `unspecified`")?;
    }
    Ok(())
}
