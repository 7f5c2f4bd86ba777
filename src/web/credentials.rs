//! My cards and certificates.

use actix_web::{HttpResponse, web};
use askama::Template;

use super::certificates::CertificateView;
use super::{Frame, render, see_other};
use crate::desk::cards::{self, Card};
use crate::desk::certificates;
use crate::http::{Failure, Visitor};
use crate::portal::Portal;

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

impl CardView {
    fn new(Card { card, keys }: Card) -> Self {
        Self {
            serial: card.serial,
            state: card.state.as_str().to_owned(),
            reader: card.reader.unwrap_or_default(),
            keys: keys.into_iter().map(|key| (key.slot.to_uppercase(), key.algorithm)).collect(),
        }
    }
}

pub async fn get(portal: web::Data<Portal>, visitor: Visitor) -> Result<HttpResponse, Failure> {
    let Some(caller) = visitor.caller() else { return Ok(see_other("/role?to=/credentials")) };
    let cards = cards::own(&portal.store, &caller).await?.into_iter().map(CardView::new).collect();
    let certificates = certificates::own(&portal.store, &caller).await?;
    let certificates = certificates.into_iter().map(|row| CertificateView::new(&portal, &caller, row)).collect();
    let page =
        CredentialsPage { frame: Frame::new(&portal, &visitor, "My cards and certificates"), cards, certificates };
    render(&page)
}
