//! The holder of a certificate, as profiles and rules see one.

use std::collections::BTreeMap;

use sealwright_pki::profile::Profile;
use serde_json::json;

use crate::random;

/// Whoever a certificate is for, whatever directory or protocol it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateHolder {
    /// Stays when names and logins change. Certificates are recorded under it.
    pub id: String,
    /// Attributes by the names that profiles use: `name`, `mail`, `upn`, ….
    pub attributes: BTreeMap<String, String>,
}

impl CertificateHolder {
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    /// Digests of the attributes that a certificate of this profile is made of, as JSON by name.
    ///
    /// The profile itself is not in it: an administrator who edits the profile changes nobody's name.
    pub(super) fn names_digest(&self, profile: &Profile) -> String {
        let named = profile.attributes().into_iter();
        let digests = named.filter_map(|name| Some((name, random::digest(self.attribute(name)?.as_bytes()))));
        json!(digests.collect::<BTreeMap<_, _>>()).to_string()
    }

    /// Whether a certificate names the holder otherwise than these attributes do.
    ///
    /// `kept` are the digests that were recorded with the certificate; a certificate without any, which only
    /// a revocation list tells of, names nobody. `None` if an attribute is missing today and the others are unchanged.
    pub fn is_named_otherwise(&self, kept: &str) -> Option<bool> {
        let kept: BTreeMap<String, String> = serde_json::from_str(kept).unwrap_or_default();
        let mut otherwise = Some(false);
        for (name, digest) in &kept {
            match self.attribute(name) {
                Some(value) if random::digest(value.as_bytes()) != *digest => return Some(true),
                Some(_) => {}
                None => otherwise = None,
            }
        }
        otherwise
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(attributes: &[(&str, &str)]) -> CertificateHolder {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        CertificateHolder { id: "alice".to_owned(), attributes }
    }

    #[test]
    fn whoever_is_said_to_be_somebody_else_has_moved_and_nobody_else() {
        let profile = json!({
            "title": "A profile",
            "subject": ["CN={name}"],
            "key-algorithms": ["p-256"],
            "validity-days": 1,
            "key-usage": ["digital-signature"],
            "alternative-names": ["email"],
        });
        let profile = Profile::new("a-profile", serde_json::from_value(profile).expect("options")).expect("a profile");
        let alice = holder(&[("name", "Alice"), ("mail", "alice@example.test")]);
        let kept = alice.names_digest(&profile);
        let married = holder(&[("name", "Alice Ho"), ("mail", "alice@example.test")]);
        let elsewhere = holder(&[("name", "Alice"), ("mail", "alice@other.test")]);
        // What cannot be read, and what the certificate does not say.
        let unread = holder(&[("name", "Alice")]);
        let beside = holder(&[("name", "Alice"), ("mail", "alice@example.test"), ("upn", "alice@corp.example.test")]);
        for (today, expected) in [
            (alice, Some(false)),
            (holder(&[("name", "Alice Ho")]), Some(true)),
            (married, Some(true)),
            (elsewhere, Some(true)),
            (unread, None),
            (beside, Some(false)),
        ] {
            assert_eq!(today.is_named_otherwise(&kept), expected, "{today:?}");
            assert_eq!(today.is_named_otherwise(""), Some(false), "{today:?}");
        }
    }
}
