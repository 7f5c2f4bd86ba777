//! Microsoft's strong certificate mapping (KB5014754): a logon certificate carries the account's SID, in textual form.

use der::Decode;
use der::asn1::OctetStringRef;
use x509_cert::ext::pkix::name::{GeneralName, GeneralNames};

use super::{Certificate, ensure};
use crate::extension::{SECURITY_IDENTIFIER_NAME, is_account_identifier};

const SECURITY_IDENTIFIER: &str = "1.3.6.1.4.1.311.25.2";

pub(super) fn check(certificate: &Certificate<'_>) -> Result<(), String> {
    let extension =
        certificate.parsed.extensions().iter().find(|extension| extension.oid.to_id_string() == SECURITY_IDENTIFIER);
    let wanted = certificate.profile.security_identifier();
    ensure(extension.is_some() == wanted, "the security identifier is not as the profile says")?;
    let Some(extension) = extension else { return Ok(()) };
    let names = GeneralNames::from_der(extension.value).map_err(|_| "the security identifier cannot be read")?;
    let [GeneralName::OtherName(name)] = names.as_slice() else {
        return Err("the security identifier is not one other name".to_owned());
    };
    ensure(name.type_id == SECURITY_IDENTIFIER_NAME, "the other name is of another type than a security identifier")?;
    let text: &OctetStringRef = name.value.decode_as().map_err(|_| "the security identifier is no octet string")?;
    let is_accounts = std::str::from_utf8(text.as_bytes()).is_ok_and(is_account_identifier);
    ensure(is_accounts, "the security identifier is not of the form S-1-5-21-…")
}
