//! Middleware around every request: id, log line, face of a failure, cookie, security headers.

use std::net::IpAddr;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::cookie::Cookie;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest};

use super::failure::{Face, Failure};
use crate::audit::Origin;
use crate::portal::Portal;
use crate::random;

#[derive(Clone)]
struct RequestId(String);

/// The id of a request, as pages, audit and log carry it.
pub fn request_id(request: &HttpRequest) -> String {
    request.extensions().get::<RequestId>().map_or_else(String::new, |id| id.0.clone())
}

/// The cookie of a session that began with this request.
pub(super) struct NewCookie(pub Cookie<'static>);

/// The portal that a request came to.
///
/// # Errors
/// [`Failure::internal`] on a surface that was set up without one: a mistake of this program.
pub fn portal_of(request: &HttpRequest) -> Result<Data<Portal>, Failure> {
    let portal = request.app_data::<Data<Portal>>().cloned();
    portal.ok_or_else(|| Failure::internal(&std::io::Error::other("the surface has no portal")))
}

/// Where a request comes from, before it is known whose it is; as the proxy says, where it says that.
pub fn origin(request: &HttpRequest) -> Origin {
    let peer = peer(request);
    let address = match request.app_data::<Data<Portal>>() {
        Some(portal) => portal.sign_in.address(peer, |name| last_value(request, name)),
        None => peer,
    };
    origin_at(request, address)
}

/// The address of one client; none where the proxy does not tell it.
pub fn client_address(request: &HttpRequest) -> Option<IpAddr> {
    let portal = request.app_data::<Data<Portal>>()?;
    portal.sign_in.client_address(peer(request), |name| last_value(request, name))
}

fn last_value<'a>(request: &'a HttpRequest, header: &str) -> Option<&'a str> {
    request.headers().get_all(header).last()?.to_str().ok()
}

/// The same, of a request that the proxy may not have passed on.
pub fn unproved_origin(request: &HttpRequest) -> Origin {
    origin_at(request, peer(request))
}

/// The address of the connection.
pub fn peer(request: &HttpRequest) -> Option<IpAddr> {
    request.peer_addr().map(|address| address.ip())
}

fn origin_at(request: &HttpRequest, address: Option<IpAddr>) -> Origin {
    let address = address.map(|address| address.to_canonical().to_string());
    Origin { request: request_id(request), address, ..Origin::default() }
}

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The middleware of every surface.
///
/// # Errors
/// What the handler ends with.
pub async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let id = random::id().to_string();
    request.extensions_mut().insert(RequestId(id.clone()));
    let (method, path) = (request.method().clone(), request.path().to_owned());
    let started = tokio::time::Instant::now();
    let mut response = next.call(request).await?.map_into_boxed_body();
    let failure = response.response_mut().extensions_mut().remove::<Failure>();
    let new_cookie = response.request().extensions_mut().remove::<NewCookie>();
    let face = response.request().app_data::<Face>().copied();
    if let (Some(failure), Some(face)) = (failure, face) {
        response = ServiceResponse::new(response.request().clone(), (face.0)(&failure, &id));
    } else if let Some(NewCookie(cookie)) = new_cookie
        && let Err(error) = response.response_mut().add_cookie(&cookie)
    {
        // Only a value that is no cookie text is refused, and this one is base64.
        tracing::error!(%error, "the session's cookie cannot be set");
    }

    let headers = response.headers_mut();
    let mut put = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value)
            && !headers.contains_key(&name)
        {
            headers.insert(name, value);
        }
    };
    put(HeaderName::from_static("x-request-id"), &id);
    put(header::CONTENT_SECURITY_POLICY, POLICY);
    put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(header::REFERRER_POLICY, "no-referrer");
    put(header::CACHE_CONTROL, "no-store");
    put(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    let (status, duration) = (response.status().as_u16(), started.elapsed().as_millis());
    // By the route's pattern: what people type must not become a series of figures.
    let route = response.request().match_pattern().unwrap_or_else(|| "none".to_owned());
    let method_label = match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known.to_owned(),
        _ => "other".to_owned(),
    };
    let labels = [("method", method_label), ("route", route), ("status", status.to_string())];
    metrics::histogram!("sealwright_request_seconds", &labels).record(started.elapsed().as_secs_f64());
    tracing::info!(request = id, %method, path, status, duration, "request");
    Ok(response)
}
