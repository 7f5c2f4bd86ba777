//! The style sheet and the scripts, built in.

use actix_web::http::header;
use actix_web::{HttpResponse, web};

use crate::http::Failure;

pub async fn get(file: web::Path<String>) -> Result<HttpResponse, Failure> {
    let (kind, text) = match file.as_str() {
        "sealwright.css" => ("text/css; charset=utf-8", include_str!("../../static/sealwright.css")),
        "progress.js" => ("text/javascript; charset=utf-8", include_str!("../../static/progress.js")),
        "copy.js" => ("text/javascript; charset=utf-8", include_str!("../../static/copy.js")),
        _ => return Err(Failure::not_found()),
    };
    Ok(HttpResponse::Ok().content_type(kind).insert_header((header::CACHE_CONTROL, "private, max-age=300")).body(text))
}
