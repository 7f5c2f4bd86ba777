//! My cards and certificates.

use actix_web::{HttpResponse, web};
use askama::Template;

use super::certificates::CertificateView;
use super::{Frame, render, see_other};
use crate::http::{Failure, Visitor};
use crate::portal::Portal;
use crate::store::{cards, certificates};

#[derive(Template)]
#[template(path = "credentials.html")]
struct CredentialsPage {
    frame: Frame,
    cards: Vec<CardView>,
    certificates: Vec<CertificateView>,
}

struct CardView {
    serial: String,
    state: String,
    reader: String,
    keys: Vec<(String, String)>,
}

pub async fn get(portal: web::Data<Portal>, visitor: Visitor) -> Result<HttpResponse, Failure> {
    let Some(caller) = visitor.caller() else { return Ok(see_other("/role?to=/credentials")) };
    let reader = portal.store.read();
    let internal = |error| Failure::internal(&error as &dyn std::error::Error);
    let mut shown = Vec::new();
    for card in cards::of_owner(reader, &visitor.session.login).await.map_err(internal)? {
        let keys = cards::keys(reader, card.id).await.map_err(internal)?;
        shown.push(CardView {
            serial: card.serial,
            state: card.state,
            reader: card.reader.unwrap_or_default(),
            keys: keys.into_iter().map(|key| (key.slot.to_uppercase(), key.algorithm)).collect(),
        });
    }
    let certificates = certificates::of_owner(reader, &visitor.session.login).await.map_err(internal)?;
    let certificates = certificates.into_iter().map(|row| CertificateView::new(&portal, &caller, row)).collect();
    let page = CredentialsPage {
        frame: Frame::new(&portal, &visitor, "My cards and certificates"),
        cards: shown,
        certificates,
    };
    Ok(render(&page)?)
}
