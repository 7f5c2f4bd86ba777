//! Variables that stand for keys of the file: `SEALWRIGHT__SERVER__PAGES=0.0.0.0:8001` is `pages`
//! in the section `[server]`.
//!
//! Two underscores part the names, one is a hyphen. A value is TOML, or text as it stands. What is
//! secret has a file's name there, never itself.

use std::ffi::OsString;

use toml::{Table, Value};

const PREFIX: &str = "SEALWRIGHT__";

/// A variable that fits nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    #[error("{0}: a name is made of sections and a key, parted by two underscores")]
    Name(String),
    #[error("{0}: `{1}` is no section")]
    Section(String, String),
    #[error("{0}: name and value must be UTF-8")]
    Unicode(String),
}

/// The variables that stand for keys, in an order of their own: the system gives them in any. What
/// others are called and hold is not looked at.
///
/// # Errors
/// [`OverrideError::Unicode`].
pub(super) fn ours(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, OverrideError> {
    let mut ours = Vec::new();
    for (name, value) in variables.filter(|(name, _)| name.as_encoded_bytes().starts_with(PREFIX.as_bytes())) {
        match (name.to_str(), value.to_str()) {
            (Some(name), Some(value)) => ours.push((name.to_owned(), value.to_owned())),
            _ => return Err(OverrideError::Unicode(name.display().to_string())),
        }
    }
    ours.sort();
    Ok(ours)
}

/// Puts variables in the place of what the file says.
///
/// # Errors
/// The first [`OverrideError`]; a key that is unknown is found afterwards, as in the file.
pub(super) fn apply(table: &mut Table, ours: Vec<(String, String)>) -> Result<(), OverrideError> {
    for (name, value) in ours {
        let words: Vec<String> = name
            .trim_start_matches(PREFIX)
            .split("__")
            .map(|word| word.to_ascii_lowercase().replace('_', "-"))
            .collect();
        let Some((key, sections)) = words.split_last().filter(|_| words.iter().all(|word| !word.is_empty())) else {
            return Err(OverrideError::Name(name));
        };
        let mut place = &mut *table;
        for section in sections {
            let entry = place.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
            place = entry.as_table_mut().ok_or_else(|| OverrideError::Section(name.clone(), section.clone()))?;
        }
        place.insert(key.clone(), read(&value));
    }
    Ok(())
}

/// As TOML reads it, or as text.
fn read(value: &str) -> Value {
    let parsed = format!("value = {value}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    parsed.unwrap_or_else(|| Value::String(value.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn applied(variables: &[(&str, &str)]) -> Result<String, OverrideError> {
        let mut table: Table = "name = \"file\"\n[server]\npages = \"127.0.0.1:1\"\n".parse().expect("a table");
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        // What no text can hold is somebody else's.
        let foreign = OsString::from_vec(b"caf\xe9".to_vec());
        apply(&mut table, ours(variables.chain([(foreign.clone(), foreign)]))?)?;
        Ok(table.to_string())
    }

    #[test]
    fn variables_stand_for_keys() {
        let text = applied(&[
            ("SEALWRIGHT__NAME", "environment"),
            ("SEALWRIGHT__SERVER__PAGES", "0.0.0.0:8001"),
            ("SEALWRIGHT__SIGN_IN__PEERS", "[\"10.0.0.1\"]"),
            ("SEALWRIGHT__SIGN_IN__IDLE_MINUTES", "15"),
            ("SEALWRIGHT_FAIL_POINT", "is no key"),
            ("PATH", "/bin"),
        ]);
        let expected = "name = \"environment\"\n\n[server]\npages = \"0.0.0.0:8001\"\n\n[sign-in]\nidle-minutes = 15\npeers = [\"10.0.0.1\"]\n";
        assert_eq!(text.as_deref(), Ok(expected));
    }

    #[test]
    fn what_fits_nothing_is_refused() {
        for name in ["SEALWRIGHT__", "SEALWRIGHT__SERVER__", "SEALWRIGHT____PAGES"] {
            assert_eq!(applied(&[(name, "1")]), Err(OverrideError::Name(name.to_owned())));
        }
        assert!(matches!(applied(&[("SEALWRIGHT__NAME__X", "1")]), Err(OverrideError::Section(..))));
        let not_text = (OsString::from("SEALWRIGHT__NAME"), OsString::from_vec(b"caf\xe9".to_vec()));
        assert!(matches!(ours([not_text].into_iter()), Err(OverrideError::Unicode(_))));
    }
}
