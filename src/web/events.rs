//! Server-sent events of one instance: a word whenever its tree changes, from whatever node. The page then fetches itself.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use uuid::Uuid;

use super::error::PageError;
use super::visitor;
use crate::portal::Portal;
use crate::store::instances;

/// How often the database is asked for what another node has done.
const POLL: Duration = Duration::from_secs(2);
/// A stream ends after so many looks; the browser opens a new one, which checks the session again.
const LOOKS: u32 = 300;

pub async fn get(
    portal: web::Data<Portal>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let visitor = visitor(&portal, &request).await?;
    let caller = visitor.caller().ok_or_else(PageError::not_found)?;
    let id: Uuid = id.parse().map_err(|_| PageError::not_found())?;
    let root = portal.engine.view(&caller, id).await?.stored.root;
    let changes = portal.engine.changes();
    let state = (portal.get_ref().clone(), changes, root, String::new(), 0);
    let body = futures_util::stream::unfold(state, |(portal, mut changes, root, mut last, mut looks)| async move {
        loop {
            if looks > LOOKS {
                return None;
            }
            looks += 1;
            let version = version(&portal, root).await;
            if version != last {
                last = version;
                let event = Bytes::from(format!("event: change\ndata: {last}\n\n"));
                return Some((Ok::<_, Infallible>(event), (portal, changes, root, last, looks)));
            }
            loop {
                match tokio::time::timeout(POLL, changes.recv()).await {
                    Ok(Ok(change)) if change.root != root => {}
                    _ => break,
                }
            }
        }
    });
    Ok(HttpResponse::Ok().content_type("text/event-stream").insert_header(("X-Accel-Buffering", "no")).streaming(body))
}

/// Changes whenever the page would.
async fn version(portal: &Portal, root: Uuid) -> String {
    let tree = instances::tree(portal.store.read(), root).await.unwrap_or_default();
    let revisions: i64 = tree.iter().map(|part| part.revision).sum();
    let pairing = portal.pairings.latest(root).await.ok().flatten();
    let pairing = pairing.map(|row| format!("{}{}{}", row.id, row.state, row.number.is_some()));
    format!("{revisions}-{}", pairing.unwrap_or_default())
}
