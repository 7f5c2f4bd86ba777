//! What the API says of instances.

use std::collections::BTreeMap;

use sealwright_workflow::definition::Kind;
use sealwright_workflow::instance::Instance;
use serde::Serialize;
use serde_json::{Map, Value};
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::clock::moment;
use crate::desk::instances::{HistoryRecord, Listed, Stored};
use crate::engine::Definitions;
use crate::engine::rights;
use crate::engine::verbs::View;

/// Where an instance stands.
#[derive(Serialize, ToSchema)]
pub struct Summary {
    pub id: Uuid,
    pub workflow: String,
    pub version: u32,
    pub state: String,
    /// Counts the states entered; an action names the one that was looked at.
    pub step: u64,
    /// `running`, `stuck`, `success`, `failure` or `cancelled`.
    pub status: String,
    /// The login of the person that the credential is for.
    pub owner: String,
    /// The login of the human who began the tree.
    pub requester: String,
    /// The role that the instance runs under.
    pub role: String,
    /// RFC 3339.
    pub started_at: String,
    pub changed_at: String,
    pub ended_at: Option<String>,
}

/// Several instances.
#[derive(Serialize, ToSchema)]
pub struct List {
    pub instances: Vec<Summary>,
}

/// An instance with everything around it.
#[derive(Serialize, ToSchema)]
pub struct InstanceView {
    #[serde(flatten)]
    pub summary: Summary,
    pub title: String,
    /// The closing sentence.
    pub say: Option<String>,
    /// The workflow's data, without what is secret.
    #[schema(value_type = Object)]
    pub data: Map<String, Value>,
    /// Names of the actions that the caller may take now.
    pub actions: Vec<String>,
    pub questions: Vec<Question>,
    /// The instance and its children, oldest first.
    pub tree: Vec<Part>,
    pub times: Times,
}

/// What an instance, or a part of it, asks.
#[derive(Serialize, ToSchema)]
pub struct Question {
    /// Where the answer goes.
    pub instance: Uuid,
    pub step: u64,
    pub text: String,
    /// The digest of what is shown; an approval sends it back.
    pub shown: String,
    #[schema(value_type = Object)]
    pub data: BTreeMap<String, Value>,
    /// The login of who works on it.
    pub claimed_by: Option<String>,
    pub actions: Vec<String>,
    pub approvals: Option<Approvals>,
}

/// How many people have said yes, and how many must.
#[derive(Serialize, ToSchema)]
pub struct Approvals {
    pub given: usize,
    pub needed: usize,
}

/// One instance of a tree, with its history.
#[derive(Serialize, ToSchema)]
pub struct Part {
    #[serde(flatten)]
    pub summary: Summary,
    pub parent: Option<Uuid>,
    pub say: Option<String>,
    pub history: Vec<Entry>,
}

/// Something that happened.
#[derive(Serialize, ToSchema)]
pub struct Entry {
    pub at: String,
    pub event: String,
    pub detail: Option<String>,
    pub state: String,
    pub step: i64,
    pub actor: Option<String>,
}

/// How long it took, in milliseconds.
#[derive(Serialize, ToSchema)]
pub struct Times {
    pub total_ms: i64,
    /// While a card job was outstanding.
    pub card_ms: i64,
    /// While neither a card nor a person was waited for.
    pub portal_ms: i64,
}

pub(super) fn time(milliseconds: i64) -> String {
    moment(milliseconds).format(&Rfc3339).unwrap_or_default()
}

impl Summary {
    pub fn of(listed: &Listed) -> Self {
        Self {
            id: listed.id,
            workflow: listed.workflow.clone(),
            version: listed.version,
            state: listed.state.clone(),
            step: listed.step,
            status: listed.status.as_str().to_owned(),
            owner: listed.owner.clone(),
            requester: listed.requester.clone(),
            role: listed.role.clone(),
            started_at: time(listed.started_at),
            changed_at: time(listed.changed_at),
            ended_at: listed.ended_at.map(time),
        }
    }

    fn of_stored(stored: &Stored) -> Self {
        let Instance { id, workflow, version, state, step, status, owner, requester, role, .. } = &stored.instance;
        Self {
            id: *id,
            workflow: workflow.clone(),
            version: *version,
            state: state.clone(),
            step: *step,
            status: status.as_str().to_owned(),
            owner: owner.login.clone(),
            requester: requester.login.clone(),
            role: role.clone(),
            started_at: time(stored.started_at),
            changed_at: time(stored.changed_at),
            ended_at: stored.ended_at.map(time),
        }
    }
}

impl InstanceView {
    /// `jobs`: when the jobs of its tree were queued and when they ended.
    pub fn of(view: &View, definitions: &Definitions, jobs: &[(i64, Option<i64>)]) -> Self {
        let actions = view.actions().iter().map(|action| action.name.text.clone());
        let operations = view.operations.iter().map(|operation| operation.as_str().to_owned());
        Self {
            summary: Summary::of_stored(&view.stored),
            say: view.stored.instance.say.clone(),
            title: view.definition.title.clone(),
            data: plain_data(view),
            actions: actions.chain(operations).collect(),
            questions: view.questions.iter().map(Question::of).collect(),
            tree: view.tree.iter().map(|part| Part::of(view, part)).collect(),
            times: times(view, definitions, jobs),
        }
    }
}

impl Question {
    fn of(question: &rights::Question) -> Self {
        Self {
            instance: question.instance,
            step: question.step,
            text: question.text.clone(),
            shown: question.shown.clone(),
            data: question.data.iter().cloned().collect(),
            claimed_by: question.claimed_by.clone(),
            actions: question.actions.iter().map(|action| action.name.text.clone()).collect(),
            approvals: question.approvals.map(|(given, needed)| Approvals { given, needed }),
        }
    }
}

impl Part {
    fn of(view: &View, part: &Stored) -> Self {
        let history = view.histories.get(&part.instance.id).map(Vec::as_slice).unwrap_or_default();
        let entry = |row: &HistoryRecord| Entry {
            at: time(row.at),
            event: row.event.clone(),
            detail: row.detail.clone(),
            state: row.state.clone(),
            step: row.step,
            actor: row.actor.clone(),
        };
        Self {
            summary: Summary::of_stored(part),
            say: part.instance.say.clone(),
            parent: part.instance.parent.as_ref().map(|parent| parent.id),
            history: history.iter().map(entry).collect(),
        }
    }
}

fn plain_data(view: &View) -> Map<String, Value> {
    let secret = |name: &str| view.definition.data.get(name).is_none_or(|field| field.secret);
    let data = &view.stored.instance.data;
    data.iter().filter(|(name, _)| !secret(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn times(view: &View, definitions: &Definitions, jobs: &[(i64, Option<i64>)]) -> Times {
    let Some(root) = view.tree.iter().find(|part| part.instance.id == view.stored.root) else {
        return Times { total_ms: 0, card_ms: 0, portal_ms: 0 };
    };
    let end = root.ended_at.unwrap_or(root.changed_at);
    let jobs: Vec<(i64, i64)> = jobs.iter().map(|(from, to)| (*from, to.unwrap_or(end))).collect();
    // A person is waited for while an `ask` state is entered and nothing followed.
    let mut waits = jobs.clone();
    for part in &view.tree {
        let history = view.histories.get(&part.instance.id).map(Vec::as_slice).unwrap_or_default();
        let definition = definitions.of(&part.instance.workflow, part.instance.version).ok();
        let asks = |state: &str| {
            let state = definition.as_ref().and_then(|definition| definition.state(state));
            state.is_some_and(|state| matches!(state.kind, Kind::Ask(_)))
        };
        for pair in history.windows(2) {
            if let [before, after] = pair
                && asks(&before.state)
            {
                waits.push((before.at, after.at));
            }
        }
    }
    let total = end - root.started_at;
    Times { total_ms: total, card_ms: covered(jobs), portal_ms: total - covered(waits) }
}

/// The length of the union of intervals.
fn covered(mut intervals: Vec<(i64, i64)>) -> i64 {
    intervals.sort_unstable();
    let mut sum = 0;
    let mut until = i64::MIN;
    for (from, to) in intervals {
        let from = from.max(until);
        if to > from {
            sum += to - from;
            until = to;
        }
    }
    sum
}
