//! Browser sessions: a random cookie, of which the database keeps the digest; the login of the header, the role that was picked, a CSRF
//! token.

use std::sync::Arc;

use crate::audit::{self, Event, Origin};
use crate::clock::Clock;
use crate::random::{self, NoRandomness};
use crate::store::sessions::SessionRow;
use crate::store::{Access, Store, StoreError, logins, sessions};

/// A session and the cookie that leads to it.
#[derive(Clone, Debug)]
pub struct Session {
    pub row: SessionRow,
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
}

/// How often a session's last use is written down, in milliseconds: a page must not cost a commit.
const TOUCH: i64 = 60_000;

impl Sessions {
    pub fn new(store: Store, clock: Arc<dyn Clock>, idle_minutes: u32) -> Self {
        Self { store, clock, idle: i64::from(idle_minutes) * 60_000 }
    }

    /// The session of a cookie if it is this person's, else a new one.
    ///
    /// # Errors
    /// [`SessionError`].
    pub async fn open(&self, cookie: Option<&str>, login: &str, origin: &Origin) -> Result<Session, SessionError> {
        let now = self.clock.now_ms();
        if let Some(cookie) = cookie {
            let id = random::digest(cookie.as_bytes());
            match sessions::find(self.store.read(), &id).await? {
                Some(row) if row.login == login && row.seen_at > now - self.idle => {
                    if row.seen_at < now - TOUCH {
                        self.touch(&id, now).await?;
                    }
                    return Ok(Session { row, cookie: None });
                }
                // Another person at the same browser, or too long ago.
                Some(row) => {
                    let why = if row.login == login { "idle" } else { "other-person" };
                    self.end(&id, why, origin).await?;
                }
                None => {}
            }
        }
        self.begin(login, origin, now).await
    }

    async fn begin(&self, login: &str, origin: &Origin, now: i64) -> Result<Session, SessionError> {
        let cookie = random::token()?;
        let row = SessionRow {
            tenant: self.store.read().tenant().to_owned(),
            id: random::digest(cookie.as_bytes()),
            login: login.to_owned(),
            role: None,
            csrf: random::token()?,
            created_at: now,
            seen_at: now,
            role_checked_at: None,
        };
        let (stored, origin) = (row.clone(), origin.clone());
        self.store
            .write::<_, StoreError, _, _>(move |tx| {
                let (row, origin) = (stored.clone(), origin.clone());
                async move {
                    sessions::insert(&tx, row).await?;
                    audit::record(&tx, &origin, None, now, &Event::SessionBegan)
                }
            })
            .await?;
        Ok(Session { row, cookie: Some(cookie) })
    }

    /// Forgets sessions that nobody has used for as long as they may rest.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn expire(&self) -> Result<u64, StoreError> {
        let before = self.clock.now_ms() - self.idle;
        self.store.write(move |tx| async move { sessions::expire(&tx, before).await }).await
    }

    async fn touch(&self, id: &str, now: i64) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.store
            .write(move |tx| {
                let id = id.clone();
                async move { sessions::touch(&tx, &id, now).await }
            })
            .await
    }

    async fn end(&self, id: &str, why: &'static str, origin: &Origin) -> Result<(), StoreError> {
        let (id, origin, now) = (id.to_owned(), origin.clone(), self.clock.now_ms());
        self.store
            .write(move |tx| {
                let (id, origin) = (id.clone(), origin.clone());
                async move {
                    sessions::remove(&tx, &id).await?;
                    audit::record(&tx, &origin, None, now, &Event::SessionEnded { why })
                }
            })
            .await
    }

    /// Sets the role of a session, or takes it away; audited. `person` is who has a login now, where that was just looked up.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_role(
        &self,
        id: &str,
        role: Option<&str>,
        person: Option<(&str, &str)>,
        origin: &Origin,
        event: Option<Event>,
    ) -> Result<(), StoreError> {
        let person = person.map(|(login, person)| (login.to_owned(), person.to_owned()));
        let (id, role, origin, now) = (id.to_owned(), role.map(str::to_owned), origin.clone(), self.clock.now_ms());
        let checked_at = role.as_ref().map(|_| now);
        self.store
            .write(move |tx| {
                let (id, role, origin, event) = (id.clone(), role.clone(), origin.clone(), event.clone());
                let person = person.clone();
                async move {
                    if let Some((login, person)) = person {
                        let credentials = logins::settle(&tx, &login, &person).await?;
                        if credentials > 0 {
                            let event = Event::LoginChanged { login, credentials };
                            audit::record(&tx, &origin, None, now, &event)?;
                        }
                    }
                    sessions::set_role(&tx, &id, role.as_deref(), checked_at).await?;
                    match event {
                        Some(event) => audit::record(&tx, &origin, None, now, &event),
                        None => Ok(()),
                    }
                }
            })
            .await
    }

    /// Writes down a refusal.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record(&self, origin: &Origin, event: Event) -> Result<(), StoreError> {
        let (origin, now) = (origin.clone(), self.clock.now_ms());
        self.store
            .write(move |tx| {
                let (origin, event) = (origin.clone(), event.clone());
                async move { audit::record(&tx, &origin, None, now, &event) }
            })
            .await
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Sessions").field("idle", &self.idle).finish_non_exhaustive()
    }
}
