//! Certificates: one's own, or everybody's for those who look after them.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::caller::Client;
use super::problem::Problem;
use super::views::time;
use crate::desk::certificates::{self, CertificateRecord};
use crate::http::Failure;
use crate::portal::Portal;

/// Certificates in one answer, at most.
const MOST: u64 = 200;

/// A certificate.
#[derive(Serialize, ToSchema)]
pub struct CertificateSummary {
    /// What a workflow that is about a certificate is started with.
    pub id: Uuid,
    /// The login of the person it was issued to.
    pub owner: String,
    pub subject: String,
    /// Hexadecimal.
    pub serial: String,
    pub profile: String,
    /// `issued`, `suspended` or `revoked`.
    pub status: String,
    /// RFC 3339.
    pub not_before: String,
    pub not_after: String,
    pub revoked_at: Option<String>,
    pub reason: Option<String>,
}

/// Several certificates.
#[derive(Serialize, ToSchema)]
pub struct CertificateList {
    pub certificates: Vec<CertificateSummary>,
}

#[derive(Deserialize)]
pub struct CertificateQuery {
    wanted: Option<String>,
}

impl CertificateSummary {
    fn of(row: CertificateRecord) -> Self {
        Self {
            id: row.id,
            owner: row.owner_login,
            subject: row.subject,
            serial: row.serial,
            profile: row.profile,
            status: row.status.as_str().to_owned(),
            not_before: time(row.not_before),
            not_after: time(row.not_after),
            revoked_at: row.revoked_at.map(time),
            reason: row.reason,
        }
    }
}

/// The newest certificates that the caller may see, at most 200.
#[utoipa::path(
    get, path = "/api/v1/certificates",
    params(("wanted" = Option<String>, Query, description = "Only of this login, or with this serial number.")),
    responses(
        (status = 200, body = CertificateList),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn list(
    portal: web::Data<Portal>,
    query: web::Query<CertificateQuery>,
    client: Client,
) -> Result<HttpResponse, Failure> {
    let wanted = query.into_inner().wanted;
    let rows = certificates::visible(&portal.store, &client.caller, wanted.as_deref(), MOST).await?;
    let list = CertificateList { certificates: rows.into_iter().map(CertificateSummary::of).collect() };
    Ok(HttpResponse::Ok().json(list))
}
