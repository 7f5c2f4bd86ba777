//! `/pki/…`: revocation lists and authorities' certificates, anonymous over plain http, without redirect (RFC 5280 section 8).

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use sealwright_pki::certificate;

use crate::clock::moment;
use crate::desk::revocation_lists;
use crate::portal::Portal;

/// The routes of this surface.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/pki/crl/{name}.crl", web::get().to(crl))
        .route("/pki/ca/{name}.cer", web::get().to(authority))
        .route("/pki/ca/{name}.pem", web::get().to(authority_pem));
}

async fn crl(portal: web::Data<Portal>, name: web::Path<String>) -> HttpResponse {
    if let Some(path) = portal.issuance.list_file(&name) {
        return match tokio::fs::read(path).await {
            Ok(der) => HttpResponse::Ok().content_type("application/pkix-crl").body(der),
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "a revocation list could not be read");
                HttpResponse::ServiceUnavailable().finish()
            }
        };
    }
    match revocation_lists::latest(&portal.store, &name).await {
        // One that a restore has put aside: another one was published since, and a new one is made now.
        Ok(Some(list)) if list.next_update <= list.this_update => HttpResponse::ServiceUnavailable().finish(),
        Ok(Some(list)) => {
            let until = moment(list.next_update) - portal.clock.now();
            let seconds = until.whole_seconds().clamp(0, 3600);
            HttpResponse::Ok()
                .content_type("application/pkix-crl")
                .insert_header((header::CACHE_CONTROL, format!("public, max-age={seconds}")))
                .body(list.der)
        }
        Ok(None) => HttpResponse::NotFound().finish(),
        Err(error) => {
            tracing::error!(%error, "a revocation list could not be read");
            HttpResponse::ServiceUnavailable().finish()
        }
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
