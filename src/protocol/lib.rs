//! Messages between portal and agent: JSON text frames on one WebSocket that the agent opens at `/agent/v1`.
//!
//! A conversation: [`FromAgent::Hello`], in which the agent names its capabilities, then either [`FromAgent::Redeem`] with a code (pairing) or [`FromAgent::Resume`] with a
//! pairing of before; then jobs and reports until [`FromPortal::Finished`]. Nothing here reads, writes or computes.

use serde::{Deserialize, Serialize};

mod bytes;
pub mod comparison;
mod hello;
mod pin_policy;
mod visible;
pub use bytes::{Bytes, Secret};
pub use hello::{Capabilities, Capability, Hello, MAXIMUM_HELLO, NOT_UNDERSTOOD};
pub use pin_policy::{PIN_LENGTHS, PinFault, PinPolicy};
pub use visible::{visible, visible_lines};

/// The version of this protocol; a portal refuses another one and says which it speaks.
pub const VERSION: u32 = 1;
/// The largest message in bytes, in both directions: room for every certificate of a card.
pub const MAXIMUM_MESSAGE: usize = 256 * 1024;
/// So many certificates are told of a card,
pub const MOST_CERTIFICATES: usize = 32;
/// and each as far as it is no longer than this in bytes: more than any card has room for.
pub const LONGEST_CERTIFICATE: usize = 5 * 1024;
/// Where the agent connects.
pub const PATH: &str = "/agent/v1";
/// What the commitment to the agent's nonce and the comparison number are derived under.
pub const COMPARISON_CONTEXT: &str = "sealwright comparison 1";
/// What the agent signs to resume: this, the pairing and the portal's nonce.
pub const RESUME_CONTEXT: &str = "sealwright resume 1";

/// From the agent to the portal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FromAgent {
    Hello(Hello),
    /// Redeems a code from the person's page. Grants nothing yet.
    Redeem {
        code: String,
        /// SHA-256 over [`COMPARISON_CONTEXT`], the agent's key and its nonce: the nonce is fixed before the portal's is known.
        commitment: Bytes,
        readers: Vec<Reader>,
    },
    /// Opens the commitment.
    Reveal {
        nonce: Bytes,
    },
    /// The person at the agent has compared the numbers.
    Confirm,
    /// The person at the agent says that the numbers differ ([`Capability::Decline`]). The conversation ends.
    Decline,
    Resume {
        pairing: String,
    },
    /// Ed25519 signature over [`RESUME_CONTEXT`], the pairing and the portal's nonce.
    Proof {
        signature: Bytes,
    },
    Report {
        job: String,
        report: Report,
    },
    /// Asks the portal to answer the card's management key witness. The card waits in a transaction.
    Relay {
        job: String,
        serial: String,
        key: ManagementKey,
        algorithm: ManagementKeyAlgorithm,
        witness: Bytes,
    },
    /// Every reader and the card in it, after a card came or went ([`Capability::Readers`]).
    Readers {
        readers: Vec<Reader>,
    },
}

/// From the portal to the agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FromPortal {
    /// The code is good. Portal, person and what will be written, for the person to compare.
    Offer {
        pairing: String,
        portal: String,
        person: String,
        purpose: String,
        nonce: Bytes,
        /// Capabilities that both sides name.
        #[serde(default, skip_serializing_if = "Capabilities::is_empty")]
        capabilities: Capabilities,
    },
    /// Sign this to resume.
    Challenge {
        nonce: Bytes,
        /// Capabilities that both sides name.
        #[serde(default, skip_serializing_if = "Capabilities::is_empty")]
        capabilities: Capabilities,
    },
    /// Both sides have confirmed, or the pairing was resumed: jobs follow.
    Paired,
    Job {
        job: String,
        card: Option<String>,
        instruction: Instruction,
    },
    /// The answer to [`FromAgent::Relay`].
    RelayAnswer {
        job: String,
        /// The witness that was asked about: an answer that comes late is not taken for that to a later question.
        witness: Bytes,
        answer: Result<RelayAnswer, RelayRefusal>,
    },
    /// The job is no longer wanted.
    Withdraw {
        job: String,
    },
    /// What the portal does now, for the progress line.
    Progress {
        label: String,
    },
    Finished {
        success: bool,
        say: String,
    },
    /// The conversation ends; `say` tells the person what to do.
    Refused {
        say: String,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayAnswer {
    /// The witness, decrypted.
    pub witness: Bytes,
    /// The portal's own challenge, to be encrypted by the card.
    pub challenge: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelayRefusal {
    /// The portal has no such key for this card.
    NoKey,
    NotExpected,
}

/// A reader and what is in it, as shown before a pairing is confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reader {
    pub name: String,
    /// The card's serial number, if there is a card of a known kind.
    pub card: Option<String>,
}

/// Which management key (PIV 9B) is meant; the portal alone knows its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ManagementKey {
    /// The well-known one that cards leave the factory with.
    Factory,
    /// The card's own.
    Own,
}

/// PIV algorithm identifiers of management keys (SP 800-78-5 table 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ManagementKeyAlgorithm {
    #[serde(rename = "tdes")]
    TripleDes,
    #[serde(rename = "aes-128")]
    Aes128,
    #[serde(rename = "aes-192")]
    Aes192,
    #[serde(rename = "aes-256")]
    Aes256,
}

impl ManagementKeyAlgorithm {
    /// Length of a witness or challenge in bytes.
    pub fn block(self) -> usize {
        match self {
            Self::TripleDes => 8,
            Self::Aes128 | Self::Aes192 | Self::Aes256 => 16,
        }
    }

    /// Length of the key in bytes.
    pub fn length(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::TripleDes | Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }
}

/// A PIV key slot by its key reference (SP 800-73-5 part 1 table 4b), said in hexadecimal digits: `9a` authentication, `9c` signature, `9d` key
/// management, `9e` card authentication, `82` to `95` retired key management.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub struct Slot(u8);

/// A word that names no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such slot")]
pub struct NoSlot;

impl Slot {
    pub const AUTHENTICATION: Slot = Slot(0x9a);
    pub const SIGNATURE: Slot = Slot(0x9c);
    pub const KEY_MANAGEMENT: Slot = Slot(0x9d);
    pub const CARD_AUTHENTICATION: Slot = Slot(0x9e);

    /// Every slot, as people count them.
    pub const WORDS: [&'static str; 24] = [
        "9a", "9c", "9d", "9e", "82", "83", "84", "85", "86", "87", "88", "89", "8a", "8b", "8c", "8d", "8e", "8f",
        "90", "91", "92", "93", "94", "95",
    ];

    pub fn all() -> impl Iterator<Item = Self> {
        let first = [Self::AUTHENTICATION, Self::SIGNATURE, Self::KEY_MANAGEMENT, Self::CARD_AUTHENTICATION];
        first.into_iter().chain((0x82..=0x95).map(Self))
    }

    pub fn key_reference(self) -> u8 {
        self.0
    }

    /// 1 to 20 for a retired key management key.
    pub fn retired_number(self) -> Option<u8> {
        (0x82..=0x95).contains(&self.0).then(|| self.0 - 0x81)
    }

    /// Whether its key deciphers or agrees on keys.
    pub fn is_for_key_management(self) -> bool {
        self == Self::KEY_MANAGEMENT || self.retired_number().is_some()
    }

    pub fn as_str(self) -> &'static str {
        Self::all().zip(Self::WORDS).find(|(slot, _)| *slot == self).map_or("", |(_, word)| word)
    }
}

impl TryFrom<String> for Slot {
    type Error = NoSlot;

    fn try_from(word: String) -> Result<Self, NoSlot> {
        Self::all().zip(Self::WORDS).find(|(_, known)| *known == word).map(|(slot, _)| slot).ok_or(NoSlot)
    }
}

impl From<Slot> for &'static str {
    fn from(slot: Slot) -> Self {
        slot.as_str()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyAlgorithm {
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    #[serde(rename = "p-256")]
    P256,
    #[serde(rename = "p-384")]
    P384,
}

impl KeyAlgorithm {
    pub fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072)
    }
}

/// A card's secrets, the factory's and its own, by what kind of card it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FactorySecrets {
    /// A PIV card, which gets CHUID and CCC too.
    Piv {
        factory_pin: Secret,
        factory_puk: Secret,
        puk: Secret,
        management_key: Secret,
        algorithm: ManagementKeyAlgorithm,
        /// CHUID and CCC as they are to be written, BER-TLV.
        chuid: Bytes,
        ccc: Bytes,
    },
    /// A PKCS#11 token, which is initialized (PKCS#11 v3.1 section 5.5, C_InitToken).
    Token {
        factory_so_pin: Secret,
        so_pin: Secret,
        /// What programs show of the token, 32 characters at most.
        label: String,
    },
}

/// What a card is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Instruction {
    /// Say which card it is. Changes nothing.
    Identify,
    /// Replace the secrets that the card left the factory with; the person chooses the PIN.
    ReplaceFactorySecrets {
        secrets: FactorySecrets,
        /// Rules for the PIN, for an agent that names [`Capability::PinPolicy`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pin_policy: Option<PinPolicy>,
    },
    GenerateKeyAndCsr {
        slot: Slot,
        algorithm: KeyAlgorithm,
    },
    /// Write a certificate, and let its key prove itself.
    InstallCertificate {
        slot: Slot,
        certificate: Bytes,
        test: KeyTest,
    },
}

impl Instruction {
    /// The same instruction without the parts that the agent has not named.
    #[must_use]
    pub fn for_agent(self, capabilities: &Capabilities) -> Self {
        match self {
            Self::ReplaceFactorySecrets { secrets, .. } if !capabilities.has(Capability::PinPolicy) => {
                Self::ReplaceFactorySecrets { secrets, pin_policy: None }
            }
            other => other,
        }
    }
}

/// What the key of a certificate proves itself by on its card.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyTest {
    pub portal: String,
    pub nonce: Bytes,
    /// For a key that does not sign: a ciphertext (RSAES-PKCS1-v1_5), or an ephemeral public key as an uncompressed point.
    pub challenge: Option<Bytes>,
}

/// What became of a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Report {
    Identified(CardFacts),
    Replaced,
    Made {
        request: KeyRequest,
        /// Where the card attests its keys.
        attestation: Option<Attestation>,
    },
    /// The certificate is on the card, whatever became of the proof.
    Installed {
        proof: Result<KeyProof, Refusal>,
    },
    /// The card or the person refused; what the person reads.
    Refused {
        reason: Refusal,
    },
}

/// What only the key of a certificate can say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case", deny_unknown_fields)]
pub enum KeyProof {
    /// Of the text of [`key_test`].
    Signature { signature: Bytes },
    /// SHA-256 of the text of [`decipher_test`] and the secret of the challenge.
    Secret { digest: Bytes },
}

/// How a new key asks for its certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case", deny_unknown_fields)]
pub enum KeyRequest {
    /// PKCS#10 (DER), signed by the key.
    Signature { csr: Bytes },
    /// The card does not sign with this key; its attestation speaks for it. SubjectPublicKeyInfo, DER.
    Attestation { public_key: Bytes },
}

/// What a card says of a key that it has made: a certificate over the key, and the one of the card's attestation key (PIV F9), DER.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    pub certificate: Bytes,
    pub issuer: Bytes,
}

/// Why a job was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// The card is of no supported kind.
    Unsupported,
    /// The PIN is blocked, or its last try was not spent.
    PinBlocked,
    /// The person gave no PIN.
    NoPin,
    /// The management key is neither the factory's nor the card's own.
    ManagementKey,
    /// The factory's PIN or PUK is not valid.
    FactorySecrets,
    /// The slot holds something else than expected.
    Slot,
    /// The card answered with an error.
    Card,
}

/// What is read of a card without a PIN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardFacts {
    pub reader: String,
    pub serial: String,
    /// The application's version, if the card tells it.
    pub version: Option<String>,
    pub management: Management,
    /// Remaining tries, if the card tells them.
    pub pin_tries: Option<u8>,
    /// Certificates found, by slot (DER); an empty one stands for what cannot be read or told.
    pub certificates: Vec<(Slot, Bytes)>,
}

/// What a card asks of whoever manages it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Management {
    /// PIV: a management key (9B), which card and portal prove to each other.
    ManagementKey {
        algorithm: ManagementKeyAlgorithm,
        is_factory: bool,
        /// The card's answer to the portal's challenge under its own key, if the portal has that key.
        authentication: Option<Bytes>,
    },
    /// PKCS#11: the security officer's PIN, which proves nothing of the card and is told to the host that uses it.
    SoPin,
}

/// The text that is digested before the deciphered challenge.
///
/// It binds the digest to this test, so that a portal learns nothing of what else the key deciphers.
pub fn decipher_test(portal: &str, serial: &str, slot: Slot, nonce: &Bytes) -> String {
    format!(
        "Sealwright key test\npurpose: the key of this slot finds a secret out\nportal: {portal}\ncard: {serial}\nslot: {}\nnonce: {}\n",
        slot.as_str(),
        nonce.to_base64()
    )
}

/// The text that a key signs to prove itself. No portal can have anything else signed.
pub fn key_test(portal: &str, serial: &str, slot: Slot, nonce: &Bytes) -> String {
    format!(
        "Sealwright key test\npurpose: the key of this slot belongs to its certificate\nportal: {portal}\ncard: {serial}\nslot: {}\nnonce: {}\n",
        slot.as_str(),
        nonce.to_base64()
    )
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use super::*;

    /// Every message of a conversation of the first release, byte for byte (`tests/fixtures`).
    const CONVERSATION: &str = include_str!("../../tests/fixtures/f6cf88a/sqlite/agent-conversation.jsonl");

    fn again<T: Serialize + DeserializeOwned>(text: &str) -> String {
        let message: T = serde_json::from_str(text).expect("a message of the protocol");
        serde_json::to_string(&message).expect("JSON")
    }

    #[test]
    fn the_messages_of_the_first_release_are_read_and_written_as_they_were() {
        let lines: Vec<serde_json::Value> =
            CONVERSATION.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
        assert!(lines.len() > 40);
        for line in lines {
            let text = line["text"].as_str().expect("a text");
            let again = match line["from"].as_str() {
                Some("agent") => again::<FromAgent>(text),
                _ => again::<FromPortal>(text),
            };
            assert_eq!(again, text);
        }
    }

    /// An agent that names nothing is told what it was told before, byte for byte.
    #[test]
    fn an_agent_is_sent_nothing_that_it_has_not_named() {
        let secrets = || FactorySecrets::Token {
            factory_so_pin: Secret::new(b"12345678".to_vec()),
            so_pin: Secret::new(b"87654321".to_vec()),
            label: "Sealwright".to_owned(),
        };
        let sent = |capabilities: &Capabilities| {
            let pin_policy = Some(PinPolicy::default());
            let instruction = Instruction::ReplaceFactorySecrets { secrets: secrets(), pin_policy };
            serde_json::to_string(&instruction.for_agent(capabilities)).expect("JSON")
        };
        let before = serde_json::json!({ "job": "replace-factory-secrets", "secrets": secrets() });
        let old: serde_json::Value = serde_json::from_str(&sent(&Capabilities::default())).expect("JSON");
        assert_eq!(old, before);
        assert!(sent(&Capabilities::known()).contains("\"pin_policy\""));

        let challenge = FromPortal::Challenge { nonce: Bytes(vec![0]), capabilities: Capabilities::default() };
        assert_eq!(serde_json::to_string(&challenge).expect("JSON"), r#"{"type":"challenge","nonce":"AA=="}"#);
    }
}
