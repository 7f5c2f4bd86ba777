//! Browser sessions: a random, signed cookie, of which the database keeps the digest; the login of the header, the role that was picked, a
//! CSRF token.

use std::sync::Arc;

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;

use super::roles::Recheck;
use crate::audit::{self, Event, Origin, Refusals};
use crate::clock::Clock;
use crate::random::{self, NoRandomness};
use crate::store::{ReadCache, Store, StoreError, Tx, logins, sessions};

pub use crate::store::sessions::SessionRecord;

/// A session and the cookie that leads to it.
#[derive(Clone, Debug)]
pub struct Session {
    pub row: SessionRecord,
    /// Whether the database has it.
    pub is_stored: bool,
    /// Set when the session is new: the cookie's value.
    pub cookie: Option<String>,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// Sessions of one portal.
#[derive(Clone)]
pub struct Sessions {
    store: Store,
    clock: Arc<dyn Clock>,
    idle: i64,
    recent: ReadCache<String, Option<SessionRecord>>,
    /// What cookies are signed with.
    key: hmac::Key,
    refused: Refusals,
}

/// How many sessions are kept in memory, for a second.
const KEPT: u64 = 4096;

/// How often a session's last use is written down, in milliseconds: a page must not cost a commit.
const TOUCH: i64 = 60_000;

impl Sessions {
    pub fn new(store: Store, clock: Arc<dyn Clock>, idle_minutes: u32, key: hmac::Key, refused: Refusals) -> Self {
        let (idle, recent) = (i64::from(idle_minutes) * 60_000, ReadCache::until_forgotten(KEPT));
        Self { store, clock, idle, recent, key, refused }
    }

    /// The session of a cookie if it is this person's, else a new one. Nothing is written for a new one before a role is picked: until then
    /// the cookie alone, which only this portal can have made, is the session. It becomes idle when it `is_used` no more.
    ///
    /// # Errors
    /// [`SessionError`].
    pub async fn open(
        &self,
        cookie: Option<&str>,
        login: &str,
        is_used: bool,
        origin: &Origin,
    ) -> Result<Session, SessionError> {
        let now = self.clock.now_ms();
        if let Some(cookie) = cookie {
            let id = random::digest(cookie.as_bytes());
            match self.recent.get(id.clone(), async || sessions::find(self.store.read(), &id).await).await? {
                Some(row) if row.login == login && self.is_good(row.seen_at, now) => {
                    if is_used && row.seen_at < now - TOUCH {
                        self.touch(&id, now).await?;
                    }
                    return Ok(Session { row, is_stored: true, cookie: None });
                }
                // Another person at the same browser, or too long ago.
                Some(row) => {
                    let why = if row.login == login { "idle" } else { "other-person" };
                    self.end(&id, why, origin).await?;
                }
                None => {
                    if let Some(began) = self.began(cookie, login).filter(|began| self.is_good(*began, now)) {
                        let row = self.row(cookie, login, began);
                        return Ok(Session { row, is_stored: false, cookie: None });
                    }
                }
            }
        }
        let body = format!("{}.{now}", random::token()?);
        let cookie = format!("{body}.{}", self.signature(&body, login));
        let row = self.row(&cookie, login, now);
        Ok(Session { row, is_stored: false, cookie: Some(cookie) })
    }

    /// Whether a session that was used last at a moment goes on. One of a clock that was ahead, and was set back since, does not rest for as long.
    fn is_good(&self, seen_at: i64, now: i64) -> bool {
        (now - seen_at).abs() < self.idle
    }

    /// When a cookie of this portal was given to this person.
    fn began(&self, cookie: &str, login: &str) -> Option<i64> {
        let (body, signature) = cookie.rsplit_once('.')?;
        let (_, began) = body.rsplit_once('.')?;
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).ok()?;
        hmac::verify(&self.key, signed(body, login).as_bytes(), &signature).ok()?;
        began.parse().ok()
    }

    fn signature(&self, body: &str, login: &str) -> String {
        BASE64URL_NOPAD.encode(hmac::sign(&self.key, signed(body, login).as_bytes()).as_ref())
    }

    fn row(&self, cookie: &str, login: &str, began: i64) -> SessionRecord {
        let csrf = hmac::sign(&self.key, format!("csrf\n{cookie}").as_bytes());
        SessionRecord {
            id: random::digest(cookie.as_bytes()),
            login: login.to_owned(),
            role: None,
            csrf: BASE64URL_NOPAD.encode(csrf.as_ref()),
            created_at: began,
            seen_at: began,
            role_checked_at: None,
            role_unanswered_at: None,
        }
    }

    /// Writes, and has a session read again.
    async fn change<T, F, Fut>(&self, id: &str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(Tx) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let (here, id) = (self.clone(), id.to_owned());
        let changing = async move {
            let written = here.store.write(work).await;
            here.recent.forget(&id);
            written
        };
        self.store.runtime().run(changing).await?
    }

    /// Forgets sessions that nobody has used for as long as they may rest.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn expire(&self) -> Result<u64, StoreError> {
        let before = self.clock.now_ms() - self.idle;
        // What is kept of one is looked at for its age.
        self.store.write(move |tx| async move { sessions::expire(&tx, before).await }).await
    }

    async fn touch(&self, id: &str, now: i64) -> Result<(), StoreError> {
        let touched = id.to_owned();
        self.change(id, move |tx| {
            let id = touched.clone();
            async move { sessions::touch(&tx, &id, now).await }
        })
        .await
    }

    async fn end(&self, id: &str, why: &'static str, origin: &Origin) -> Result<(), StoreError> {
        let (ended, origin, now) = (id.to_owned(), origin.clone(), self.clock.now_ms());
        self.change(id, move |tx| {
            let (id, origin) = (ended.clone(), origin.clone());
            async move {
                sessions::remove(&tx, &id).await?;
                audit::record(&tx, &origin, None, now, &Event::SessionEnded { why })
            }
        })
        .await
    }

    /// Gives a session its role; audited. One that was its cookie alone (not `is_stored`) is written down now. `person` is who has the login now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn grant(
        &self,
        session: &SessionRecord,
        is_stored: bool,
        role: &str,
        person: &str,
        origin: &Origin,
    ) -> Result<(), StoreError> {
        let (origin, person, now) = (origin.clone(), person.to_owned(), self.clock.now_ms());
        let row = SessionRecord {
            role: Some(role.to_owned()),
            role_checked_at: Some(now),
            role_unanswered_at: None,
            seen_at: now,
            ..session.clone()
        };
        self.change(&session.id, move |tx| {
            let (row, origin, person) = (row.clone(), origin.clone(), person.clone());
            async move {
                let login = row.login.clone();
                // Whoever has the login now has what is theirs, and nothing of whoever had it before.
                let followed = logins::settle(&tx, &login, &person).await?;
                audit::record_followed(&tx, &origin, None, now, &login, followed)?;
                if !is_stored {
                    audit::record(&tx, &origin, None, now, &Event::SessionBegan)?;
                }
                let event = Event::RoleGranted { role: row.role.clone().unwrap_or_default() };
                sessions::put(&tx, row).await?;
                audit::record(&tx, &origin, None, now, &event)
            }
        })
        .await
    }

    /// Writes down that the role of a session was asked for again: it is still granted, there was no answer for the first time, or it is lost and
    /// audited. Another role that was picked meanwhile stays.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rechecked(
        &self,
        session: &SessionRecord,
        rechecked: Recheck,
        origin: &Origin,
    ) -> Result<(), StoreError> {
        let (id, origin, now) = (session.id.clone(), origin.clone(), self.clock.now_ms());
        let (role, checked_at) = (session.role.clone().unwrap_or_default(), session.role_checked_at);
        self.change(&session.id, move |tx| {
            let (id, role, origin) = (id.clone(), role.clone(), origin.clone());
            async move {
                let (left, checked_at, unanswered_at) = match rechecked {
                    Recheck::Granted => (Some(role.as_str()), Some(now), None),
                    Recheck::Unanswered => (Some(role.as_str()), checked_at, Some(now)),
                    Recheck::Lost => (None, None, None),
                };
                if sessions::set_role(&tx, &id, &role, left, checked_at, unanswered_at).await? && left.is_none() {
                    audit::record(&tx, &origin, None, now, &Event::RoleLost { role })?;
                }
                Ok(())
            }
        })
        .await
    }

    /// Writes down that a form or call of a session came without its token.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record_csrf_refusal(&self, origin: &Origin) -> Result<(), StoreError> {
        let now = self.clock.now_ms();
        self.refused.record(&self.store, origin.clone(), None, now, "csrf", Event::CsrfRefused).await
    }

    /// Writes down that somebody has not the role that they asked for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record_role_refusal(&self, origin: &Origin, role: String) -> Result<(), StoreError> {
        let (now, event) = (self.clock.now_ms(), Event::RoleRefused { role });
        self.refused.record(&self.store, origin.clone(), None, now, "role", event).await
    }

    /// Writes down that somebody was refused who has not signed in: as many rows as [`Refusals`] lets.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record_refusal(
        &self,
        origin: &Origin,
        why: &'static str,
        claimed: Option<String>,
    ) -> Result<(), StoreError> {
        let event = Event::SignInRefused { why: why.to_owned(), claimed };
        self.refused.record(&self.store, origin.clone(), None, self.clock.now_ms(), why, event).await
    }
}

/// What a cookie's signature covers: it is good for one person alone.
fn signed(body: &str, login: &str) -> String {
    format!("cookie\n{body}\n{login}")
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Sessions").field("idle", &self.idle).finish_non_exhaustive()
    }
}
