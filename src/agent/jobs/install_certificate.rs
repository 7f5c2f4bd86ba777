//! A certificate is written into its slot and read back.

use sealwright_protocol::{Refusal, Report, Slot};

use super::{Desk, Trouble, write};
use crate::fail_point;

pub fn run(desk: &mut Desk<'_>, slot: Slot, certificate: &[u8]) -> Result<Report, Trouble> {
    if desk.card.certificate(slot)?.as_deref() != Some(certificate) {
        fail_point!("agent.install.before");
        let written = write(desk, |card, by| card.write_certificate(by, slot, certificate))?;
        if written.as_deref() != Some(certificate) {
            return Err(Trouble::Refused(Refusal::Slot));
        }
    }
    fail_point!("agent.install.done");
    Ok(Report::Installed)
}
