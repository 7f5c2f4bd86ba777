//! Distinguished names, encoded in the order and with the repeats that were asked for (RFC 5280 section 4.1.2.4, RFC 4519).
//!
//! A name is written as its relative names, the root first: `["DC=test", "DC=example", "OU=People", "CN={name}"]`. Several values in one
//! relative name are joined by `+`. Values come in by placeholders after the text was read, so no value can add a part.

use std::collections::BTreeMap;

use der::asn1::{Ia5StringRef, ObjectIdentifier, PrintableStringRef, Utf8StringRef};
use der::{Any, Encode};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::{RdnSequence, RelativeDistinguishedName};

/// Why a name cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("`{0}` is no relative name such as `CN={{name}}`")]
    Syntax(String),
    #[error("the name type `{0}` is not known")]
    UnknownType(String),
    #[error("the attribute `{0}` is missing")]
    Missing(String),
    #[error("the attribute `{attribute}` is longer than the {limit} characters that `{name_type}` may have")]
    TooLong { attribute: String, name_type: &'static str, limit: usize },
    #[error("the attribute `{0}` has characters that a certificate cannot carry there")]
    Characters(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Ia5,
    Printable,
}

#[derive(Clone, Copy, Debug)]
struct NameType {
    word: &'static str,
    oid: &'static str,
    encoding: Encoding,
    /// Upper bound in characters, RFC 5280 appendix A.
    limit: usize,
}

const TYPES: [NameType; 13] = [
    NameType { word: "CN", oid: "2.5.4.3", encoding: Encoding::Utf8, limit: 64 },
    NameType { word: "SN", oid: "2.5.4.4", encoding: Encoding::Utf8, limit: 40 },
    NameType { word: "serialNumber", oid: "2.5.4.5", encoding: Encoding::Printable, limit: 64 },
    NameType { word: "C", oid: "2.5.4.6", encoding: Encoding::Printable, limit: 2 },
    NameType { word: "L", oid: "2.5.4.7", encoding: Encoding::Utf8, limit: 128 },
    NameType { word: "ST", oid: "2.5.4.8", encoding: Encoding::Utf8, limit: 128 },
    NameType { word: "O", oid: "2.5.4.10", encoding: Encoding::Utf8, limit: 64 },
    NameType { word: "OU", oid: "2.5.4.11", encoding: Encoding::Utf8, limit: 64 },
    NameType { word: "title", oid: "2.5.4.12", encoding: Encoding::Utf8, limit: 64 },
    NameType { word: "GN", oid: "2.5.4.42", encoding: Encoding::Utf8, limit: 16 },
    NameType { word: "UID", oid: "0.9.2342.19200300.100.1.1", encoding: Encoding::Utf8, limit: 256 },
    NameType { word: "DC", oid: "0.9.2342.19200300.100.1.25", encoding: Encoding::Ia5, limit: 63 },
    NameType { word: "emailAddress", oid: "1.2.840.113549.1.9.1", encoding: Encoding::Ia5, limit: 255 },
];

/// A name with placeholders, read once from the configuration.
#[derive(Clone, Debug)]
pub struct NameTemplate {
    relative: Vec<Vec<(NameType, Vec<Piece>)>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Attribute(String),
}

impl NameTemplate {
    /// Reads the relative names, the root first.
    ///
    /// # Errors
    /// [`NameError::Syntax`] or [`NameError::UnknownType`].
    pub fn parse<S: AsRef<str>>(relative: &[S]) -> Result<Self, NameError> {
        let relative = relative.iter().map(|text| parse_relative(text.as_ref())).collect::<Result<Vec<_>, _>>()?;
        if relative.is_empty() {
            return Err(NameError::Syntax(String::new()));
        }
        Ok(Self { relative })
    }

    /// The names of the attributes that are filled in.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        self.relative.iter().flatten().flat_map(|(_, pieces)| pieces).filter_map(|piece| match piece {
            Piece::Attribute(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The DER of the name for these attributes.
    ///
    /// # Errors
    /// [`NameError`] when an attribute is missing, too long or cannot be encoded; nothing is cut off.
    pub fn fill(&self, attributes: &BTreeMap<String, String>) -> Result<Vec<u8>, NameError> {
        let mut sequence = RdnSequence::default();
        for relative in &self.relative {
            let values = relative
                .iter()
                .map(|(name_type, pieces)| value(*name_type, pieces, attributes))
                .collect::<Result<Vec<_>, _>>()?;
            let set = RelativeDistinguishedName::try_from(values).map_err(|_| NameError::Syntax(String::new()))?;
            sequence.push(set);
        }
        sequence.to_der().map_err(|_| NameError::Syntax(String::new()))
    }
}

fn parse_relative(text: &str) -> Result<Vec<(NameType, Vec<Piece>)>, NameError> {
    text.split('+')
        .map(|part| {
            let (word, value) = part.split_once('=').ok_or_else(|| NameError::Syntax(text.to_owned()))?;
            let word = word.trim();
            let name_type = TYPES
                .into_iter()
                .find(|known| known.word.eq_ignore_ascii_case(word))
                .ok_or_else(|| NameError::UnknownType(word.to_owned()))?;
            let pieces = parse_value(value.trim()).ok_or_else(|| NameError::Syntax(text.to_owned()))?;
            Ok((name_type, pieces))
        })
        .collect()
}

fn parse_value(mut rest: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    while let Some((before, after)) = rest.split_once('{') {
        let (attribute, tail) = after.split_once('}')?;
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(Piece::Attribute(attribute.to_owned()));
        rest = tail;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    (!pieces.is_empty()).then_some(pieces)
}

fn value(
    name_type: NameType,
    pieces: &[Piece],
    attributes: &BTreeMap<String, String>,
) -> Result<AttributeTypeAndValue, NameError> {
    let mut text = String::new();
    let mut last = name_type.word.to_owned();
    for piece in pieces {
        match piece {
            Piece::Text(part) => text.push_str(part),
            Piece::Attribute(attribute) => {
                let found = attributes.get(attribute).filter(|value| !value.trim().is_empty());
                text.push_str(found.ok_or_else(|| NameError::Missing(attribute.clone()))?);
                last.clone_from(attribute);
            }
        }
    }
    if text.chars().count() > name_type.limit {
        return Err(NameError::TooLong { attribute: last, name_type: name_type.word, limit: name_type.limit });
    }
    if text.chars().any(char::is_control) {
        return Err(NameError::Characters(last));
    }
    let encoded = match name_type.encoding {
        Encoding::Utf8 => Utf8StringRef::new(&text).map(Any::from),
        Encoding::Ia5 => Ia5StringRef::new(&text).map(Any::from),
        Encoding::Printable => PrintableStringRef::new(&text).map(Any::from),
    };
    let value = encoded.map_err(|_| NameError::Characters(last))?;
    Ok(AttributeTypeAndValue { oid: ObjectIdentifier::new_unwrap(name_type.oid), value })
}

/// A name's DER as RFC 4514 text for people, the most specific part first.
pub fn to_text(der: &[u8]) -> String {
    use der::Decode;
    x509_cert::name::Name::from_der(der).map(|name| name.to_string()).unwrap_or_default()
}
