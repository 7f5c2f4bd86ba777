//! Which card it is. Changes nothing.

use sealwright_protocol::{Bytes, CardFacts, ManagementKey, Report, Slot};

use super::{Desk, Trouble, authenticate, management_key_algorithm};
use crate::fail_point;
use crate::piv::{Piv, PivError};
use crate::readers::Leave;

pub fn run(desk: &mut Desk<'_>) -> Result<Report, Trouble> {
    fail_point!("agent.identify");
    let reader = desk.card.reader.clone();
    let relay = desk.relay;
    let facts = desk.card.transaction(Leave::Locked, |transport| {
        let mut piv = Piv::select(transport)?;
        let serial = piv.serial()?;
        let algorithm = management_key_algorithm(&mut piv)?;
        let own = authenticate(&mut piv, relay, &serial, ManagementKey::Own, algorithm)?;
        let has_factory_management_key =
            own.is_none() && authenticate(&mut piv, relay, &serial, ManagementKey::Factory, algorithm)?.is_some();
        let mut certificates = Vec::new();
        for slot in Slot::ALL {
            match piv.certificate(slot) {
                Ok(Some(certificate)) => certificates.push((slot, Bytes(certificate))),
                Ok(None) => {}
                Err(PivError::Gone) => return Err(PivError::Gone),
                // What cannot be read is not blank.
                Err(_) => certificates.push((slot, Bytes::default())),
            }
        }
        Ok(CardFacts {
            reader,
            version: piv.version(),
            management_key_algorithm: algorithm,
            has_factory_management_key,
            authentication: own.map(Bytes),
            pin_tries: piv.pin_tries()?,
            certificates,
            serial,
        })
    })?;
    fail_point!("agent.identify.done");
    Ok(Report::Identified(facts))
}
