//! Sign-in of a call: somebody's session behind the sign-on, or a service account where nobody signs in.

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::http::{Method, StatusCode};
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use super::problem::{not_found, refused};
use crate::engine::verbs::Caller;
use crate::http::observe::{origin, portal_of};
use crate::http::{Failure, Visitor};
use crate::portal::Portal;

/// The surface that a request came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Behind the sign-on: the session's cookie, and its token for what changes something.
    Session,
    /// Without sign-on: a service account's token.
    ServiceAccount,
}

/// A caller whose rights are known.
pub struct Client {
    pub caller: Caller,
}

/// A body and the client that has sent it.
pub struct Call<B> {
    pub client: Client,
    pub body: B,
}

impl FromRequest for Client {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    /// # Errors
    /// A [`Failure`] that does not tell which part of what was sent is wrong.
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let portal = portal_of(&request)?;
            let caller = match request.app_data::<Door>() {
                Some(Door::Session) => of_session(&portal, &request).await?,
                Some(Door::ServiceAccount) => of_service_account(&portal, &request).await?,
                None => return Err(not_found()),
            };
            Ok(Self { caller })
        })
    }
}

impl<B: DeserializeOwned + 'static> FromRequest for Call<B> {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, actix_web::Error>>;

    /// Reads the body, then finds out the client: a body that cannot be read costs no session.
    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = web::Json::<B>::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let body = body.await?.into_inner();
            let client = Client::extract(&request).await?;
            Ok(Self { client, body })
        })
    }
}

async fn of_session(portal: &Portal, request: &HttpRequest) -> Result<Caller, Failure> {
    let visitor = Visitor::extract(request).await?;
    if request.method() != Method::GET {
        let token = request.headers().get("x-csrf-token").and_then(|token| token.to_str().ok());
        visitor.check_csrf(portal, token.unwrap_or_default()).await?;
    }
    visitor.caller().ok_or_else(|| refused(StatusCode::FORBIDDEN, "Pick a role first, at /role."))
}

async fn of_service_account(portal: &Portal, request: &HttpRequest) -> Result<Caller, Failure> {
    let mut tokens = request.headers().get_all(AUTHORIZATION);
    let token = tokens.next().and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let account = match (token, tokens.next()) {
        (Some(token), None) => portal.service_accounts.find(token).await,
        _ => Ok(None),
    };
    let account = account.map_err(|error| Failure::internal(&error))?;

    let origin = origin(request);
    let Some(account) = account else {
        let recorded = portal.sessions.record_refusal(&origin, "token", None).await;
        recorded.map_err(|error| Failure::internal(&error))?;
        let detail = "This address needs a valid service account token: `Authorization: Bearer …`.";
        return Err(refused(StatusCode::UNAUTHORIZED, detail));
    };
    Ok(Caller::new(&account.login(), &account.role, &origin))
}
