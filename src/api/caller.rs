//! Who calls: somebody's session behind the sign-on, or a service account where nobody signs in.

use actix_web::http::header::AUTHORIZATION;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse};

use super::problem::{not_found, refused};
use crate::engine::verbs::Caller;
use crate::http::Failure;
use crate::http::observe::origin;
use crate::portal::Portal;
use crate::web::{Visitor, visitor};

/// Which surface a request came in by.
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
    visitor: Option<Visitor>,
}

impl Client {
    /// # Errors
    /// A [`Failure`] that does not tell which part of what was sent is wrong.
    pub async fn of(portal: &Portal, request: &HttpRequest) -> Result<Self, Failure> {
        match request.app_data::<Door>() {
            Some(Door::Session) => Self::of_session(portal, request).await,
            Some(Door::ServiceAccount) => Self::of_service_account(portal, request).await,
            None => Err(not_found()),
        }
    }

    async fn of_session(portal: &Portal, request: &HttpRequest) -> Result<Self, Failure> {
        let visitor = visitor(portal, request).await?;
        if request.method() != Method::GET {
            let token = request.headers().get("x-csrf-token").and_then(|token| token.to_str().ok());
            visitor.check_csrf(portal, token.unwrap_or_default()).await?;
        }
        let caller = visitor.caller();
        let caller = caller.ok_or_else(|| refused(StatusCode::FORBIDDEN, "Pick a role first, at /role."))?;
        Ok(Self { caller, visitor: Some(visitor) })
    }

    async fn of_service_account(portal: &Portal, request: &HttpRequest) -> Result<Self, Failure> {
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
        Ok(Self { caller: Caller::new(&account.login(), &account.role, &origin), visitor: None })
    }

    /// Adds what the session needs to an answer.
    pub fn finish(&self, response: HttpResponse) -> HttpResponse {
        match &self.visitor {
            Some(visitor) => visitor.finish(response),
            None => response,
        }
    }
}
