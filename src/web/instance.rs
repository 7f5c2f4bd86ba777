//! One instance: where it stands, what to do now, what happened so far, and its picture. Made from the workflow alone.

mod page;
mod past;
mod sentences;
mod stages;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{render as render_page, see_other};
use crate::cards::pairings::PairingError;
use crate::desk::instances::Listed;
use crate::engine::verbs::{Act, Caller};
use crate::http::{Failure, SessionForm, Submitted, Visitor};
use crate::portal::Portal;

pub use page::{Values, panel};
pub use past::time_text;

/// An instance in a list.
#[derive(Clone)]
pub struct Row {
    pub id: String,
    pub title: String,
    pub owner: String,
    pub label: String,
    pub status: String,
    pub started: String,
    /// Who works on its question.
    pub claimed_by: Option<String>,
    /// Why it is stuck, in words.
    pub cause: Option<&'static str>,
}

#[derive(Deserialize)]
pub struct Query {
    plain: Option<String>,
    /// Without scripts, a page that does not reload by itself.
    still: Option<String>,
}

#[derive(Deserialize)]
pub struct Form {
    csrf: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    step: u64,
    #[serde(flatten)]
    pub fields: BTreeMap<String, String>,
}

impl Form {
    /// What was filled in, by the names that the workflow gives the fields.
    pub fn answers(&self) -> Map<String, Value> {
        // A browser counts the end of a line as one letter, and sends two.
        let text = |value: &String| Value::from(value.replace("\r\n", "\n"));
        let answer = |(name, value): (&String, &String)| Some((name.strip_prefix("field_")?.to_owned(), text(value)));
        self.fields.iter().filter_map(answer).collect()
    }
}

impl SessionForm for Form {
    fn csrf(&self) -> &str {
        &self.csrf
    }
}

/// A row for lists; `None` for a version that this node does not have.
pub fn row(portal: &Portal, listed: &Listed) -> Option<Row> {
    let definition = portal.engine.definitions().of(&listed.workflow, listed.version).ok()?;
    let label = definition.state(&listed.state).map(|state| state.label.clone()).unwrap_or_default();
    Some(Row {
        id: listed.id.to_string(),
        title: definition.title.clone(),
        owner: listed.owner.clone(),
        label,
        status: listed.status.as_str().to_owned(),
        started: time_text(listed.started_at),
        claimed_by: listed.claimed_by.clone(),
        cause: None,
    })
}

pub async fn get(
    portal: web::Data<Portal>,
    id: web::Path<String>,
    query: web::Query<Query>,
    visitor: Visitor,
) -> Result<HttpResponse, Failure> {
    let id = parse(&id)?;
    let Some(caller) = visitor.caller() else {
        return Ok(see_other(&format!("/role?to=/instances/{id}")));
    };
    let view = portal.engine.view(&caller, id).await?;
    let mut page = page::make(&portal, &visitor, &view).await?;
    page.frame.menu = query.plain.is_none();
    if query.still.is_some() {
        page.frame.refresh = None;
    }
    if query.plain.is_some() {
        page.frame.refresh = page.frame.refresh.map(|path| path + "&plain=1");
    }
    render_page(&page)
}

pub async fn act(
    portal: web::Data<Portal>,
    id: web::Path<String>,
    submitted: Submitted<Form>,
) -> Result<HttpResponse, Failure> {
    let Submitted { visitor, form } = submitted;
    let Some(caller) = visitor.caller() else { return Ok(see_other("/role")) };
    let (fields, shown) = (form.answers(), form.fields.get("shown").cloned());
    let act = Act { step: form.step, action: form.action.clone(), fields, shown };
    portal.engine.act(&caller, parse(&id)?, act, None).await?;
    // A question of a part is answered on the page of the whole.
    let page = form.fields.get("page").map_or(Ok(id.clone()), |page| parse(page).map(|page| page.to_string()))?;
    Ok(back(&page, &form))
}

/// Offers a new code for the agent. Pairing is bookkeeping: no workflow is changed by it.
pub async fn code(
    portal: web::Data<Portal>,
    id: web::Path<String>,
    submitted: Submitted<Form>,
) -> Result<HttpResponse, Failure> {
    let Submitted { visitor, form } = submitted;
    let Some(caller) = visitor.caller() else { return Ok(see_other("/role")) };
    let root = own_root(&portal, &caller, &id).await?;
    let code = portal.pairings.code_for(root, &visitor.session.id, &visitor.cookie, &visitor.session.login);
    portal.pairings.offer(code, &visitor.origin()).await.map_err(|error| Failure::internal(&error))?;
    portal.engine.announce(root);
    Ok(back(&id, &form))
}

/// The person at the page has compared the numbers.
pub async fn confirm(
    portal: web::Data<Portal>,
    id: web::Path<String>,
    submitted: Submitted<Form>,
) -> Result<HttpResponse, Failure> {
    let Submitted { visitor, form } = submitted;
    let Some(caller) = visitor.caller() else { return Ok(see_other("/role")) };
    let root = own_root(&portal, &caller, &id).await?;
    let pairing = form.fields.get("pairing").map(String::as_str).unwrap_or_default();
    let pairing = pairing.parse().map_err(|_| Failure::not_found())?;
    match portal.pairings.confirm_by_person(pairing, root, &visitor.session.id, &visitor.origin()).await {
        Ok(()) => portal.engine.announce(root),
        Err(PairingError::Store(error)) => return Err(Failure::internal(&error)),
        Err(_) => {
            return Err(Failure::new(
                StatusCode::CONFLICT,
                "The code is over",
                "This pairing is over, or belongs to another browser. Go back, reload the page and use a new code.",
            ));
        }
    }
    Ok(back(&id, &form))
}

/// The root of an instance, for its owner alone: nobody else pairs an agent with it.
async fn own_root(portal: &Portal, caller: &Caller, id: &str) -> Result<Uuid, Failure> {
    let stored = portal.engine.find(caller, parse(id)?).await?;
    if stored.instance.owner == caller.actor.person {
        Ok(stored.root)
    } else {
        Err(crate::engine::EngineError::Forbidden.into())
    }
}

/// Back to the instance's page; without the menu when the person came by a deep link.
pub fn back(id: &str, form: &Form) -> HttpResponse {
    let plain = if form.fields.contains_key("plain") { "?plain=1" } else { "" };
    see_other(&format!("/instances/{id}{plain}"))
}

pub fn parse(id: &str) -> Result<Uuid, Failure> {
    id.parse().map_err(|_| Failure::not_found())
}
