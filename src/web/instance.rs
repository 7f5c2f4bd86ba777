//! One instance: where it stands, what to do now, what happened so far, and its picture. Made from the workflow alone.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use sealwright_workflow::definition::{Action, Kind};
use sealwright_workflow::instance::{Status, Waiting};
use sealwright_workflow::render::{self, Diagram};
use sealwright_workflow::step::fill;
use serde::Deserialize;
use serde_json::{Map, Value};
use time::macros::format_description;
use uuid::Uuid;

use super::error::PageError;
use super::{Frame, Visitor, render as render_page, see_other, visitor};
use crate::cards::pairing::{Code, PairingState};
use crate::cards::pairings::PairingError;
use crate::clock::moment;
use crate::engine::verbs::{Repair, View, reasons};
use crate::portal::Portal;
use crate::store::instances::Stored;

#[derive(Template)]
#[template(path = "instance.html")]
struct InstancePage {
    frame: Frame,
    id: String,
    step: u64,
    title: String,
    status: &'static str,
    /// What the person reads first: the closing sentence, or the present state.
    headline: String,
    /// Why it ended without success, in the words of its parts.
    reasons: Vec<String>,
    question: Option<String>,
    actions: Vec<Action>,
    /// Why it stands still, and what the visitor may do about it.
    stuck: Option<String>,
    repairs: Vec<Repair>,
    pairing: Pairing,
    shown: Vec<(String, Vec<(String, String)>)>,
    progress: Vec<Line>,
    deadline: Option<String>,
    diagram: Diagram,
    history: Vec<Entry>,
    version: i64,
}

/// What the page says about the agent.
enum Pairing {
    /// No card is needed now.
    NotNeeded,
    /// No code is offered, or it is too old.
    Ask,
    Offered {
        link: String,
        command: String,
        code: String,
    },
    Compare {
        host: String,
        cards: Vec<String>,
        number: Option<String>,
        confirmed: bool,
    },
    Connected {
        host: String,
    },
}

/// A line of the progress list.
struct Line {
    label: String,
    /// `done`, `now` or `failed`.
    status: &'static str,
    below: Vec<Line>,
}

struct Entry {
    at: String,
    label: String,
    what: String,
    who: String,
}

/// An instance in a list.
#[derive(Clone)]
pub struct Row {
    pub id: String,
    pub title: String,
    pub owner: String,
    pub label: String,
    pub status: &'static str,
    pub started: String,
}

#[derive(Deserialize)]
pub struct Query {
    plain: Option<String>,
}

#[derive(Deserialize)]
pub struct Form {
    csrf: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    step: u64,
    #[serde(flatten)]
    fields: BTreeMap<String, String>,
}

/// A row for lists; `None` for a version that this node does not have.
pub fn row(portal: &Portal, stored: &Stored) -> Option<Row> {
    let definition = portal.engine.definitions().of(&stored.instance.workflow, stored.instance.version).ok()?;
    let label = definition.state(&stored.instance.state).map(|state| state.label.clone()).unwrap_or_default();
    Some(Row {
        id: stored.instance.id.to_string(),
        title: definition.title.clone(),
        owner: stored.instance.owner.login.clone(),
        label,
        status: stored.instance.status.as_str(),
        started: time_text(stored.started_at),
    })
}

pub async fn get(
    portal: web::Data<Portal>,
    request: HttpRequest,
    id: web::Path<String>,
    query: web::Query<Query>,
) -> Result<HttpResponse, PageError> {
    let visitor = visitor(&portal, &request).await?;
    let Some(caller) = visitor.caller() else {
        return Ok(visitor.finish(see_other(&format!("/role?to=/instances/{id}"))));
    };
    let view = portal.engine.view(&caller, parse(&id)?).await?;
    let mut page = page(&portal, &visitor, &view).await?;
    page.frame.menu = query.plain.is_none();
    Ok(visitor.finish(render_page(&page)?))
}

pub async fn start(
    portal: web::Data<Portal>,
    request: HttpRequest,
    workflow: web::Path<String>,
    form: web::Form<Form>,
) -> Result<HttpResponse, PageError> {
    let visitor = visitor(&portal, &request).await?;
    visitor.check_csrf(&form.csrf)?;
    let Some(caller) = visitor.caller() else { return Ok(visitor.finish(see_other("/role"))) };
    let id = portal.engine.start(&caller, &workflow, Map::new()).await?;
    Ok(visitor.finish(back(&id.to_string(), &form)))
}

pub async fn act(
    portal: web::Data<Portal>,
    request: HttpRequest,
    id: web::Path<String>,
    form: web::Form<Form>,
) -> Result<HttpResponse, PageError> {
    let visitor = visitor(&portal, &request).await?;
    visitor.check_csrf(&form.csrf)?;
    let Some(caller) = visitor.caller() else { return Ok(visitor.finish(see_other("/role"))) };
    let fields: Map<String, Value> = form
        .fields
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("field_")?.to_owned(), Value::from(value.clone()))))
        .collect();
    portal.engine.act(&caller, parse(&id)?, form.step, &form.action, fields).await?;
    Ok(visitor.finish(back(&id, &form)))
}

/// Offers a new code for the agent. Pairing is bookkeeping: no workflow is changed by it.
pub async fn code(
    portal: web::Data<Portal>,
    request: HttpRequest,
    id: web::Path<String>,
    form: web::Form<Form>,
) -> Result<HttpResponse, PageError> {
    let visitor = visitor(&portal, &request).await?;
    visitor.check_csrf(&form.csrf)?;
    let Some(caller) = visitor.caller() else { return Ok(visitor.finish(see_other("/role"))) };
    let view = portal.engine.view(&caller, parse(&id)?).await?;
    only_the_owner(&view, &visitor)?;
    let session = &visitor.session;
    portal
        .pairings
        .offer(view.stored.root, &session.id, &visitor.cookie, &session.login, &visitor.origin())
        .await
        .map_err(|error| PageError::internal(&error))?;
    portal.engine.announce(view.stored.root);
    Ok(visitor.finish(back(&id, &form)))
}

/// The person at the page has compared the numbers.
pub async fn confirm(
    portal: web::Data<Portal>,
    request: HttpRequest,
    id: web::Path<String>,
    form: web::Form<Form>,
) -> Result<HttpResponse, PageError> {
    let visitor = visitor(&portal, &request).await?;
    visitor.check_csrf(&form.csrf)?;
    let Some(caller) = visitor.caller() else { return Ok(visitor.finish(see_other("/role"))) };
    let view = portal.engine.view(&caller, parse(&id)?).await?;
    only_the_owner(&view, &visitor)?;
    let confirmed =
        portal.pairings.confirm_by_person(view.stored.root, &visitor.session.login, &visitor.session.id).await;
    match confirmed {
        Ok(_) => portal.engine.announce(view.stored.root),
        Err(PairingError::Store(error)) => return Err(PageError::internal(&error)),
        Err(_) => {
            return Err(PageError::new(
                StatusCode::CONFLICT,
                "The code is over",
                "This pairing is over, or belongs to another browser. Go back, reload the page and use a new code.",
            ));
        }
    }
    Ok(visitor.finish(back(&id, &form)))
}

/// Back to the instance's page; without the menu when the person came by a deep link.
fn back(id: &str, form: &Form) -> HttpResponse {
    let plain = if form.fields.contains_key("plain") { "?plain=1" } else { "" };
    see_other(&format!("/instances/{id}{plain}"))
}

fn only_the_owner(view: &View, visitor: &Visitor) -> Result<(), PageError> {
    if view.stored.instance.owner.login == visitor.session.login {
        Ok(())
    } else {
        Err(crate::engine::EngineError::Forbidden.into())
    }
}

fn parse(id: &str) -> Result<Uuid, PageError> {
    id.parse().map_err(|_| PageError::not_found())
}

async fn page(portal: &Portal, visitor: &Visitor, view: &View) -> Result<InstancePage, PageError> {
    let instance = &view.stored.instance;
    let state = view.definition.state(&instance.state).ok_or_else(PageError::not_found)?;
    let way: Vec<String> = history(view, instance.id).iter().map(|row| row.state.clone()).collect();
    let headline = match (&instance.say, &instance.waiting) {
        (Some(say), _) => say.clone(),
        (None, Waiting::Operator { .. }) => {
            "This cannot go on by itself. The operators were told; you need not do anything.".to_owned()
        }
        (None, _) => deepest_label(portal, view).unwrap_or_else(|| state.label.clone()),
    };
    let question = match &state.kind {
        Kind::Ask(ask) => Some(fill(&ask.question, &instance.data)),
        _ => None,
    };
    let mut frame = visitor.frame(portal, &view.definition.title);
    let waits_for_person = matches!(instance.waiting, Waiting::Person);
    frame.refresh = (instance.is_open() && !waits_for_person).then_some(3);
    let deadline =
        view.timers.iter().find(|timer| timer.timer == "state-deadline").map(|timer| time_text(timer.due_at));
    Ok(InstancePage {
        id: instance.id.to_string(),
        step: instance.step,
        title: view.definition.title.clone(),
        status: instance.status.as_str(),
        headline,
        reasons: if instance.is_open() || instance.status == Status::Success {
            Vec::new()
        } else {
            reasons(&view.tree)
        },
        question,
        actions: view.actions.clone(),
        stuck: match &instance.waiting {
            Waiting::Operator { class } => Some(class.clone()),
            _ => None,
        },
        repairs: view.repairs.clone(),
        pairing: pairing(portal, visitor, view).await?,
        shown: shown(view, &state.show.iter().map(|word| word.text.clone()).collect::<Vec<_>>()),
        progress: progress(portal, view, instance.id),
        deadline,
        diagram: render::diagram(&view.definition, &way),
        history: entries(portal, view),
        version: view.tree.iter().map(|part| part.revision).sum(),
        frame,
    })
}

async fn pairing(portal: &Portal, visitor: &Visitor, view: &View) -> Result<Pairing, PageError> {
    let waits = view.tree.iter().any(|part| part.instance.is_open() && part.instance.waiting == Waiting::Job);
    if !waits || view.stored.instance.owner.login != visitor.session.login {
        return Ok(Pairing::NotNeeded);
    }
    let latest = portal.pairings.latest(view.stored.root).await.map_err(|error| PageError::internal(&error))?;
    let Some(row) = latest else { return Ok(Pairing::Ask) };
    let host = row.host.clone().unwrap_or_default();
    if row.state == PairingState::Confirmed.as_str() {
        return Ok(Pairing::Connected { host });
    }
    let here = row.session == visitor.session.id && row.expires_at > portal.clock.now_ms();
    if !here || row.state == PairingState::Ended.as_str() {
        return Ok(Pairing::Ask);
    }
    if row.state == PairingState::Redeemed.as_str() {
        let readers: Vec<sealwright_protocol::Reader> =
            row.readers.and_then(|readers| serde_json::from_value(readers).ok()).unwrap_or_default();
        let cards =
            readers.into_iter().filter_map(|reader| Some(format!("{} in {}", reader.card?, reader.name))).collect();
        return Ok(Pairing::Compare { host, cards, number: row.number, confirmed: row.confirmed_by_person });
    }
    let code = Code::derive(&visitor.cookie, row.id);
    let agent_url = &portal.configuration.server.agent_url;
    let host = agent_url.split_once("://").map_or("", |(_, host)| host);
    Ok(Pairing::Offered {
        link: format!("sealwright://{host}/{}", code.long),
        command: format!("{} connect {} --portal {agent_url}", portal.configuration.server.agent_command, code.short),
        code: code.short,
    })
}

/// The label of what is being done, however deep in the tree.
fn deepest_label(portal: &Portal, view: &View) -> Option<String> {
    let deepest = view.tree.iter().rev().find(|part| part.instance.is_open())?;
    let definition = portal.engine.definitions().of(&deepest.instance.workflow, deepest.instance.version).ok()?;
    definition.state(&deepest.instance.state).map(|state| state.label.clone())
}

fn history(view: &View, id: Uuid) -> &[crate::store::instances::HistoryRow] {
    view.histories.get(&id).map(Vec::as_slice).unwrap_or_default()
}

/// The states that were entered, each with what its children did.
fn progress(portal: &Portal, view: &View, id: Uuid) -> Vec<Line> {
    let Some(part) = view.tree.iter().find(|part| part.instance.id == id) else { return Vec::new() };
    let Ok(definition) = portal.engine.definitions().of(&part.instance.workflow, part.instance.version) else {
        return Vec::new();
    };
    let mut lines: Vec<Line> = Vec::new();
    let mut last = None;
    for row in history(view, id) {
        if last == Some(row.step) {
            continue;
        }
        last = Some(row.step);
        let Some(state) = definition.state(&row.state) else { continue };
        let current = row.step == i64::try_from(part.instance.step).unwrap_or(-1);
        let status = match (current, part.instance.status) {
            (true, Status::Running) => "now",
            (true, Status::Stuck | Status::Failure | Status::Cancelled) => "failed",
            _ => "done",
        };
        let children = view.tree.iter().filter(|child| {
            child
                .instance
                .parent
                .as_ref()
                .is_some_and(|parent| parent.id == id && i64::try_from(parent.step).unwrap_or(-1) == row.step)
        });
        let below = children
            .flat_map(|child| {
                let title = child.instance.data.get("slot").and_then(|slot| slot.get("title")).and_then(Value::as_str);
                let inner = progress(portal, view, child.instance.id);
                match title {
                    Some(title) => {
                        vec![Line { label: title.to_owned(), status: line_status(child.instance.status), below: inner }]
                    }
                    None => inner,
                }
            })
            .collect();
        lines.push(Line { label: state.label.clone(), status, below });
    }
    lines
}

fn line_status(status: Status) -> &'static str {
    match status {
        Status::Running => "now",
        Status::Success => "done",
        Status::Stuck | Status::Failure | Status::Cancelled => "failed",
    }
}

/// Data that the state shows, as names and values.
fn shown(view: &View, names: &[String]) -> Vec<(String, Vec<(String, String)>)> {
    names
        .iter()
        .filter_map(|name| {
            let values = match view.stored.instance.data.get(name)? {
                Value::Object(fields) => fields
                    .iter()
                    .filter(|(field, _)| !matches!(field.as_str(), "id" | "dn"))
                    .filter_map(|(field, value)| Some((words(field), plain(value)?)))
                    .collect(),
                Value::Array(elements) => {
                    elements.iter().filter_map(|value| Some((String::new(), plain(value)?))).collect()
                }
                other => vec![(String::new(), plain(other)?)],
            };
            Some((words(name), values))
        })
        .collect()
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Object(fields) => {
            let parts: Vec<String> = fields.values().filter_map(plain).collect();
            Some(parts.join(": "))
        }
        other => Some(other.to_string()),
    }
}

/// A name of data as people read it.
fn words(name: &str) -> String {
    match name {
        "upn" => return "Windows sign-in name".to_owned(),
        "object_sid" => return "Windows account".to_owned(),
        _ => {}
    }
    let mut words = name.replace('_', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

fn entries(portal: &Portal, view: &View) -> Vec<Entry> {
    let mut rows: Vec<_> = view.histories.values().flatten().collect();
    rows.sort_by_key(|row| (row.at, row.revision));
    rows.into_iter()
        .filter_map(|row| {
            let part = view.tree.iter().find(|part| part.instance.id == row.instance)?;
            let definition = portal.engine.definitions().of(&part.instance.workflow, part.instance.version).ok()?;
            let label = definition.state(&row.state).map(|state| state.label.clone()).unwrap_or_default();
            let detail = row.detail.as_deref().unwrap_or_default();
            Some(Entry {
                at: time_text(row.at),
                label: format!("{}: {label}", definition.title),
                what: format!("{} {detail}", row.event).replace('-', " ").trim().to_owned(),
                who: row.actor.clone().unwrap_or_default(),
            })
        })
        .collect()
}

/// A moment for people, in UTC.
pub fn time_text(milliseconds: i64) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    moment(milliseconds).format(format).unwrap_or_default()
}
