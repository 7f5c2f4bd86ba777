//! Forms of a session as an extractor: what was sent, by whom, with the session's own token.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use super::observe::portal_of;
use super::visitor::Visitor;

/// A form with the token of the session that it was made for.
pub trait SessionForm: DeserializeOwned + 'static {
    fn csrf(&self) -> &str;
}

/// A form that its visitor has sent from a page of this portal.
pub struct Submitted<F> {
    pub visitor: Visitor,
    pub form: F,
}

impl<F: SessionForm> FromRequest for Submitted<F> {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, actix_web::Error>>;

    /// Reads the form, then signs in: a form that cannot be read costs no session.
    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let form = web::Form::<F>::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let form = form.await?.into_inner();
            let visitor = Visitor::extract(&request).await?;
            visitor.check_csrf(&*portal_of(&request)?, form.csrf()).await?;
            Ok(Self { visitor, form })
        })
    }
}
