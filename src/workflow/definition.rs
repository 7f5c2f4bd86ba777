//! A workflow as it was declared: the typed model of one YAML file.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use time::Duration;

use crate::diagnostic::Position;
use crate::guard::Guard;
use crate::types::Type;

/// Names that no `ask` may give an action: what can be done with an instance whatever its state offers.
pub const RESERVED_ACTIONS: [&str; 4] = ["resume", "cancel", "claim", "release"];

/// A word of the file and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    pub at: Position,
}

impl Word {
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// One workflow of one version.
#[derive(Clone, Debug)]
pub struct Definition {
    pub file: String,
    pub name: Word,
    pub version: u32,
    pub title: String,
    /// Stages of the way, in their order, which the page shows from the start; empty where there are none.
    pub stages: Vec<Word>,
    pub start: Start,
    /// Data or `owner` that at most one open instance may hold from the start. Of a child nothing is held: it belongs to another tree.
    pub holds: Vec<Word>,
    pub see: Vec<Party>,
    /// Roles that send a stuck activity on its way again, or end an instance that cannot go on.
    pub repair: Vec<Word>,
    /// Who may end an instance because it is not wanted any more.
    pub cancel: Option<Cancel>,
    /// Ends the whole instance at the named state.
    pub deadline: Option<Deadline>,
    pub data: BTreeMap<String, Field>,
    /// In the order of the file; the first one is where an instance begins.
    pub states: Vec<State>,
}

impl Definition {
    pub fn state(&self, name: &str) -> Option<&State> {
        self.states.iter().find(|state| state.name.text == name)
    }

    /// Whether the way leads straight to success: then what was done counts, cancelled or not. A failure does not: whoever stopped is told that
    /// it was stopped, and not what else went wrong on the way out.
    pub fn succeeds_now(&self, next: &Next) -> bool {
        next.to.states().all(|name| {
            let end = self.state(&name.text).and_then(State::end);
            end.is_some_and(|end| end.outcome == EndOutcome::Success)
        })
    }

    /// The ends that can be reached from a state by its own ways, a cancellation and the deadline of the whole left out.
    pub fn ends_after(&self, state: &str) -> BTreeSet<EndOutcome> {
        let (mut ends, mut seen, mut work) = (BTreeSet::new(), BTreeSet::new(), vec![state]);
        while let Some(name) = work.pop() {
            let Some(state) = self.state(name).filter(|_| seen.insert(name)) else { continue };
            ends.extend(state.end().map(|end| end.outcome));
            work.extend(state.ways().into_iter().flat_map(|next| next.to.states()).map(Word::as_str));
        }
        ends
    }

    /// What an instance that ended well gives to its parent: the fields of `result` and where each is read from.
    pub fn success_results(&self) -> impl Iterator<Item = &BTreeMap<String, Path>> {
        self.states.iter().filter_map(|state| match &state.kind {
            Kind::End(end) if end.outcome == EndOutcome::Success => Some(&end.result),
            _ => None,
        })
    }

    /// Names of the child workflows that this one starts.
    pub fn children(&self) -> impl Iterator<Item = &Word> {
        self.states.iter().filter_map(|state| match &state.kind {
            Kind::Run(run) => Some(&run.workflow),
            Kind::Fork(fork) => Some(&fork.run.workflow),
            _ => None,
        })
    }
}

/// Who may start a workflow.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Empty for a workflow that only another one starts.
    pub by: Vec<Party>,
    /// The field with the subject of the instance; `about` in YAML.
    ///
    /// The start names the subject by its id, and the host looks it up. Its owner is the instance's.
    pub subject: Option<Word>,
    /// A path of the portal that shows it without the menu.
    pub link: Option<Word>,
    /// What a person fills in and confirms before an instance exists.
    pub form: Option<Form>,
    /// The host starts one so long after the last one, when none is under way.
    pub every: Option<Duration>,
}

impl Start {
    /// Whether somebody can start it out of nothing, by a role alone.
    pub fn is_by_role(&self, role: &str) -> bool {
        self.subject.is_none() && self.by.iter().any(|party| matches!(party, Party::Role(known) if known.text == role))
    }
}

/// The form of a start. Each of its fields becomes the data of the same name.
#[derive(Clone, Debug)]
pub struct Form {
    /// Where the form begins in the file.
    pub at: Position,
    pub question: String,
    pub fields: Vec<Input>,
    /// The words of the button.
    pub label: String,
    pub confirm: Option<String>,
}

/// Who may end an instance, and the state that it then goes to where no `if-cancelled` says otherwise.
#[derive(Clone, Debug)]
pub struct Cancel {
    pub by: Vec<Party>,
    pub to: Word,
}

/// Somebody named by a right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Party {
    Owner,
    Requester,
    Role(Word),
}

/// A field of the data.
#[derive(Clone, Debug)]
pub struct Field {
    pub at: Position,
    /// `Optional` when the field may stay unset.
    pub field_type: Type,
    /// The value is a reference to a sealed row and is never shown.
    pub secret: bool,
    pub default: Option<Default>,
}

/// Where a field's first value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Default {
    Literal(Value),
    /// Copied from the configuration when the instance starts.
    Policy(String),
}

impl State {
    /// Whether a cancellation does not end what is done here: `if-cancelled` names the state itself.
    pub fn goes_on_when_cancelled(&self) -> bool {
        let itself = |target: &Target| target.guards.is_empty() && target.otherwise.text == self.name.text;
        self.if_cancelled.as_ref().is_some_and(itself)
    }
}

/// A node of the state machine.
#[derive(Clone, Debug)]
pub struct State {
    pub name: Word,
    /// A few words for the progress list; made from the name when the file gives none.
    pub label: String,
    pub kind: Kind,
    /// What whoever it waits for does now, in the imperative: the owner, or who may answer what is asked.
    pub now: Option<String>,
    /// Of the definition's stages the one that it belongs to.
    pub stage: Option<Word>,
    /// Data that the page shows here.
    pub show: Vec<Word>,
    pub deadline: Option<Deadline>,
    pub if_cancelled: Option<Target>,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Ask(Ask),
    Do(Call),
    Card(Call),
    Run(Run),
    Fork(Fork),
    Wait(Wait),
    End(End),
}

impl Kind {
    /// The key that names this kind in the file.
    pub fn word(&self) -> &'static str {
        match self {
            Kind::Ask(_) => "ask",
            Kind::Do(_) => "do",
            Kind::Card(_) => "card",
            Kind::Run(_) => "run",
            Kind::Fork(_) => "fork",
            Kind::Wait(_) => "wait",
            Kind::End(_) => "end",
        }
    }
}

/// Waits for a person.
#[derive(Clone, Debug)]
pub struct Ask {
    pub question: String,
    pub actions: Vec<Action>,
}

#[derive(Clone, Debug)]
pub struct Action {
    pub name: Word,
    pub label: String,
    /// What the history says of whoever took it, after their name: `rejected the request`.
    pub did: Option<String>,
    pub by: Vec<Party>,
    /// People who may not take it, whatever their role.
    pub never: Vec<Party>,
    /// How many people must take it, each once: an approval, which binds to what was shown.
    pub people: Option<People>,
    pub fields: Vec<Input>,
    pub confirm: Option<String>,
    pub next: Next,
}

/// A number of people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum People {
    Number(u32),
    /// Read from the data, an integer; less than one counts as one.
    Path(Path),
}

/// A field of an action's form, or of a start's.
#[derive(Clone, Debug)]
pub struct Input {
    pub name: Word,
    pub label: String,
    pub input_type: Type,
    /// Least and greatest number of characters, for text.
    pub length: (usize, usize),
    /// The words to choose from; empty for text.
    pub choices: Vec<String>,
}

/// A call of an activity (`do`) or of a job for the agent (`card`).
#[derive(Clone, Debug)]
pub struct Call {
    pub name: Word,
    pub with: BTreeMap<String, Argument>,
    pub retry: Option<Retry>,
    pub next: Outcomes,
}

/// Outcomes in the order of the file, closed by an optional `otherwise`.
#[derive(Clone, Debug, core::default::Default)]
pub struct Outcomes {
    pub named: Vec<(Word, Next)>,
    pub otherwise: Option<Next>,
}

impl Outcomes {
    pub fn get(&self, outcome: &str) -> Option<&Next> {
        self.named.iter().find(|(name, _)| name.text == outcome).map(|(_, next)| next).or(self.otherwise.as_ref())
    }

    pub fn all(&self) -> impl Iterator<Item = &Next> {
        self.named.iter().map(|(_, next)| next).chain(&self.otherwise)
    }
}

/// A value given to a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    pub at: Position,
    pub value: ArgumentValue,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ArgumentValue {
    /// As read: what the words mean is decided by the parameter's type, when definitions are linked.
    Word(String),
    Words(Vec<Word>),
    /// Linked: read from the data.
    Path(Path),
    /// Linked: a list of what is read from the data.
    Paths(Vec<Path>),
    /// Linked: the value itself.
    Literal(Value),
}

/// `person.mail`: a root and the fields below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub at: Position,
    pub root: String,
    pub fields: Vec<String>,
}

impl Path {
    /// Reads `a.b.c`; `None` when a part is no snake_case name.
    pub fn parse(text: &str, at: Position) -> Option<Self> {
        let mut parts = text.split('.').map(str::to_owned);
        let root = parts.next()?;
        let fields: Vec<String> = parts.collect();
        let valid = |part: &String| {
            part.starts_with(|first: char| first.is_ascii_lowercase())
                && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        (valid(&root) && fields.iter().all(valid)).then_some(Self { at, root, fields })
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.root)?;
        self.fields.iter().try_for_each(|field| write!(out, ".{field}"))
    }
}

/// The longest that one attempt may wait for the next.
pub const LONGEST_RETRY: Duration = Duration::days(1);

/// Repeats of a call that failed for a passing reason.
#[derive(Clone, Debug)]
pub struct Retry {
    pub after: Vec<Word>,
    /// Tries in all, the first one included; `None` where it is tried until the deadline of the state, or else of the whole instance.
    pub attempts: Option<u32>,
    /// The wait before the second try, doubled for each further one.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl Retry {
    /// The wait after `attempts` failed tries, before jitter.
    pub fn wait(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(20);
        (self.first * (1_u32 << doublings)).min(self.longest)
    }
}

/// What is kept of an outcome, and where to go.
#[derive(Clone, Debug)]
pub struct Next {
    pub at: Position,
    pub keep: Vec<(Word, Path)>,
    /// Data that the instance holds from here on.
    pub holds: Option<Word>,
    pub to: Target,
    /// What the history says of it, a whole sentence.
    pub say: Option<String>,
    pub mark: Option<Mark>,
}

/// How the progress list marks a step that was left by a way that goes on all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Something is left undone.
    Undone,
    /// It failed, and something else is tried.
    Failed,
}

/// The next state: the first guard that holds, else `otherwise`.
#[derive(Clone, Debug)]
pub struct Target {
    pub guards: Vec<(Guard, Word)>,
    pub otherwise: Word,
}

impl Target {
    pub fn states(&self) -> impl Iterator<Item = &Word> {
        self.guards.iter().map(|(_, state)| state).chain(std::iter::once(&self.otherwise))
    }
}

/// One child workflow.
#[derive(Clone, Debug)]
pub struct Run {
    pub workflow: Word,
    pub with: BTreeMap<String, Argument>,
    /// The role that the child runs under; `owner` means the role of the person's own session.
    pub role: Party,
    pub next: Outcomes,
}

/// One child for each element of a list.
#[derive(Clone, Debug)]
pub struct Fork {
    pub run: Run,
    /// The name of the element in `with`.
    pub variable: Word,
    pub over: Path,
    /// How many run together.
    pub at_once: u32,
}

/// Waits until a condition of the world holds.
#[derive(Clone, Debug)]
pub struct Wait {
    pub until: Word,
    /// The subject of the condition, `about` in YAML: a text.
    pub subject: Option<Path>,
    pub next: Next,
}

#[derive(Clone, Debug)]
pub struct End {
    pub outcome: EndOutcome,
    /// A sentence for the person; `{field.part}` is replaced.
    pub say: Option<String>,
    /// Whether the page offers to start again at once; only where it ended without success.
    pub again: bool,
    pub result: BTreeMap<String, Path>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndOutcome {
    Success,
    Failure,
    Cancelled,
}

impl EndOutcome {
    pub const ALL: [EndOutcome; 3] = [EndOutcome::Success, EndOutcome::Failure, EndOutcome::Cancelled];

    pub fn as_str(self) -> &'static str {
        match self {
            EndOutcome::Success => "success",
            EndOutcome::Failure => "failure",
            EndOutcome::Cancelled => "cancelled",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Deadline {
    pub after: Duration,
    pub to: Word,
}

impl State {
    /// The sentences with places for data: the question or what an end says, and what is to be done now.
    pub fn sentences(&self) -> impl Iterator<Item = &str> {
        let own = match &self.kind {
            Kind::Ask(ask) => Some(ask.question.as_str()),
            Kind::End(end) => end.say.as_deref(),
            Kind::Do(_) | Kind::Card(_) | Kind::Run(_) | Kind::Fork(_) | Kind::Wait(_) => None,
        };
        own.into_iter().chain(self.now.as_deref())
    }

    /// What kind of end it is, if it is one.
    pub fn end(&self) -> Option<&End> {
        match &self.kind {
            Kind::End(end) => Some(end),
            Kind::Ask(_) | Kind::Do(_) | Kind::Card(_) | Kind::Run(_) | Kind::Fork(_) | Kind::Wait(_) => None,
        }
    }

    /// Every way out of the state, with what is kept on it.
    pub fn ways(&self) -> Vec<&Next> {
        match &self.kind {
            Kind::Ask(ask) => ask.actions.iter().map(|action| &action.next).collect(),
            Kind::Do(call) | Kind::Card(call) => call.next.all().collect(),
            Kind::Run(run) => run.next.all().collect(),
            Kind::Fork(fork) => fork.run.next.all().collect(),
            Kind::Wait(wait) => vec![&wait.next],
            Kind::End(_) => Vec::new(),
        }
    }

    /// Every state that may follow, by whatever way.
    pub fn targets(&self) -> Vec<&Word> {
        let mut targets: Vec<&Word> = self.ways().into_iter().flat_map(|next| next.to.states()).collect();
        targets.extend(self.deadline.iter().map(|deadline| &deadline.to));
        targets.extend(self.if_cancelled.iter().flat_map(Target::states));
        targets
    }
}
