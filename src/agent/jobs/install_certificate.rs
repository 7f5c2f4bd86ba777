//! A certificate is written into its slot and read back.

use sealwright_protocol::{Refusal, Report, Slot};

use super::{Desk, Trouble, with_management_key};
use crate::fail_point;
use crate::piv::Piv;
use crate::readers::Leave;

pub fn run(desk: &mut Desk<'_>, slot: Slot, certificate: &[u8]) -> Result<Report, Trouble> {
    let present = desk.card.transaction(Leave::AsItIs, |transport| Piv::select(transport)?.certificate(slot))?;
    if present.as_deref() != Some(certificate) {
        fail_point!("agent.install.before");
        let written = with_management_key(desk, |piv| {
            piv.put_certificate(slot, certificate)?;
            piv.certificate(slot)
        })?;
        if written.as_deref() != Some(certificate) {
            return Err(Trouble::Refused(Refusal::Slot));
        }
    }
    fail_point!("agent.install.done");
    Ok(Report::Installed)
}
