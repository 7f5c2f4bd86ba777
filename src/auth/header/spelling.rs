//! One spelling of a login, and one of each header's name. Total over any bytes.

/// The longest login in bytes.
pub const LONGEST_LOGIN: usize = 64;

/// Servers and gateways disagree on case, underscores, dots and hyphens: all of them are one here.
pub fn squeezed(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// One person, one spelling: ASCII letters, digits and `. _ - @`, in lower case. Anything else is refused, never repaired.
pub fn canonical(login: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(login).ok()?;
    let plain = text.len() <= LONGEST_LOGIN
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte))
        && text.starts_with(|first: char| first.is_ascii_alphanumeric());
    plain.then(|| text.to_ascii_lowercase())
}
