//! What the page shows now: headline, question, what to do about the agent, picture.

use askama::Template;
use sealwright_workflow::definition::{Action, Kind};
use sealwright_workflow::instance::{Status, Waiting};
use sealwright_workflow::render::{self, Diagram};
use sealwright_workflow::step::fill;
use serde_json::Value;

use super::past::{self, Entry, Line, time_text};
use crate::cards::pairing::{Code, PairingState};
use crate::engine::verbs::{Repair, View, may_start, reasons};
use crate::portal::Portal;
use crate::web::{Frame, PageError, Visitor};

#[derive(Template)]
#[template(path = "instance.html")]
pub struct InstancePage {
    pub frame: Frame,
    id: String,
    step: u64,
    title: String,
    status: &'static str,
    /// What the person reads first: the closing sentence, or the present state.
    headline: String,
    /// Why it ended without success, in the words of its parts.
    reasons: Vec<String>,
    /// The workflow, when the visitor may begin it again after an end without success.
    again: Option<String>,
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
        pairing: String,
        host: String,
        cards: Vec<String>,
        number: Option<String>,
        confirmed: bool,
    },
    Connected {
        host: String,
    },
}

pub async fn make(portal: &Portal, visitor: &Visitor, view: &View) -> Result<InstancePage, PageError> {
    let instance = &view.stored.instance;
    let state = view.definition.state(&instance.state).ok_or_else(PageError::not_found)?;
    let way: Vec<String> = past::history(view, instance.id).iter().map(|row| row.state.clone()).collect();
    let headline = match (&instance.say, &instance.waiting) {
        (Some(say), _) => say.clone(),
        (None, Waiting::Operator { .. }) => {
            "This cannot go on by itself. It is on the operators' list; you need not do anything.".to_owned()
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
        again: again(visitor, view),
        question,
        actions: view.actions.clone(),
        stuck: match &instance.waiting {
            Waiting::Operator { class } => Some(class.clone()),
            _ => None,
        },
        repairs: view.repairs.clone(),
        pairing: pairing(portal, visitor, view).await?,
        shown: shown(view, &state.show.iter().map(|word| word.text.clone()).collect::<Vec<_>>()),
        progress: past::progress(portal, view, instance.id),
        deadline,
        diagram: render::diagram(&view.definition, &way),
        history: past::entries(portal, view),
        version: view.tree.iter().map(|part| part.revision).sum(),
        frame,
    })
}

fn again(visitor: &Visitor, view: &View) -> Option<String> {
    let instance = &view.stored.instance;
    let over = !instance.is_open() && instance.status != Status::Success;
    let may =
        visitor.actor().is_some_and(|actor| actor.person == instance.owner && may_start(&view.definition, &actor));
    (over && may).then(|| instance.workflow.clone())
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
        let pairing = row.id.to_string();
        return Ok(Pairing::Compare { pairing, host, cards, number: row.number, confirmed: row.confirmed_by_person });
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
