//! `pki.suspend` and `pki.reinstate`: certificates go on the list for now (`certificateHold`, RFC 5280 section 5.3.1), and come off it.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::id;
use crate::audit;
use crate::clock::milliseconds;
use crate::engine::contract::{Call, Failure, LocalActivity};
use crate::issuance::Certificate;
use crate::store::{Tx, certificates};

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Parameters {
    certificates: Vec<Certificate>,
}

pub struct SuspendCertificates;

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Suspended {
    Suspended,
}

#[async_trait]
impl LocalActivity for SuspendCertificates {
    const NAME: &'static str = "pki.suspend";

    type Parameters = Parameters;
    type Outcome = Suspended;

    async fn run(&self, tx: &Tx, call: &Call, parameters: Parameters) -> Result<Suspended, Failure> {
        let at = milliseconds(call.now);
        for certificate in &parameters.certificates {
            let certificate = id(&certificate.id)?;
            if certificates::suspend(tx, certificate, at).await? {
                let row = certificates::find(tx, certificate).await?.ok_or(Failure::Fail { class: "certificate" })?;
                let event = audit::Event::CertificateSuspended { authority: row.authority, serial: row.serial };
                audit::record(tx, &call.origin, Some(call.root), at, &event)?;
            }
        }
        Ok(Suspended::Suspended)
    }
}

pub struct ReinstateCertificates;

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reinstated {
    Reinstated,
}

#[async_trait]
impl LocalActivity for ReinstateCertificates {
    const NAME: &'static str = "pki.reinstate";

    type Parameters = Parameters;
    type Outcome = Reinstated;

    async fn run(&self, tx: &Tx, call: &Call, parameters: Parameters) -> Result<Reinstated, Failure> {
        for certificate in &parameters.certificates {
            let certificate = id(&certificate.id)?;
            if certificates::reinstate(tx, certificate).await? {
                let row = certificates::find(tx, certificate).await?.ok_or(Failure::Fail { class: "certificate" })?;
                let event = audit::Event::CertificateReinstated { authority: row.authority, serial: row.serial };
                audit::record(tx, &call.origin, Some(call.root), milliseconds(call.now), &event)?;
            }
        }
        Ok(Reinstated::Reinstated)
    }
}
