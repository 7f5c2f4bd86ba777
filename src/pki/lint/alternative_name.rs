//! RFC 5280 section 4.2.1.6: the names that the profile asks for and no others; mail addresses of one local part and one domain.

use x509_parser::extensions::{GeneralName, ParsedExtension};

use super::{Certificate, ensure};
use crate::profile::AlternativeName;

const USER_PRINCIPAL_NAME: &str = "1.3.6.1.4.1.311.20.2.3";

pub(super) fn check(certificate: &Certificate<'_>) -> Result<(), String> {
    let mut found = Vec::new();
    for extension in certificate.parsed.extensions() {
        let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension() else { continue };
        for name in &names.general_names {
            match name {
                GeneralName::RFC822Name(mail) => {
                    let parts: Vec<&str> = mail.split('@').collect();
                    let plain = matches!(parts.as_slice(), [local, domain] if !local.is_empty() && domain.contains('.'))
                        && mail.bytes().all(|byte| byte.is_ascii_graphic());
                    ensure(plain, "the mail address is not one")?;
                    found.push(AlternativeName::Email);
                }
                GeneralName::OtherName(oid, _) if oid.to_id_string() == USER_PRINCIPAL_NAME => {
                    found.push(AlternativeName::UserPrincipalName);
                }
                _ => return Err("there is an alternative name that no profile asks for".to_owned()),
            }
        }
    }
    ensure(found == certificate.profile.alternative_names(), "the alternative names are not the profile's")
}
