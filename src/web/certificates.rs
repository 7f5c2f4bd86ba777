//! Everybody's certificates, for those who look after them.

use actix_web::{HttpResponse, web};
use askama::Template;
use sealwright_protocol::visible;
use serde::Deserialize;

use super::instance::time_text;
use super::{Frame, render, see_other};
use crate::desk::certificates::{self, CertificateRecord};
use crate::engine::verbs::Caller;
use crate::http::{Failure, Visitor};
use crate::portal::Portal;

/// How many are shown.
const MOST: u64 = 50;

#[derive(Template)]
#[template(path = "certificates.html")]
struct CertificatesPage {
    frame: Frame,
    wanted: String,
    certificates: Vec<CertificateView>,
    /// As many as are shown at most: there may be others.
    is_cut: bool,
}

/// A certificate in a list.
pub struct CertificateView {
    pub owner: String,
    pub subject: String,
    pub serial: String,
    pub profile: String,
    pub slot: String,
    pub until: String,
    pub status: String,
    /// Where the visitor may revoke it.
    pub revoke: Option<String>,
}

impl CertificateView {
    pub fn new(portal: &Portal, caller: &Caller, row: CertificateRecord) -> Self {
        let profile = portal.issuance.profile(&row.profile).map_or(row.profile.as_str(), |known| known.title());
        Self {
            revoke: certificates::may_revoke(&portal.engine, caller, &row, portal.clock.now_ms())
                .then(|| format!("/start/{}/{}", certificates::REVOKE, row.id)),
            profile: profile.to_owned(),
            slot: row.slot.map(|slot| slot.to_uppercase()).unwrap_or_default(),
            until: time_text(row.not_after),
            owner: row.owner_login,
            subject: visible(&row.subject),
            serial: row.serial,
            status: row.status.as_str().to_owned(),
        }
    }
}

#[derive(Deserialize)]
pub struct Query {
    #[serde(default)]
    wanted: String,
}

pub async fn get(
    portal: web::Data<Portal>,
    query: web::Query<Query>,
    visitor: Visitor,
) -> Result<HttpResponse, Failure> {
    let Some(caller) = visitor.caller() else { return Ok(see_other("/role?to=/certificates")) };
    let wanted = query.into_inner().wanted;
    let text = Some(wanted.trim()).filter(|text| !text.is_empty());
    let rows = certificates::of_everybody(&portal.store, &caller, text, MOST).await?;
    let page = CertificatesPage {
        frame: Frame::new(&portal, &visitor, "Certificates"),
        is_cut: u64::try_from(rows.len()).is_ok_and(|shown| shown >= MOST),
        certificates: rows.into_iter().map(|row| CertificateView::new(&portal, &caller, row)).collect(),
        wanted,
    };
    render(&page)
}
