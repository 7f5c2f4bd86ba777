//! A person as the portal knows one, and which attributes of the directory that comes from.

use std::collections::BTreeMap;

use ldap3::{SearchEntry, ldap_escape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::connection::Kind;
use super::matching::is_any_common;
use super::sid;

/// A person of the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Person {
    /// What stays when the login or the name changes.
    pub id: String,
    pub login: String,
    pub dn: String,
    pub name: String,
    pub mail: Option<String>,
    pub employee_number: Option<String>,
    /// Where the attribute has several values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_employee_numbers: Vec<String>,
    /// User principal name, for Windows logon.
    pub upn: Option<String>,
    /// `objectSid` in its textual form.
    pub object_sid: Option<String>,
}

impl Person {
    /// A login that nobody has, to ask whether somebody answers.
    pub fn nobody() -> Self {
        Self {
            id: String::new(),
            login: "sealwright-check".to_owned(),
            dn: "cn=sealwright-check".to_owned(),
            name: String::new(),
            mail: None,
            employee_number: None,
            other_employee_numbers: Vec::new(),
            upn: None,
            object_sid: None,
        }
    }

    /// Whether two entries are one human: the same identifier, or an employee with two accounts, whose numbers have one in common. None where a
    /// number is missing: an account without one might be anybody's second one.
    pub fn is_same_human(&self, other: &Self) -> Option<bool> {
        if self.id.eq_ignore_ascii_case(&other.id) {
            return Some(true);
        }
        is_any_common(&self.employee_numbers(), &other.employee_numbers())
    }

    fn employee_numbers(&self) -> Vec<&str> {
        self.employee_number.iter().chain(&self.other_employee_numbers).map(String::as_str).collect()
    }

    /// The attributes that a certificate profile may ask for.
    pub fn attributes(&self) -> BTreeMap<String, String> {
        let optional = [
            ("mail", &self.mail),
            ("employee_number", &self.employee_number),
            ("upn", &self.upn),
            ("object_sid", &self.object_sid),
        ];
        let mut attributes = BTreeMap::from([
            ("id".to_owned(), self.id.clone()),
            ("login".to_owned(), self.login.clone()),
            ("name".to_owned(), self.name.clone()),
        ]);
        for (name, value) in optional {
            if let Some(value) = value {
                attributes.insert(name.to_owned(), value.clone());
            }
        }
        attributes
    }
}

/// An attribute that a workflow may require.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Attribute {
    Mail,
    EmployeeNumber,
    Upn,
    ObjectSid,
}

/// Names of the directory's attributes, `[directory.attributes]`: what is left out is as the kind of directory has it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct MappingOptions {
    pub id: Option<String>,
    pub login: Option<String>,
    pub name: Option<String>,
    pub mail: Option<String>,
    pub employee_number: Option<String>,
    pub upn: Option<String>,
    pub object_sid: Option<String>,
    /// Says that an account is disabled: by bit 2 of a number (`userAccountControl`, MS-ADTS section 2.2.16), by TRUE, or by the time that stands
    /// for a lock without an end (`pwdAccountLockedTime`). A lock after wrong passwords is none: anybody can bring it about. Where there is no such
    /// attribute the account is enabled; but every account has a `userAccountControl`, and where that cannot be read nothing is known.
    pub disabled: Option<String>,
}

/// Names of the directory's attributes.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// Active Directory's `objectGUID`.
    has_binary_id: bool,
    id: String,
    login: String,
    name: String,
    mail: String,
    employee_number: String,
    upn: String,
    object_sid: String,
    disabled: String,
}

/// What an entry says of its person.
pub(super) struct Read {
    /// None when it is missing, or it cannot be read whether the account is disabled.
    pub id: Option<String>,
    /// None when the id or the name is.
    pub person: Option<Person>,
    pub missing: Vec<Attribute>,
    pub disabled: bool,
}

impl Mapping {
    pub(super) fn new(kind: Kind, options: &MappingOptions) -> Self {
        let or = |option: &Option<String>, open_ldap: &str, active_directory: &str| match (option, kind) {
            (Some(name), _) => name.clone(),
            (None, Kind::OpenLdap) => open_ldap.to_owned(),
            (None, Kind::ActiveDirectory) => active_directory.to_owned(),
        };
        Self {
            has_binary_id: kind == Kind::ActiveDirectory,
            id: or(&options.id, "entryUUID", "objectGUID"),
            login: or(&options.login, "uid", "sAMAccountName"),
            name: or(&options.name, "cn", "displayName"),
            mail: or(&options.mail, "mail", "mail"),
            employee_number: or(&options.employee_number, "employeeNumber", "employeeID"),
            upn: or(&options.upn, "userPrincipalName", "userPrincipalName"),
            object_sid: or(&options.object_sid, "objectSid", "objectSid"),
            disabled: or(&options.disabled, "pwdAccountLockedTime", ACCOUNT_CONTROL),
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        let Self { id, login, name, mail, employee_number, upn, object_sid, disabled, has_binary_id: _ } = self;
        [id, login, name, mail, employee_number, upn, object_sid, disabled].into_iter().cloned().collect()
    }

    /// The part of a filter that finds the entry with an id.
    pub(super) fn id_filter(&self, id: &str) -> String {
        let value = match (self.has_binary_id, uuid::Uuid::parse_str(id)) {
            (true, Ok(id)) => id.to_bytes_le().iter().map(|byte| format!("\\{byte:02x}")).collect(),
            _ => ldap_escape(id).into_owned(),
        };
        format!("({}={value})", self.id)
    }

    pub(super) fn id(&self, entry: &SearchEntry) -> Option<String> {
        identifier(entry, &self.id)
    }

    /// The logins of an entry, in the one spelling that the sign-in has.
    pub(super) fn logins(&self, entry: &SearchEntry) -> Vec<String> {
        let values = values(entry, &self.login).into_iter().filter_map(|value| String::from_utf8(value).ok());
        values.map(|login| login.to_ascii_lowercase()).collect()
    }

    /// Reads the entry of a login.
    pub(super) fn read(&self, login: &str, entry: &SearchEntry, require: &[Attribute]) -> Read {
        let state = text(entry, &self.disabled);
        let is_known = !self.disabled.eq_ignore_ascii_case(ACCOUNT_CONTROL)
            || state.as_ref().is_some_and(|flags| flags.parse::<u32>().is_ok());
        // Whoever may be disabled is nobody yet, and has no role.
        let id = self.id(entry).filter(|_| is_known);
        let name = text(entry, &self.name);
        let mail = text(entry, &self.mail);
        let mut employee_numbers = texts(entry, &self.employee_number).unwrap_or_default().into_iter();
        let employee_number = employee_numbers.next();
        let upn = text(entry, &self.upn);
        let object_sid = values(entry, &self.object_sid).first().and_then(|value| sid::to_text(value));
        let missing = require
            .iter()
            .copied()
            .filter(|attribute| match attribute {
                Attribute::Mail => mail.is_none(),
                Attribute::EmployeeNumber => employee_number.is_none(),
                Attribute::Upn => upn.is_none(),
                Attribute::ObjectSid => object_sid.is_none(),
            })
            .collect();
        let person = id.clone().zip(name).map(|(id, name)| Person {
            id,
            login: login.to_owned(),
            dn: entry.dn.clone(),
            name,
            mail,
            employee_number,
            other_employee_numbers: employee_numbers.collect(),
            upn,
            object_sid,
        });
        let disabled = state.is_some_and(|value| is_disabled(&value));
        Read { id, person, missing, disabled }
    }
}

/// Active Directory has it in every account; to whoever may not read it, it looks as if it were not there.
const ACCOUNT_CONTROL: &str = "userAccountControl";
/// `000001010000Z`: locked until an administrator says otherwise (draft-behera-ldap-password-policy section 5.3.3).
const LOCKED_FOR_GOOD: &str = "000001010000Z";

fn is_disabled(value: &str) -> bool {
    match value.parse::<u32>() {
        Ok(flags) => flags & 2 != 0,
        Err(_) => value.eq_ignore_ascii_case("true") || value == LOCKED_FOR_GOOD,
    }
}

/// All values of an attribute, whatever its spelling and whether they are text or not.
fn values(entry: &SearchEntry, name: &str) -> Vec<Vec<u8>> {
    let is_it = |found: &str| found.split(';').next().is_some_and(|base| base.eq_ignore_ascii_case(name));
    let texts = entry.attrs.iter().filter(|(found, _)| is_it(found)).flat_map(|(_, values)| values);
    let binaries = entry.bin_attrs.iter().filter(|(found, _)| is_it(found)).flat_map(|(_, values)| values);
    texts.map(|value| value.clone().into_bytes()).chain(binaries.cloned()).collect()
}

/// The first value as text.
fn text(entry: &SearchEntry, name: &str) -> Option<String> {
    usable(values(entry, name).into_iter().next()?)
}

/// All values as texts; none when one of them is unusable.
fn texts(entry: &SearchEntry, name: &str) -> Option<Vec<String>> {
    values(entry, name).into_iter().map(usable).collect()
}

/// A value as text; control characters make it unusable rather than altered.
fn usable(value: Vec<u8>) -> Option<String> {
    let value = String::from_utf8(value).ok()?;
    let clean = !value.trim().is_empty() && value.chars().count() <= 500 && !value.chars().any(char::is_control);
    clean.then_some(value)
}

/// Active Directory's `objectGUID` is binary: hexadecimal then.
fn identifier(entry: &SearchEntry, name: &str) -> Option<String> {
    text(entry, name).or_else(|| {
        let value = values(entry, name).into_iter().next().filter(|value| value.len() == 16)?;
        uuid::Uuid::from_slice_le(&value).ok().map(|id| id.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Jane's entry as a directory of this kind has it, with one attribute more.
    fn jane(kind: Kind, attribute: &str, value: Option<&str>) -> Read {
        let mut attributes =
            vec![("entryUUID", "jane"), ("objectGUID", "jane"), ("cn", "Jane"), ("displayName", "Jane")];
        attributes.extend(value.map(|value| (attribute, value)));
        let attrs = attributes.into_iter().map(|(name, value)| (name.to_owned(), vec![value.to_owned()])).collect();
        let entry = SearchEntry { dn: "cn=jane".to_owned(), attrs, bin_attrs: std::collections::HashMap::new() };
        Mapping::new(kind, &MappingOptions::default()).read("jane", &entry, &[])
    }

    #[test]
    fn an_account_that_may_be_disabled_is_nobodys() {
        let by_flags = |flags| jane(Kind::ActiveDirectory, "userAccountControl", flags);
        for unknown in [None, Some(""), Some("enabled"), Some("-1"), Some("512 ")] {
            let read = by_flags(unknown);
            assert!(read.id.is_none() && read.person.is_none() && !read.disabled, "{unknown:?}");
        }
        for (flags, disabled) in [("512", false), ("514", true), ("66048", false)] {
            let read = by_flags(Some(flags));
            assert_eq!((read.person.is_some(), read.disabled), (true, disabled), "{flags}");
        }
        // OpenLDAP says nothing of an account that nobody has locked.
        for (locked, disabled) in [(None, false), (Some("20261122100000Z"), false), (Some("000001010000Z"), true)] {
            let read = jane(Kind::OpenLdap, "pwdAccountLockedTime", locked);
            assert_eq!((read.person.is_some(), read.disabled), (true, disabled), "{locked:?}");
        }
    }

    #[test]
    fn an_account_without_a_number_may_be_anybodys() {
        let person = |id: &str, number: Option<&str>| Person {
            id: id.to_owned(),
            employee_number: number.map(str::to_owned),
            ..Person::nobody()
        };
        let alice = person("alice", Some("17"));
        for (other, expected) in [
            (person("alice", None), Some(true)),
            (person("alice-ra", Some("17")), Some(true)),
            (person("alice-rb", Some(" 017")), Some(true)),
            (Person { other_employee_numbers: vec!["17".to_owned()], ..person("alice-rc", Some("44")) }, Some(true)),
            (Person { other_employee_numbers: vec!["-".to_owned()], ..person("alice-rd", Some("44")) }, None),
            (person("rita", Some("21")), Some(false)),
            (person("alice-adm", None), None),
        ] {
            assert_eq!(alice.is_same_human(&other), expected, "{other:?}");
            assert_eq!(other.is_same_human(&alice), expected, "{other:?}");
        }
    }
}
