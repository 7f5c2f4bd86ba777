//! Certificates: prepared, signed, suspended and revoked.

pub(super) mod certificate_status;
pub(super) mod certificates_of_person;
pub(super) mod lookup;
pub(super) mod prepare_certificate;
pub(super) mod reinstate_certificates;
pub(super) mod revoke_certificate;
pub(super) mod sign_certificate;
pub(super) mod suspend_certificates;

use uuid::Uuid;

use crate::audit;
use crate::clock::milliseconds;
use crate::engine::contract::{Call, Failure};
use crate::store::{Tx, certificates};

/// Writes down what became of a certificate, by its authority and serial number.
async fn note(
    tx: &Tx,
    call: &Call,
    certificate: Uuid,
    event: impl FnOnce(String, String) -> audit::Event,
) -> Result<(), Failure> {
    let row = certificates::find(tx, certificate).await?.ok_or(Failure::Fail { class: "certificate" })?;
    let event = event(row.authority, row.serial);
    Ok(audit::record(tx, &call.origin, Some(call.root), milliseconds(call.now), &event)?)
}
