//! Security identifiers of Windows, MS-DTYP section 2.4.2.

use sealwright_pki::extension::is_account_identifier;

/// The textual form of a person's `objectSid`: binary as Active Directory keeps it, or text already. None for what is no account's of a domain: no
/// certificate could say it.
pub(super) fn to_text(value: &[u8]) -> Option<String> {
    if let Ok(text) = std::str::from_utf8(value)
        && is_account_identifier(text)
    {
        return Some(text.to_owned());
    }
    let [1, count, authority @ ..] = value else { return None };
    let (authority, parts) = authority.split_at_checked(6)?;
    let count = usize::from(*count);
    if count == 0 || count > 15 || parts.len() != count * 4 {
        return None;
    }
    let authority = authority.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let mut text = format!("S-1-{authority}");
    for part in parts.chunks_exact(4) {
        let part = u32::from_le_bytes(part.try_into().ok()?);
        text.push('-');
        text.push_str(&part.to_string());
    }
    is_account_identifier(&text).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_and_textual_identifiers_are_read() {
        let binary = [1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0x50, 4, 0, 0];
        assert_eq!(to_text(&binary).as_deref(), Some("S-1-5-21-1-2-3-1104"));
        assert_eq!(to_text(b"S-1-5-21-1-2-3-1104").as_deref(), Some("S-1-5-21-1-2-3-1104"));
        assert_eq!(to_text(&binary[..20]), None);
        assert_eq!(to_text(&[]), None);
        // Of a group that every computer has, and what only looks like one.
        assert_eq!(to_text(&[1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0]), None);
        for text in ["S-1-", "S-1-0-0", "S-1-+5-21-1-2-3-1104", "S-1-5-21-1-2-3-01104", "S-1-5-21-1-2-3-1104\n"] {
            assert_eq!(to_text(text.as_bytes()), None, "{text:?}");
        }
    }
}
