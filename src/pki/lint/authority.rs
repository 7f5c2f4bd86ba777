//! RFC 5280 section 4: what an authority's own certificate keeps before the key of its issuer is touched.

use x509_parser::certificate::TbsCertificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

use super::{Finding, distribution_point, ensure, extensions, found, serial_number, unreadable};
use crate::authority::Authority;
use crate::extension::key_identifier;
use crate::key;
use crate::signer::Signer;

/// A parsed certificate and who is to sign it: the authority above, or for a root its own key.
pub(crate) struct Own<'a> {
    parsed: TbsCertificate<'a>,
    above: Option<&'a Authority>,
    signer: &'a dyn Signer,
}

type Rule = fn(&Own<'_>) -> Result<(), String>;

/// Every rule and its name.
pub(crate) const RULES: [(&str, Rule); 6] = [
    ("authority-serial-number", |own| serial_number::of(&own.parsed)),
    ("authority-issuer", issuer),
    ("authority-validity", validity),
    ("authority-key", its_key),
    ("authority-usage", usage),
    ("authority-extensions", its_extensions),
];

/// Runs every rule on what `signer` is to sign for the authority above, or for itself.
pub(crate) fn lint(above: Option<&Authority>, signer: &dyn Signer, to_be_signed: &[u8]) -> Vec<Finding> {
    let parsed = match TbsCertificate::from_der(to_be_signed) {
        Ok(([], parsed)) => parsed,
        _ => return unreadable("certificate"),
    };
    let own = Own { parsed, above, signer };
    RULES.iter().filter_map(|(rule, check)| found(rule, check(&own))).collect()
}

/// Sections 4.1.2.3, 4.1.2.4 and 4.1.2.6: the algorithm that it is signed by, the name of who signs, and a name of its own; a root's are one.
fn issuer(own: &Own<'_>) -> Result<(), String> {
    let algorithm = own.parsed.signature.algorithm.to_id_string();
    let by = own.signer.algorithm().identifier().oid.to_string();
    ensure(algorithm == by, "the signature algorithm is not the one of the key that signs")?;
    let (subject, named) = (own.parsed.subject(), own.parsed.issuer().as_raw());
    ensure(subject.iter().next().is_some(), "the subject is empty")?;
    ensure(own.above.map_or(subject.as_raw(), Authority::subject) == named, "the issuer is not the one that signs")?;
    ensure(own.above.is_none() || subject.as_raw() != named, "the subject is the issuer")
}

/// Section 4.1.2.5: in order, inside the issuer's.
fn validity(own: &Own<'_>) -> Result<(), String> {
    let (from, to) = (own.parsed.validity().not_before.timestamp(), own.parsed.validity().not_after.timestamp());
    ensure(from < to, "the validity ends before it begins")?;
    let inside = own.above.is_none_or(|above| {
        let (above_from, above_to) = above.validity();
        from >= above_from.unix_timestamp() && to <= above_to.unix_timestamp()
    });
    ensure(inside, "the validity is not inside the issuer's")
}

/// Section 4.1.2.7: not weak; a root's is the one that signs, and no other authority's is.
fn its_key(own: &Own<'_>) -> Result<(), String> {
    let info = own.parsed.public_key().raw;
    key::examine(info).map_err(|error| error.to_string())?;
    let is_of_signer = info == own.signer.public_key();
    ensure(is_of_signer == own.above.is_none(), "the key is the issuer's, or a root's is not the one that signs")
}

/// Sections 4.2.1.3, 4.2.1.9 and 4.2.1.12: it signs certificates and lists, and nothing else; below one that is no root there is no further authority.
fn usage(own: &Own<'_>) -> Result<(), String> {
    let constraints = own.parsed.basic_constraints().ok().flatten().ok_or("the basic constraints are missing")?;
    ensure(
        constraints.critical && constraints.value.ca,
        "the basic constraints do not say critically that it is an authority",
    )?;
    let path_length = own.above.map(|_| 0);
    ensure(constraints.value.path_len_constraint == path_length, "the path length is not the one of its place")?;
    let usage = own.parsed.key_usage().ok().flatten().ok_or("the key usage is missing")?;
    // Bits 5 and 6: keyCertSign, cRLSign.
    ensure(usage.critical && usage.value.flags == 0b110_0000, "the key usage is not exactly an authority's")?;
    ensure(own.parsed.extended_key_usage().is_ok_and(|usage| usage.is_none()), "an extended key usage narrows it")
}

/// Sections 4.2.1.1, 4.2.1.2 and 4.2.1.13: its own key's identifier; below a root the identifier of the issuer's and where its list is.
fn its_extensions(own: &Own<'_>) -> Result<(), String> {
    extensions::of(&own.parsed)?;
    let found = |wanted: fn(&ParsedExtension<'_>) -> Option<Vec<u8>>| {
        own.parsed.extensions().iter().find_map(|extension| wanted(extension.parsed_extension()))
    };
    let subject = found(|extension| match extension {
        ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
        _ => None,
    });
    let bits = key_identifier(&own.parsed.public_key().subject_public_key.data);
    ensure(subject == Some(bits), "the subject key identifier is not its key's")?;
    let Some(above) = own.above else { return Ok(()) };
    let issuer = found(|extension| match extension {
        ParsedExtension::AuthorityKeyIdentifier(identifier) => {
            identifier.key_identifier.as_ref().map(|key| key.0.to_vec())
        }
        _ => None,
    });
    ensure(issuer.as_deref() == Some(above.key_identifier()), "the authority key identifier is not the issuer's")?;
    distribution_point::of(&own.parsed)
}
