//! What a certificate of a kind contains: what an operator wrote ([`ProfileOptions`]), checked once, becomes a [`Profile`].

use serde::{Deserialize, Serialize};
use time::Duration;

use crate::key::KeyAlgorithm;
use crate::name::{NameError, NameTemplate};

/// A profile as it stands in the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ProfileOptions {
    pub title: String,
    /// The subject's relative names, the root first, with `{attribute}` placeholders.
    pub subject: Vec<String>,
    pub key_algorithms: Vec<KeyAlgorithm>,
    pub validity_days: u32,
    pub key_usage: Vec<KeyUsageBit>,
    #[serde(default)]
    pub extended_key_usage: Vec<ExtendedKeyUsageWord>,
    #[serde(default)]
    pub alternative_names: Vec<AlternativeName>,
    /// The SID extension 1.3.6.1.4.1.311.25.2 for strong mapping of Windows logon.
    #[serde(default)]
    pub security_identifier: bool,
    #[serde(default)]
    pub approval: Approval,
    /// How many of them must say yes; one when nothing is said.
    pub approvals: Option<u32>,
}

/// Who decides on a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approval {
    /// The rules alone.
    #[default]
    Automatic,
    /// RA operators.
    Ra,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyUsageBit {
    DigitalSignature,
    NonRepudiation,
    KeyEncipherment,
    KeyAgreement,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExtendedKeyUsageWord {
    ClientAuthentication,
    SmartCardLogon,
    EmailProtection,
}

impl ExtendedKeyUsageWord {
    pub(crate) fn oid(self) -> der::asn1::ObjectIdentifier {
        der::asn1::ObjectIdentifier::new_unwrap(match self {
            Self::ClientAuthentication => "1.3.6.1.5.5.7.3.2",
            Self::SmartCardLogon => "1.3.6.1.4.1.311.20.2.2",
            Self::EmailProtection => "1.3.6.1.5.5.7.3.4",
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlternativeName {
    /// `otherName` 1.3.6.1.4.1.311.20.2.3 from the attribute `upn`.
    UserPrincipalName,
    /// `rfc822Name` from the attribute `mail`.
    Email,
}

/// A checked profile.
#[derive(Clone, Debug)]
pub struct Profile {
    name: String,
    title: String,
    subject: NameTemplate,
    key_algorithms: Vec<KeyAlgorithm>,
    validity: Duration,
    key_usage: Vec<KeyUsageBit>,
    extended_key_usage: Vec<ExtendedKeyUsageWord>,
    alternative_names: Vec<AlternativeName>,
    security_identifier: bool,
    approvals: u32,
}

/// Why a profile cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    #[error("profile `{profile}`: {error}")]
    Subject { profile: String, error: NameError },
    #[error("profile `{profile}`: {what} must not be empty")]
    Empty { profile: String, what: &'static str },
    #[error("profile `{profile}`: the validity must be from 1 to 1825 days")]
    Validity { profile: String },
    #[error(
        "profile `{profile}`: smart card logon needs the user principal name, the security identifier and client authentication"
    )]
    SmartCardLogon { profile: String },
    #[error("profile `{profile}`: key encipherment is for RSA keys, key agreement for elliptic curves")]
    KeyUsage { profile: String },
    #[error("profile `{profile}`: `approvals` is a number from 1 to 20 and goes with `approval = \"ra\"`")]
    Approvals { profile: String },
}

impl Profile {
    /// Checks what an operator wrote.
    ///
    /// # Errors
    /// The first [`ProfileError`].
    pub fn new(name: &str, options: ProfileOptions) -> Result<Self, ProfileError> {
        let profile = name.to_owned();
        let subject = NameTemplate::parse(&options.subject)
            .map_err(|error| ProfileError::Subject { profile: profile.clone(), error })?;
        if options.key_algorithms.is_empty() {
            return Err(ProfileError::Empty { profile, what: "key-algorithms" });
        }
        if options.key_usage.is_empty() {
            return Err(ProfileError::Empty { profile, what: "key-usage" });
        }
        if !(1..=1825).contains(&options.validity_days) {
            return Err(ProfileError::Validity { profile });
        }
        let logon = options.extended_key_usage.contains(&ExtendedKeyUsageWord::SmartCardLogon);
        if logon
            && !(options.alternative_names.contains(&AlternativeName::UserPrincipalName)
                && options.security_identifier
                && options.extended_key_usage.contains(&ExtendedKeyUsageWord::ClientAuthentication))
        {
            return Err(ProfileError::SmartCardLogon { profile });
        }
        let has = |bit| options.key_usage.contains(&bit);
        let some_rsa = options.key_algorithms.iter().any(|algorithm| algorithm.is_rsa());
        let some_ec = options.key_algorithms.iter().any(|algorithm| !algorithm.is_rsa());
        if (has(KeyUsageBit::KeyEncipherment) && some_ec) || (has(KeyUsageBit::KeyAgreement) && some_rsa) {
            return Err(ProfileError::KeyUsage { profile });
        }
        let approvals = match (options.approval, options.approvals) {
            (Approval::Automatic, None) => 0,
            (Approval::Ra, number) if (1..=20).contains(&number.unwrap_or(1)) => number.unwrap_or(1),
            _ => return Err(ProfileError::Approvals { profile }),
        };
        Ok(Self {
            approvals,
            name: profile,
            title: options.title,
            subject,
            key_algorithms: options.key_algorithms,
            validity: Duration::days(i64::from(options.validity_days)),
            key_usage: options.key_usage,
            extended_key_usage: options.extended_key_usage,
            alternative_names: options.alternative_names,
            security_identifier: options.security_identifier,
        })
    }

    /// How many RA operators must say yes; none when the rules alone decide.
    pub fn approvals(&self) -> u32 {
        self.approvals
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn title(&self) -> &str {
        &self.title
    }

    pub fn subject(&self) -> &NameTemplate {
        &self.subject
    }

    /// The algorithms allowed, the default first.
    pub fn key_algorithms(&self) -> &[KeyAlgorithm] {
        &self.key_algorithms
    }

    pub fn validity(&self) -> Duration {
        self.validity
    }

    pub fn key_usage(&self) -> &[KeyUsageBit] {
        &self.key_usage
    }

    pub fn extended_key_usage(&self) -> &[ExtendedKeyUsageWord] {
        &self.extended_key_usage
    }

    pub fn alternative_names(&self) -> &[AlternativeName] {
        &self.alternative_names
    }

    pub fn security_identifier(&self) -> bool {
        self.security_identifier
    }

    /// Every attribute of the person that a certificate of this profile needs.
    pub fn attributes(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.subject.attributes().collect();
        for alternative in &self.alternative_names {
            names.push(match alternative {
                AlternativeName::UserPrincipalName => "upn",
                AlternativeName::Email => "mail",
            });
        }
        if self.security_identifier {
            names.push("object_sid");
        }
        names.sort_unstable();
        names.dedup();
        names
    }
}
