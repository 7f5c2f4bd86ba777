//! A certificate is written into its slot and read back, and its key proves itself.

use sealwright_protocol::{KeyTest, Refusal, Report, Slot};

use super::prove_key;
use crate::card::CardError;
use crate::fail_point;
use crate::job::{JobContext, JobFailure, refusal};

pub fn run(context: &mut JobContext<'_>, slot: Slot, certificate: &[u8], test: &KeyTest) -> Result<Report, JobFailure> {
    if context.card.certificate(slot)?.as_deref() != Some(certificate) {
        fail_point!("agent.install.before");
        let written = context.write(|card, by| card.write_certificate(by, slot, certificate))?;
        if written.as_deref() != Some(certificate) {
            return Err(JobFailure::Refused(Refusal::Slot));
        }
    }
    fail_point!("agent.install.done");
    let proof = match prove_key::prove(context, slot, certificate, test) {
        Ok(proof) => Ok(proof),
        Err(JobFailure::Refused(reason)) => Err(reason),
        Err(JobFailure::Card(error)) if !matches!(error, CardError::Gone) => Err(refusal(&error)),
        Err(other) => return Err(other),
    };
    Ok(Report::Installed { proof })
}
