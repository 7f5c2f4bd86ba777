//! What the page shows now: headline, question, what to do about the agent, picture.

use askama::Template;
use sealwright_protocol::{Capabilities, Capability, Reader, visible};
use sealwright_workflow::definition::{Action, Kind};
use sealwright_workflow::instance::{Instance, Status, Waiting};
use sealwright_workflow::render::{self, Diagram};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::past::{self, Entry, Line, time_text};
use crate::cards::pairing::{Code, PairingState};
use crate::cards::pairings::{PairingEnd, PairingRecord, Presence};
use crate::engine::rights::{self, Operation, may_start};
use crate::engine::verbs::{View, reasons};
use crate::http::{Failure, Visitor};
use crate::portal::Portal;
use crate::web::Frame;

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
    questions: Vec<Question>,
    /// Whom or what it waits for, where that is not the visitor.
    waits_for: Option<Elsewhere>,
    /// Why it stands still, and what the visitor may do about it.
    stuck: Option<String>,
    repairs: Vec<Operation>,
    /// The visitor may end what is theirs.
    stop: bool,
    pairing: Pairing,
    shown: Vec<(String, Vec<(String, String)>)>,
    progress: Vec<Line>,
    deadline: Option<String>,
    diagram: Diagram,
    history: Vec<Entry>,
    version: i64,
    /// It may still change.
    is_live: bool,
}

/// What is asked, of the instance itself or of a part of it.
struct Question {
    instance: String,
    step: u64,
    text: String,
    actions: Vec<Action>,
    data: Vec<(String, Vec<(String, String)>)>,
    shown: String,
    /// Who works on it, when that is not the visitor.
    claimed_by: Option<String>,
    is_mine: bool,
    approvals: Option<(usize, usize)>,
    operations: Vec<Operation>,
}

/// After how many milliseconds without a report a paired agent may have gone: the person is asked for a PIN, and a key takes a card a minute.
const SILENT: i64 = 5 * 60_000;

/// What goes on without the visitor.
enum Elsewhere {
    /// Somebody else's decision.
    Person,
    /// A key, say, that is to come back.
    Condition,
}

/// What the page says about the agent.
enum Pairing {
    /// No card is needed now.
    NotNeeded,
    /// No code is offered, or it is too old.
    Ask,
    /// The last pairing ended before it was confirmed.
    Over {
        host: String,
        /// The person at the agent refused it; else the connection broke.
        is_declined: bool,
    },
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
        /// The agent has confirmed, and its connection broke.
        is_gone: bool,
    },
    Connected {
        host: String,
        /// Its jobs are unanswered for a while.
        is_silent: bool,
        cards: Cards,
        /// The agent knows no policy for PINs.
        is_pin_unchecked: bool,
    },
    /// The agent was connected until this time.
    Gone {
        host: String,
        since: String,
    },
}

/// The cards that a connected agent sees.
enum Cards {
    /// The agent does not tell when cards come and go.
    Unknown,
    None,
    Some(Vec<String>),
}

pub async fn make(portal: &Portal, visitor: &Visitor, view: &View) -> Result<InstancePage, Failure> {
    let instance = &view.stored.instance;
    let state = view.definition.state(&instance.state).ok_or_else(Failure::not_found)?;
    let way: Vec<String> = past::history(view, instance.id).iter().map(|row| row.state.clone()).collect();
    let headline = match (&instance.say, &instance.waiting) {
        (Some(say), _) => say.clone(),
        (None, Waiting::Operator { .. }) if view.operations.contains(&Operation::Resume) => {
            "This cannot go on by itself. It waits for you, or another operator.".to_owned()
        }
        (None, Waiting::Operator { .. }) => {
            "This cannot go on by itself. It is on the operators' list; you do not need to do anything.".to_owned()
        }
        (None, _) => deepest_label(portal, view).unwrap_or_else(|| state.label.clone()),
    };
    let mut frame = Frame::new(portal, visitor, &view.definition.title);
    // Without scripts the page stands still while the visitor writes an answer; with them it follows what others do, and leaves what is typed.
    let asks_visitor = view.questions.iter().any(|question| !question.actions.is_empty());
    frame.refresh = (instance.is_open() && !asks_visitor).then(|| format!("/instances/{}?renewal=1", instance.id));
    let deadline = view.deadline.map(time_text);
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
        questions: view.questions.iter().map(|question| asked(visitor, question)).collect(),
        stuck: match &instance.waiting {
            Waiting::Operator { class } => Some(class.clone()),
            _ => None,
        },
        repairs: repairs(visitor, view),
        stop: view.operations.contains(&Operation::Cancel) && instance.owner.login == visitor.session.login,
        pairing: pairing(portal, visitor, view).await?,
        waits_for: waits_for(view),
        // A question shows its data itself.
        shown: match &state.kind {
            Kind::Ask(_) if instance.is_open() => Vec::new(),
            _ => state.show.iter().filter_map(|name| panel(&name.text, instance.data.get(&name.text)?)).collect(),
        },
        progress: past::progress(portal, view, instance.id),
        deadline,
        diagram: render::diagram(&view.definition, &way),
        history: past::entries(portal, view),
        version: view.tree.iter().map(|part| part.revision).sum(),
        is_live: instance.is_open(),
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

async fn pairing(portal: &Portal, visitor: &Visitor, view: &View) -> Result<Pairing, Failure> {
    let waiting = view.tree.iter().filter(|part| part.instance.is_open() && part.instance.waiting == Waiting::Job);
    let since = waiting.map(|part| part.changed_at).max();
    let Some(since) = since.filter(|_| view.stored.instance.owner.login == visitor.session.login) else {
        return Ok(Pairing::NotNeeded);
    };
    let latest = portal.pairings.latest(view.stored.root).await.map_err(|error| Failure::internal(&error))?;
    let Some(row) = latest else { return Ok(Pairing::Ask) };
    let host = visible(row.host.as_deref().unwrap_or_default());
    let presence = Presence::of(&row, portal.clock.now_ms());
    if row.state == PairingState::Confirmed {
        if let Presence::Gone(since) = presence {
            return Ok(Pairing::Gone { host, since: time_text(since) });
        }
        // A pairing may be confirmed as long as its code is good, and not when that was offered.
        let is_silent = portal.clock.now_ms() - since.max(row.expires_at) > SILENT;
        let shared = shared(&row);
        let cards = match cards(&row) {
            _ if !shared.has(Capability::Readers) => Cards::Unknown,
            cards if cards.is_empty() => Cards::None,
            cards => Cards::Some(cards),
        };
        let is_pin_unchecked = !shared.has(Capability::PinPolicy);
        return Ok(Pairing::Connected { host, is_silent, cards, is_pin_unchecked });
    }
    if let (PairingState::Ended, Some(end)) = (row.state, row.ended_by) {
        return Ok(Pairing::Over { host, is_declined: end == PairingEnd::Declined });
    }
    let here = row.session == visitor.session.id && row.expires_at > portal.clock.now_ms();
    if !here || row.state == PairingState::Ended {
        return Ok(Pairing::Ask);
    }
    if row.state == PairingState::Redeemed {
        let (pairing, cards, confirmed) = (row.id.to_string(), cards(&row), row.confirmed_by_person);
        let is_gone = matches!(presence, Presence::Gone(_));
        return Ok(Pairing::Compare { pairing, host, cards, number: row.number, confirmed, is_gone });
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

/// Capabilities that the agent of a pairing shares with this release.
fn shared(row: &PairingRecord) -> Capabilities {
    row.capabilities.clone().and_then(|shared| serde_json::from_value(shared).ok()).unwrap_or_default()
}

/// Cards and their readers, as the agent has told last.
fn cards(row: &PairingRecord) -> Vec<String> {
    let readers: Option<Vec<Reader>> = row.readers.clone().and_then(|readers| serde_json::from_value(readers).ok());
    let shown = |reader: Reader| Some(visible(&format!("{} in {}", reader.card?, reader.name)));
    readers.unwrap_or_default().into_iter().filter_map(shown).collect()
}

/// The label of what is being done, however deep below.
/// The part that is under way.
fn deepest(view: &View) -> Option<&Instance> {
    let parts = rights::below(&view.tree, view.stored.instance.id);
    parts.into_iter().rev().map(|part| &part.instance).find(|instance| instance.is_open())
}

fn deepest_label(portal: &Portal, view: &View) -> Option<String> {
    let deepest = deepest(view)?;
    let definition = portal.engine.definitions().of(&deepest.workflow, deepest.version).ok()?;
    definition.state(&deepest.state).map(|state| state.label.clone())
}

fn waits_for(view: &View) -> Option<Elsewhere> {
    match deepest(view)?.waiting {
        Waiting::Person if view.questions.is_empty() => Some(Elsewhere::Person),
        Waiting::Condition => Some(Elsewhere::Condition),
        _ => None,
    }
}

fn asked(visitor: &Visitor, question: &rights::Question) -> Question {
    let claimed_by = question.claimed_by.clone();
    let is_mine = claimed_by.as_ref() == Some(&visitor.session.login);
    // What somebody else works on is theirs until it is freed.
    let is_theirs = claimed_by.is_some() && !is_mine && !question.operations.is_empty();
    Question {
        instance: question.instance.to_string(),
        step: question.step,
        text: visible(&question.text),
        actions: if is_theirs { Vec::new() } else { question.actions.clone() },
        data: question.data.iter().filter_map(|(name, value)| panel(name, value)).collect(),
        shown: question.shown.clone(),
        claimed_by: claimed_by.filter(|_| !is_mine),
        is_mine,
        approvals: question.approvals.filter(|(_, needed)| *needed > 1),
        operations: question.operations.clone(),
    }
}

/// What operators may do; what is one's own is stopped in other words.
fn repairs(visitor: &Visitor, view: &View) -> Vec<Operation> {
    let own = view.stored.instance.owner.login == visitor.session.login;
    let wanted = |operation: &Operation| match operation {
        Operation::Resume => true,
        Operation::Cancel => !own,
        Operation::Claim | Operation::Release => false,
    };
    view.operations.iter().copied().filter(wanted).collect()
}

/// Data that is shown, as names and values.
fn panel(name: &str, value: &Value) -> Option<(String, Vec<(String, String)>)> {
    let values: Vec<(String, String)> = match value {
        Value::Object(fields) => named(fields).collect(),
        Value::Array(elements) if elements.is_empty() => vec![(String::new(), "None".to_owned())],
        Value::Array(elements) => elements.iter().filter_map(|value| Some((String::new(), plain(value)?))).collect(),
        other => vec![(String::new(), plain(other)?)],
    };
    (!values.is_empty()).then(|| (words(name), values))
}

/// The fields of a record that say something to people, with their names.
fn named(fields: &Map<String, Value>) -> impl Iterator<Item = (String, String)> {
    let is_said = |field: &str, value: &Value| {
        // A serial number has as many digits, and no hyphens.
        let is_id = value.as_str().is_some_and(|text| text.contains('-') && Uuid::try_parse(text).is_ok());
        !is_id && !matches!(field, "id" | "dn" | "owner" | "has_factory_secrets")
    };
    let said = fields.iter().filter(move |(field, value)| is_said(field, value));
    said.filter_map(|(field, value)| Some((words(field), plain(value)?)))
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(visible(text)),
        Value::Object(fields) => {
            let parts: Vec<String> = named(fields).map(|(name, value)| format!("{name}: {value}")).collect();
            Some(parts.join(" · "))
        }
        Value::Array(elements) => {
            let parts: Vec<String> = elements.iter().filter_map(plain).collect();
            (!parts.is_empty()).then(|| parts.join(", "))
        }
        Value::Bool(yes) => Some(if *yes { "yes" } else { "no" }.to_owned()),
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
