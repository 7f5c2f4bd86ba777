//! Sign-in as an extractor: the login of the header, the session of the cookie, its role.

use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::future::LocalBoxFuture;
use sealwright_workflow::instance::Actor;

use super::failure::Failure;
use super::observe::{NewCookie, origin, peer, portal_of, unproved_origin};
use crate::audit::Origin;
use crate::auth::Recheck;
use crate::auth::header::Refusal;
use crate::auth::sessions::SessionRecord;
use crate::engine::verbs::Caller;
use crate::portal::Portal;

/// The session's cookie.
pub const COOKIE: &str = "__Host-sealwright";

/// A signed-in person.
#[derive(Debug)]
pub struct Visitor {
    pub session: SessionRecord,
    /// Whether the database has the session; else it is its cookie alone.
    pub is_stored: bool,
    /// Whether the session began with this request: its cookie is on its way to the browser.
    pub is_new: bool,
    /// The cookie's value: codes are derived from it.
    pub cookie: String,
    origin: Origin,
}

impl FromRequest for Visitor {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    /// Signs in. The middleware sets the cookie of a new session, unless the request fails.
    ///
    /// # Errors
    /// [`Failure::sign_in`] for a refused header; the refusal is audited.
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { visitor(&*portal_of(&request)?, &request).await })
    }
}

async fn visitor(portal: &Portal, request: &HttpRequest) -> Result<Visitor, Failure> {
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let mut origin = origin(request);
    let login = match portal.sign_in.login(peer(request), headers, portal.clock.now_ms() / 1000) {
        Ok(login) => login,
        Err(refusal) => {
            let claimed = request.headers().get(&portal.configuration.sign_in.header);
            let claimed = claimed.and_then(|value| portal.sign_in.claimed(value.to_str().ok()?));
            // Who may not have shown that they are the proxy says nothing of where a request comes from.
            if refusal != Refusal::Login {
                origin = unproved_origin(request);
            }
            let recorded = portal.sessions.record_refusal(&origin, refusal.as_str(), claimed).await;
            recorded.map_err(|error| Failure::internal(&error))?;
            tracing::warn!(request = origin.request, why = refusal.as_str(), "a sign-in was refused");
            return Err(Failure::sign_in());
        }
    };
    origin.login = Some(login.clone());
    let cookie = request.cookie(COOKIE).map(|cookie| cookie.value().to_owned());
    // What a page asks by itself while nobody looks at it is no use of the session.
    let is_used = !request.query_string().contains("renewal=1") && !request.path().ends_with("/events");
    let session = portal.sessions.open(cookie.as_deref(), &login, is_used, &origin).await;
    let session = session.map_err(|error| Failure::internal(&error))?;
    if let Some(value) = &session.cookie {
        request.extensions_mut().insert(NewCookie(cookie_of(value)));
    }
    let is_new = session.cookie.is_some();
    let cookie = session.cookie.or(cookie).unwrap_or_default();
    let mut visitor = Visitor { session: session.row, is_stored: session.is_stored, is_new, cookie, origin };
    visitor.check_role(portal).await?;
    Ok(visitor)
}

fn cookie_of(value: &str) -> Cookie<'static> {
    Cookie::build(COOKIE, value.to_owned()).path("/").secure(true).http_only(true).same_site(SameSite::Lax).finish()
}

impl Visitor {
    /// A role is asked for again after some minutes: losing the group ends it.
    async fn check_role(&mut self, portal: &Portal) -> Result<(), Failure> {
        let (Some(role), Some(checked)) = (self.session.role.clone(), self.session.role_checked_at) else {
            return Ok(());
        };
        let limit = i64::from(portal.configuration.sign_in.role_check_minutes) * 60_000;
        // Also when the clock was ahead then: it has been set back since.
        if (portal.clock.now_ms() - checked).abs() < limit {
            return Ok(());
        }
        let unanswered = self.session.role_unanswered_at;
        let rechecked = portal.roles.recheck(&role, &self.session.login, unanswered, portal.clock.now_ms()).await;
        // The first time is written down: the role holds from then on for a while, at every node and after a restart.
        if rechecked == Recheck::Unanswered && unanswered.is_some() {
            return Ok(());
        }
        let stored = portal.sessions.rechecked(&self.session, rechecked, &self.origin()).await;
        stored.map_err(|error| Failure::internal(&error))?;
        self.session.role = (rechecked != Recheck::Lost).then_some(role);
        Ok(())
    }

    pub fn origin(&self) -> Origin {
        Origin { login: Some(self.session.login.clone()), role: self.session.role.clone(), ..self.origin.clone() }
    }

    /// The caller of a verb; `None` before a role was picked.
    pub fn caller(&self) -> Option<Caller> {
        let role = self.session.role.as_ref()?;
        Some(Caller::new(&self.session.login, role, &self.origin))
    }

    pub fn actor(&self) -> Option<Actor> {
        self.caller().map(|caller| caller.actor)
    }

    /// Takes what has the session's own token; anything else is recorded.
    ///
    /// # Errors
    /// [`Failure::csrf`].
    pub async fn check_csrf(&self, portal: &Portal, token: &str) -> Result<(), Failure> {
        let own = self.session.csrf.as_bytes();
        if aws_lc_rs::constant_time::verify_slices_are_equal(token.as_bytes(), own).is_ok() {
            return Ok(());
        }
        let recorded = portal.sessions.record_csrf_refusal(&self.origin()).await;
        recorded.map_err(|error| Failure::internal(&error))?;
        Err(Failure::csrf())
    }
}
