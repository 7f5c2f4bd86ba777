//! `/pki/…`: revocation lists and authorities' certificates, anonymous over plain http, without redirect (RFC 5280 section 8).

use actix_web::http::header::{self, EntityTag};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use sealwright_pki::certificate;

use crate::desk::revocation_lists;
use crate::portal::Portal;
use crate::random;

/// How long a cache may answer with a list, in seconds. A revocation is promised to be known at once: this is what is left of that.
const FRESH: u32 = 60;

/// The routes of this surface.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/pki/crl/{name}.crl", web::get().to(crl))
        .route("/pki/ca/{name}.cer", web::get().to(authority))
        .route("/pki/ca/{name}.pem", web::get().to(authority_pem));
}

async fn crl(portal: web::Data<Portal>, name: web::Path<String>, request: HttpRequest) -> HttpResponse {
    if let Some(path) = portal.issuance.list_file(&name) {
        return match tokio::fs::read(path).await {
            Ok(der) => list(&request, der),
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "a revocation list could not be read");
                HttpResponse::ServiceUnavailable().finish()
            }
        };
    }
    match revocation_lists::latest(&portal.store, &name).await {
        // One that a restore has put aside: another one was published since, and a new one is made now.
        Ok(Some(list)) if list.is_put_aside() => HttpResponse::ServiceUnavailable().finish(),
        Ok(Some(latest)) => list(&request, latest.der),
        Ok(None) => HttpResponse::NotFound().finish(),
        Err(error) => {
            tracing::error!(%error, "a revocation list could not be read");
            HttpResponse::ServiceUnavailable().finish()
        }
    }
}

/// A list, or that it is the one that the client has (RFC 9110 section 13.1.2).
fn list(request: &HttpRequest, der: Vec<u8>) -> HttpResponse {
    let tag = EntityTag::new_strong(random::digest(&der));
    let caching = (header::CACHE_CONTROL, format!("public, max-age={FRESH}"));
    let is_known = match request.get_header::<header::IfNoneMatch>() {
        Some(header::IfNoneMatch::Any) => true,
        Some(header::IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&tag)),
        None => false,
    };
    let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer.insert_header(header::ETag(tag)).insert_header(caching);
    match is_known {
        true => answer.finish(),
        false => answer.content_type("application/pkix-crl").body(der),
    }
}

async fn authority(portal: web::Data<Portal>, name: web::Path<String>) -> HttpResponse {
    match portal.issuance.certificate(&name) {
        Some(der) => HttpResponse::Ok().content_type("application/pkix-cert").body(der.to_vec()),
        None => HttpResponse::NotFound().finish(),
    }
}

/// The authority's certificate and everything above it.
async fn authority_pem(portal: web::Data<Portal>, name: web::Path<String>) -> HttpResponse {
    let Some(chain) = portal.issuance.chain(&name) else { return HttpResponse::NotFound().finish() };
    let chain: String = chain.into_iter().map(|der| certificate::pem("CERTIFICATE", der)).collect();
    HttpResponse::Ok().content_type("application/pem-certificate-chain").body(chain)
}
