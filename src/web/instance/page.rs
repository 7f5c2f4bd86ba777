//! What the page shows now: headline, question, what to do about the agent, picture.

use askama::Template;
use sealwright_protocol::{Capabilities, Capability, Reader, visible};
use sealwright_workflow::definition::{Action, Kind};
use sealwright_workflow::instance::{Instance, Status, Waiting};
use sealwright_workflow::render::{self, Diagram};
use sealwright_workflow::step::fill;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::past::{self, Line, LineStatus, time_text};
use super::sentences::{self, Entry};
use super::stages::{self, Stage};
use crate::cards::pairing::{Code, PairingState};
use crate::cards::pairings::{PairingEnd, PairingRecord, Presence};
use crate::engine::in_words;
use crate::engine::rights::{self, Operation, may_start};
use crate::engine::verbs::{View, causes};
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
    /// The class of the headline: a status, or `undone`.
    status: &'static str,
    stages: Vec<Stage>,
    /// What the person reads first: the closing sentence, or the present state.
    headline: String,
    /// Why it ended without success, in the words of its parts.
    reasons: Vec<String>,
    /// The workflow, when the visitor may begin it again after an end without success.
    again: Option<Again>,
    questions: Vec<Question>,
    /// Whom or what it waits for, where that is not the visitor.
    waits_for: Option<Elsewhere>,
    /// Why it stands still: the word of the log, the words for people, and what helps.
    stuck: Option<(String, &'static str, &'static str)>,
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

/// A workflow that may be begun again.
struct Again {
    workflow: String,
    /// A form comes first.
    has_form: bool,
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
    /// The next try of what has failed.
    Retry { cause: &'static str, since: String, next: String },
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

impl Pairing {
    /// What the person does before a card's job can begin; nothing where an agent is connected.
    fn headline(&self) -> Option<&'static str> {
        match self {
            Self::Ask => Some("Connect your card reader"),
            Self::Over { .. } => Some("Get a new code for the card agent"),
            Self::Compare { is_gone: true, .. } | Self::Gone { .. } => Some("Start the card agent again"),
            Self::Offered { .. } => Some("Start the card agent"),
            Self::Compare { confirmed: false, number: Some(_), .. } => Some("Compare the two numbers"),
            Self::Compare { confirmed: true, .. } => Some("Confirm the number in the agent's window"),
            Self::Connected { is_silent: true, .. } => Some("See what the card agent asks for"),
            Self::Connected { cards: Cards::None, .. } => Some("Put your card into the reader"),
            Self::Compare { .. } | Self::Connected { .. } | Self::NotNeeded => None,
        }
    }
}

pub async fn make(portal: &Portal, visitor: &Visitor, view: &View) -> Result<InstancePage, Failure> {
    let instance = &view.stored.instance;
    let state = view.definition.state(&instance.state).ok_or_else(Failure::not_found)?;
    let way: Vec<String> = past::history(view, instance.id).iter().map(|row| row.state.clone()).collect();
    let pairing = pairing(portal, visitor, view).await?;
    let progress = past::progress(portal, view, instance.id);
    let headline = match (&instance.say, &instance.waiting) {
        (Some(say), _) => say.clone(),
        (None, Waiting::Operator { .. }) if view.operations.contains(&Operation::Resume) => {
            "This cannot go on by itself. It waits for you, or another operator.".to_owned()
        }
        (None, Waiting::Operator { .. }) => {
            "This cannot go on by itself. It is on the operators' list; you do not need to do anything.".to_owned()
        }
        (None, _) => headline_of_state(portal, visitor, view, &pairing).unwrap_or_else(|| state.label.clone()),
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
        status: match instance.status {
            Status::Success if past::is_undone(&progress) => LineStatus::Undone.as_str(),
            status => status.as_str(),
        },
        stages: stages::stages(view, &view.definition),
        reasons: reasons(view, &headline),
        headline,
        again: again(portal, visitor, view),
        questions: view.questions.iter().map(|question| asked(visitor, question)).collect(),
        stuck: match &instance.waiting {
            Waiting::Operator { class } => {
                let (cause, advice) = in_words(class);
                Some((class.clone(), cause, advice))
            }
            _ => None,
        },
        repairs: repairs(visitor, view),
        stop: view.operations.contains(&Operation::Cancel) && instance.owner.login == visitor.session.login,
        pairing,
        waits_for: waits_for(view, portal.clock.now_ms() / 1000),
        // A question shows its data itself.
        shown: match &state.kind {
            Kind::Ask(_) if instance.is_open() => Vec::new(),
            _ => state.show.iter().filter_map(|name| panel(&name.text, instance.data.get(&name.text)?)).collect(),
        },
        progress,
        deadline,
        diagram: render::diagram(&view.definition, &way),
        history: sentences::entries(portal, view),
        version: view.tree.iter().map(|part| part.revision).sum(),
        is_live: instance.is_open(),
        frame,
    })
}

/// Why it ended without success, each reason once, and none that the headline gives.
fn reasons(view: &View, headline: &str) -> Vec<String> {
    let mut reasons: Vec<String> = Vec::new();
    for say in causes(&view.tree, &view.stored.instance).into_iter().filter_map(|cause| cause.say.as_ref()) {
        if say != headline && !reasons.contains(say) {
            reasons.push(say.clone());
        }
    }
    reasons
}

/// The workflow to begin again, where the end and the parts that explain it do not ask for something else first.
fn again(portal: &Portal, visitor: &Visitor, view: &View) -> Option<Again> {
    let instance = &view.stored.instance;
    let over = !instance.is_open() && instance.status != Status::Success;
    let allows = |ended: &Instance| {
        let definition = portal.engine.definitions().of(&ended.workflow, ended.version).ok();
        let state = definition.as_ref().and_then(|definition| definition.state(&ended.state));
        state.and_then(|state| state.end()).is_none_or(|end| end.again)
    };
    let over = over && allows(instance) && causes(&view.tree, instance).into_iter().all(allows);
    let may =
        visitor.actor().is_some_and(|actor| actor.person == instance.owner && may_start(&view.definition, &actor));
    let again = || Again { workflow: instance.workflow.clone(), has_form: view.definition.start.form.is_some() };
    (over && may).then(again)
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

/// The part that is under way, however deep below.
fn deepest(view: &View) -> Option<&Instance> {
    let parts = rights::below(&view.tree, view.stored.instance.id);
    parts.into_iter().rev().map(|part| &part.instance).find(|instance| instance.is_open())
}

/// What the visitor does now, where something waits for them; else what goes on without them.
fn headline_of_state(portal: &Portal, visitor: &Visitor, view: &View, pairing: &Pairing) -> Option<String> {
    let asks = view.questions.iter().find(|question| !question.actions.is_empty());
    let asks = asks.and_then(|question| view.tree.iter().find(|part| part.instance.id == question.instance));
    let part = asks.map(|part| &part.instance).or_else(|| deepest(view))?;
    let definition = portal.engine.definitions().of(&part.workflow, part.version).ok()?;
    let state = definition.state(&part.state)?;
    let is_owners = view.stored.instance.owner.login == visitor.session.login;
    let is_visitors = match &state.kind {
        Kind::Ask(_) => asks.is_some(),
        _ => is_owners,
    };
    if let (Kind::Card(_), Some(connect)) = (&state.kind, pairing.headline()) {
        return Some(connect.to_owned());
    }
    let now = state.now.as_ref().filter(|_| is_visitors);
    Some(now.map_or_else(|| state.label.clone(), |now| fill(now, &part.data)))
}

/// At a time in seconds.
fn waits_for(view: &View, now: i64) -> Option<Elsewhere> {
    match &deepest(view)?.waiting {
        Waiting::Activity { failing: Some(failing), .. } => Some(Elsewhere::Retry {
            cause: in_words(&failing.class).0,
            since: time_text(failing.since * 1000),
            next: wait_text(failing.next - now),
        }),
        Waiting::Person if view.questions.is_empty() => Some(Elsewhere::Person),
        Waiting::Condition => Some(Elsewhere::Condition),
        _ => None,
    }
}

/// How long it takes until the next try, in words.
fn wait_text(seconds: i64) -> String {
    match seconds {
        ..=0 => "now".to_owned(),
        1 => "in a second".to_owned(),
        2..=90 => format!("in {seconds} seconds"),
        91..=5400 => format!("in {} minutes", (seconds + 30) / 60),
        _ => format!("in {} hours", (seconds + 1800) / 3600),
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
        data: question.data.iter().flat_map(|(name, value)| panels(name, value)).collect(),
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

/// Data that is shown: its name, and the names and values of its fields.
pub type Values = (String, Vec<(String, String)>);

/// Data that is shown: a list of records that have titles is a panel for each.
fn panels(name: &str, value: &Value) -> Vec<Values> {
    let titled = |element: &Value| {
        let mut fields = element.as_object()?.clone();
        let title = fields.remove("title")?;
        Some((visible(title.as_str()?), named(&fields).collect()))
    };
    let all = value.as_array().and_then(|elements| elements.iter().map(titled).collect::<Option<Vec<_>>>());
    match all.filter(|all| !all.is_empty()) {
        Some(all) => all,
        None => panel(name, value).into_iter().collect(),
    }
}

/// Data that is shown, as names and values.
pub fn panel(name: &str, value: &Value) -> Option<Values> {
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
        !is_id && !matches!(field, "id" | "dn" | "owner" | "has_factory_secrets" | "terms")
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
