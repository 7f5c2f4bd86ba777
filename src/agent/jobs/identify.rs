//! Tells which card it is. Changes nothing.

use sealwright_protocol::{CardFacts, LONGEST_CERTIFICATE, MOST_CERTIFICATES, Report};

use crate::fail_point;
use crate::job::{JobContext, JobFailure};

pub fn run(context: &mut JobContext<'_>) -> Result<Report, JobFailure> {
    fail_point!("agent.identify");
    let facts = context.card.facts(context.relay)?;
    fail_point!("agent.identify.done");
    Ok(Report::Identified(bounded(facts)))
}

/// Cuts the facts to the size of a message. The portal never writes so many certificates, nor so
/// long ones: such a card is foreign without them, too.
fn bounded(mut facts: CardFacts) -> CardFacts {
    facts.certificates.truncate(MOST_CERTIFICATES);
    for (_, certificate) in &mut facts.certificates {
        if certificate.0.len() > LONGEST_CERTIFICATE {
            certificate.0.clear();
        }
    }
    facts
}

#[cfg(test)]
mod tests {
    use sealwright_protocol::{Bytes, FromAgent, MAXIMUM_MESSAGE, Management, Slot};

    use super::*;

    #[test]
    fn whatever_a_card_holds_fits_into_a_message() {
        for length in [LONGEST_CERTIFICATE, 100 * LONGEST_CERTIFICATE] {
            let facts = CardFacts {
                reader: "r".repeat(128),
                serial: "1".repeat(64),
                version: Some("5.7.1".to_owned()),
                management: Management::SoPin,
                pin_tries: Some(3),
                certificates: (0..100).map(|_| (Slot::AUTHENTICATION, Bytes(vec![7; length]))).collect(),
            };
            let report = FromAgent::Report { job: "j".repeat(36), report: Report::Identified(bounded(facts)) };
            let message = serde_json::to_string(&report).expect("JSON");
            assert!(message.len() <= MAXIMUM_MESSAGE, "{}", message.len());
        }
    }
}
