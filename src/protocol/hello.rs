//! The agent's first message, and the capabilities that both sides name.

use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;

/// The largest first message in bytes.
pub const MAXIMUM_HELLO: usize = 8 * 1024;
/// The most words in a list of capabilities,
pub const MOST_CAPABILITIES: usize = 32;
/// and the longest word in bytes.
pub const LONGEST_CAPABILITY: usize = 64;
/// The refusal of a portal that knows no capabilities, word for word, when a first message names some. The agent says
/// hello again without them.
pub const NOT_UNDERSTOOD: &str = "The portal does not understand this agent. Update it.";

/// The first message. Unknown fields are ignored in it alone: a newer agent may say more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hello {
    pub protocol: u32,
    /// The agent's version, for the log.
    pub agent: String,
    pub host: String,
    /// Ed25519 public key of this agent, 32 bytes.
    pub key: Bytes,
    /// Capabilities of the agent; one of an earlier release names none.
    #[serde(default, skip_serializing_if = "Capabilities::is_empty")]
    pub capabilities: Capabilities,
}

/// A part of the protocol that is used only if both sides name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// The instruction to replace the factory's secrets carries a [`crate::PinPolicy`], and the agent checks new PINs.
    PinPolicy,
    /// The agent says that its person has refused the number ([`crate::FromAgent::Decline`]).
    Decline,
    /// The agent tells when cards come and go ([`crate::FromAgent::Readers`]).
    Readers,
}

impl Capability {
    pub const ALL: [Self; 3] = [Self::PinPolicy, Self::Decline, Self::Readers];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::PinPolicy => "pin-policy",
            Self::Decline => "decline",
            Self::Readers => "readers",
        }
    }
}

/// A bounded list of capabilities, with words of other releases too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Capabilities(Vec<String>);

/// A list that is too long, or has a word that is too long or not of visible ASCII characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at most {MOST_CAPABILITIES} words of at most {LONGEST_CAPABILITY} ASCII characters")]
pub struct UnboundedCapabilities;

impl Capabilities {
    /// Capabilities of this release.
    pub fn known() -> Self {
        Self(Capability::ALL.iter().map(|capability| capability.as_str().to_owned()).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn has(&self, capability: Capability) -> bool {
        self.0.iter().any(|word| word == capability.as_str())
    }

    /// Capabilities that the other side names too.
    pub fn shared(&self, other: &Self) -> Self {
        Self(self.0.iter().filter(|word| other.0.contains(word)).cloned().collect())
    }
}

impl TryFrom<Vec<String>> for Capabilities {
    type Error = UnboundedCapabilities;

    fn try_from(words: Vec<String>) -> Result<Self, UnboundedCapabilities> {
        let is_word = |word: &String| {
            (1..=LONGEST_CAPABILITY).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if words.len() <= MOST_CAPABILITIES && words.iter().all(is_word) {
            Ok(Self(words))
        } else {
            Err(UnboundedCapabilities)
        }
    }
}

impl From<Capabilities> for Vec<String> {
    fn from(capabilities: Capabilities) -> Self {
        capabilities.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hello(more: serde_json::Value) -> Option<Hello> {
        let mut hello = json!({ "type": "hello", "protocol": 1, "agent": "0.1.0", "host": "vm", "key": "AAAA" });
        let fields = hello.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        match serde_json::from_value(hello) {
            Ok(crate::FromAgent::Hello(hello)) => Some(hello),
            _ => None,
        }
    }

    #[test]
    fn a_hello_may_say_more_and_other_messages_may_not() {
        let newer = hello(json!({ "capabilities": ["pin-policy", "unheard-of"], "language": "de" })).expect("read");
        assert!(newer.capabilities.has(Capability::PinPolicy) && !newer.capabilities.has(Capability::Readers));
        let shared = Capabilities::known().shared(&newer.capabilities);
        assert_eq!(serde_json::to_value(&shared).expect("JSON"), json!(["pin-policy"]));

        let first_release = hello(json!({})).expect("read");
        assert!(first_release.capabilities.is_empty());
        let again = serde_json::to_string(&crate::FromAgent::Hello(first_release)).expect("JSON");
        assert!(!again.contains("capabilities"), "{again}");

        let resume = json!({ "type": "resume", "pairing": "p", "language": "de" });
        assert!(serde_json::from_value::<crate::FromAgent>(resume).is_err());
    }

    #[test]
    fn lists_of_capabilities_are_bounded() {
        let named = |words: Vec<String>| hello(json!({ "capabilities": words })).is_some();
        assert!(named((0..32).map(|number| format!("word-{number}")).collect()));
        assert!(!named((0..33).map(|number| format!("word-{number}")).collect()));
        assert!(named(vec!["a".repeat(64)]));
        for word in ["a".repeat(65), String::new(), "two words".to_owned(), "größe".to_owned(), "\u{1b}[2J".to_owned()]
        {
            assert!(!named(vec![word.clone()]), "{word:?}");
        }
        // The largest list fits into a first message.
        let largest = vec!["a".repeat(LONGEST_CAPABILITY); MOST_CAPABILITIES];
        assert!(serde_json::to_string(&largest).expect("JSON").len() < MAXIMUM_HELLO / 2);
    }
}
