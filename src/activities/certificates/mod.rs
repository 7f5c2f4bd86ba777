//! Certificates: prepared, signed, suspended and revoked.

mod certificate_status;
mod certificates_of_person;
mod lookup;
mod plan_certificates;
mod prepare_certificate;
mod reinstate_certificates;
mod revoke_certificate;
mod sign_certificate;
mod suspend_certificates;

use schemars::JsonSchema;
use serde::Serialize;

use super::registration::Registration;
use crate::audit;
use crate::clock::milliseconds;
use crate::engine::contract::{Call, Failure};
use crate::issuance::Finding;
use crate::store::Tx;

/// Everything of this subject that workflows may name.
pub(super) const ALL: &[Registration] = &[
    Registration::activity::<certificate_status::CertificateStatus>(),
    Registration::activity::<certificates_of_person::CertificatesOfPerson>(),
    Registration::subject::<lookup::CertificateLookup>(),
    Registration::activity::<plan_certificates::PlanCertificates>(),
    Registration::activity::<prepare_certificate::PrepareCertificate>(),
    Registration::activity::<reinstate_certificates::ReinstateCertificates>(),
    Registration::activity::<revoke_certificate::RevokeCertificate>(),
    Registration::activity::<sign_certificate::SignCertificate>(),
    Registration::activity::<suspend_certificates::SuspendCertificates>(),
];

/// Records what became of a certificate.
fn note(tx: &Tx, call: &Call, event: audit::Event) -> Result<(), Failure> {
    Ok(audit::record(tx, &call.origin, Some(call.root), milliseconds(call.now), &event)?)
}

/// Findings that forbid what was asked for.
#[derive(Debug, Serialize, JsonSchema)]
struct Refused {
    findings: Vec<Finding>,
}

/// Records a refusal by the rules.
fn refuse(tx: &Tx, call: &Call, findings: Vec<Finding>) -> Result<Refused, Failure> {
    let why = findings.iter().map(|found| found.rule.as_str()).collect::<Vec<_>>().join(", ");
    note(tx, call, audit::Event::RequestRefused { why })?;

    Ok(Refused { findings })
}
