//! RFC 5280 section 4.2.1.6: the names that the profile asks for and no others; mail addresses that are mailboxes, principals' names of a user and
//! a domain.

use der::Decode;
use der::asn1::Utf8StringRef;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};
use x509_cert::ext::pkix::name::{GeneralName, GeneralNames};
use x509_parser::oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME;

use super::{Certificate, ensure};
use crate::extension::USER_PRINCIPAL_NAME;
use crate::profile::AlternativeName;

/// Octets of a local part and of a domain (RFC 5321 section 4.5.3.1).
const LONGEST_LOCAL_PART: usize = 64;
const LONGEST_DOMAIN: usize = 255;

pub(super) fn check(certificate: &Certificate<'_>) -> Result<(), String> {
    let mut found = Vec::new();
    for extension in certificate.parsed.extensions().iter().filter(|of| of.oid == OID_X509_EXT_SUBJECT_ALT_NAME) {
        let names = GeneralNames::from_der(extension.value).map_err(|_| "the alternative names cannot be read")?;
        for name in &names {
            found.push(match name {
                GeneralName::Rfc822Name(mail) => {
                    ensure(is_mailbox(mail.as_str()), "the mail address is not one")?;
                    AlternativeName::Email
                }
                GeneralName::OtherName(other) if other.type_id == USER_PRINCIPAL_NAME => {
                    let name: Utf8StringRef<'_> =
                        other.value.decode_as().map_err(|_| "the principal's name is no text")?;
                    ensure(is_principal_name(name.as_str()), "the principal's name is not one")?;
                    AlternativeName::UserPrincipalName
                }
                _ => return Err("there is an alternative name that no profile asks for".to_owned()),
            });
        }
    }
    ensure(found == certificate.profile.alternative_names(), "the alternative names are not the profile's")
}

/// A dot-string and a domain with a dot (RFC 5321 section 4.1.2): no quotes, no comments, no address in brackets.
fn is_mailbox(mail: &str) -> bool {
    let is_atom = |atom: &str| {
        let is_special = |byte| b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
        !atom.is_empty() && atom.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_special(byte))
    };
    let Some((local, domain)) = mail.split_once('@') else { return false };
    local.len() <= LONGEST_LOCAL_PART && local.split('.').all(is_atom) && domain.contains('.') && is_domain(domain)
}

/// A user and a domain, as Active Directory has them in `userPrincipalName`: a user of letters of any script, without
/// what is not seen or turns the reading round.
fn is_principal_name(name: &str) -> bool {
    let is_seen = |letter: char| {
        // Controls, joiners, marks and overrides of the direction, tags, what has no meaning yet; blanks of any width.
        !matches!(letter.general_category_group(), GeneralCategoryGroup::Other | GeneralCategoryGroup::Separator)
            // The letters and marks among Default_Ignorable_Code_Point (Unicode, DerivedCoreProperties): fillers, variation selectors.
            && !matches!(letter, '\u{34f}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0100}'..='\u{e01ef}')
            // What begins or ends something else, on a page, in a filter or a list.
            && !"\"/\\[]():;|,*?<>@".contains(letter)
    };
    let Some((user, domain)) = name.split_once('@') else { return false };
    !user.is_empty() && user.chars().all(is_seen) && is_domain(domain)
}

/// Labels of letters, digits and hyphens (RFC 1123 section 2.1).
fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.len() <= LONGEST_DOMAIN && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_address_is_a_mailbox_or_none() {
        for good in ["alice@example.test", "a.b+c=d@x-y.example.test", "o'neil@example.test", "1@2.3"] {
            assert!(is_mailbox(good), "{good}");
        }
        let (long_local, long_domain) = (format!("{}@x.test", "a".repeat(65)), format!("a@{}test", "x.".repeat(126)));
        for bad in [
            "",
            "@",
            "alice",
            "alice@",
            "@example.test",
            "alice@test",
            "a@b@example.test",
            "<b>@example.test",
            "\"a b\"@example.test",
            "a@[127.0.0.1]",
            ".a@example.test",
            "a..b@example.test",
            "a.@example.test",
            "a@example.test.",
            "a@.test",
            "a@-x.test",
            "a@x-.test",
            "a@x_y.test",
            "a,b@example.test",
            "a@x.test,b@x.test",
            "a b@example.test",
            "a@x.test\0",
            "a@x.test\r\nTo: b@x.test",
            "\u{e9}@example.test",
            "a@\u{e9}.test",
            &long_local,
            &long_domain,
        ] {
            assert!(!is_mailbox(bad), "{bad}");
        }
    }

    #[test]
    fn a_principals_name_is_a_user_and_a_domain_or_none() {
        for good in
            ["alice@corp.example.test", "\u{c5}ngstr\u{f6}m@corp.test", "\u{5d3}\u{5d5}\u{5d3}@corp", "a.b_c-d$@x"]
        {
            assert!(is_principal_name(good), "{good}");
        }
        for bad in [
            "",
            "alice",
            "@corp.test",
            "alice@",
            "a@b@corp.test",
            "a b@corp.test",
            "a\0@corp.test",
            "a@corp.test\0",
            "\u{202e}a@corp.test",
            "a\u{200b}@corp.test",
            "a\u{3000}@corp.test",
            "a\u{3164}@corp.test",
            "a\u{fe0f}@corp.test",
            "a\u{e0041}@corp.test",
            "a\u{378}@corp.test",
            "a@corp.test\u{202e}",
            "a@corp test",
            "a@\u{43e}rp.test",
            "a\\b@corp.test",
            "<a>@corp.test",
            "a@corp..test",
            "a\n@corp.test",
        ] {
            assert!(!is_principal_name(bad), "{bad:?}");
        }
    }
}
