//! Server-sent events: a word whenever a page would be another one, from whatever node. The page then fetches itself.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use uuid::Uuid;

use crate::cards::pairings::Presence;
use crate::desk::instances;
use crate::engine::Listener;
use crate::engine::verbs::Caller;
use crate::http::{Failure, Visitor};
use crate::portal::Portal;
use crate::random;

/// How often the database is asked for what another node has done; a list, which everything concerns, is not looked at more often.
const POLL: Duration = Duration::from_secs(2);
/// How many questions of a list are watched.
const MOST_TASKS: u64 = 100;
const BURST: Duration = Duration::from_millis(100);
/// A stream ends after so many looks; the browser opens a new one, which checks the session again.
const LOOKS: u32 = 300;

/// The events of one instance: whenever its tree changes.
pub async fn of_instance(
    portal: web::Data<Portal>,
    id: web::Path<String>,
    visitor: Visitor,
) -> Result<HttpResponse, Failure> {
    let caller = visitor.caller().ok_or_else(Failure::not_found)?;
    let id: Uuid = id.parse().map_err(|_| Failure::not_found())?;
    let root = portal.engine.find(&caller, id).await?.root;
    let portal = portal.get_ref().clone();
    let listener = portal.engine.listen(root);
    Ok(stream(Some(listener), move || {
        let portal = portal.clone();
        async move { version_of_instance(&portal, root).await }
    }))
}

/// The events of the start page: whenever the questions that wait for the visitor change.
pub async fn of_tasks(portal: web::Data<Portal>, visitor: Visitor) -> Result<HttpResponse, Failure> {
    let caller = visitor.caller().ok_or_else(Failure::not_found)?;
    let portal = portal.get_ref().clone();
    Ok(stream(None, move || {
        let (portal, caller) = (portal.clone(), caller.clone());
        async move { version_of_tasks(&portal, &caller).await }
    }))
}

/// Looks again when a tree has changed, or every now and then if none is named, and says so when the version is another one.
fn stream<F, Fut>(listener: Option<Listener>, version: F) -> HttpResponse
where
    F: Fn() -> Fut + 'static,
    Fut: Future<Output = String>,
{
    let state = (listener, version, String::new(), 0);
    let body = futures_util::stream::unfold(state, move |(mut listener, version, mut last, mut looks)| async move {
        while looks < LOOKS {
            looks += 1;
            let now = version().await;
            if now != last {
                last = now;
                let event = Bytes::from(format!("event: change\ndata: {last}\n\n"));
                return Some((Ok::<_, Infallible>(event), (listener, version, last, looks)));
            }
            let Some(listener) = &mut listener else {
                tokio::time::sleep(POLL).await;
                continue;
            };
            // Looked at after a while also when nothing was told.
            let _told = tokio::time::timeout(POLL, listener.changed()).await;
            // Steps come in bursts: a page is fetched once for all of them.
            tokio::time::sleep(BURST).await;
            listener.forget();
        }
        None
    });
    HttpResponse::Ok().content_type("text/event-stream").insert_header(("X-Accel-Buffering", "no")).streaming(body)
}

async fn version_of_instance(portal: &Portal, root: Uuid) -> String {
    let revisions = instances::revisions(&portal.engine, root).await.unwrap_or_default();
    let pairing = portal.pairings.latest(root).await.ok().flatten();
    // A code runs out without anybody's doing: the page offers another one then.
    let is_good = |until: i64| until > portal.clock.now_ms();
    let pairing = pairing.map(|row| {
        let presence = Presence::of(&row, portal.clock.now_ms());
        let cards = row.readers.as_ref().map(ToString::to_string).unwrap_or_default();
        let presence = random::digest(format!("{presence:?} {cards}").as_bytes());
        let (state, is_compared, is_good) = (row.state.as_str(), row.number.is_some(), is_good(row.expires_at));
        format!("{}{state}{is_compared}{is_good}{presence}", row.id)
    });
    format!("{revisions}-{}", pairing.unwrap_or_default())
}

async fn version_of_tasks(portal: &Portal, caller: &Caller) -> String {
    let mut tasks: Vec<String> = Vec::new();
    let own = instances::questions(&portal.engine, caller, MOST_TASKS).await;
    let of_role = instances::tasks(&portal.engine, caller, MOST_TASKS).await;
    for found in [own, of_role] {
        let found = found.unwrap_or_default();
        tasks.extend(found.iter().map(|task| format!("{}-{}", task.id, task.revision)));
    }
    tasks.join(" ")
}
