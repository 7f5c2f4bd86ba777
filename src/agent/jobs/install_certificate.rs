//! A certificate is written into its slot and read back, and its key proves itself.

use sealwright_protocol::{KeyTest, Refusal, Report, Slot};

use super::{Desk, Trouble, prove_key, refusal, write};
use crate::card::CardError;
use crate::fail_point;

pub fn run(desk: &mut Desk<'_>, slot: Slot, certificate: &[u8], test: &KeyTest) -> Result<Report, Trouble> {
    if desk.card.certificate(slot)?.as_deref() != Some(certificate) {
        fail_point!("agent.install.before");
        let written = write(desk, |card, by| card.write_certificate(by, slot, certificate))?;
        if written.as_deref() != Some(certificate) {
            return Err(Trouble::Refused(Refusal::Slot));
        }
    }
    fail_point!("agent.install.done");
    let proof = match prove_key::prove(desk, slot, certificate, test) {
        Ok(proof) => Ok(proof),
        Err(Trouble::Refused(reason)) => Err(reason),
        Err(Trouble::Card(error)) if !matches!(error, CardError::Gone) => Err(refusal(&error)),
        Err(other) => return Err(other),
    };
    Ok(Report::Installed { proof })
}
