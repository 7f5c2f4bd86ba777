//! Refusal of identity headers on surfaces without sign-on, with an audit event.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, web};

use super::observe::origin;
use crate::portal::Portal;

/// Middleware of the agents', the public and the operations surface.
///
/// # Errors
/// What the handler ends with.
pub async fn reject_identity_headers<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let portal = request.app_data::<web::Data<Portal>>().cloned();
    let identified = |portal: &Portal| portal.sign_in.is_present(request.headers().keys().map(|name| name.as_str()));
    match portal.filter(|portal| identified(portal)) {
        None => Ok(next.call(request).await?.map_into_left_body()),
        Some(portal) => {
            if let Err(error) = portal.sessions.record_refusal(&origin(request.request()), "surface", None).await {
                tracing::error!(%error, "a refusal could not be written down");
            }
            let answer = HttpResponse::Forbidden().body("Nobody signs in at this address.");
            Ok(request.into_response(answer).map_into_right_body())
        }
    }
}
