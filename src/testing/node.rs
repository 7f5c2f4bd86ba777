//! A portal's engine and rooms in this process, and the world that outlives it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::Duration;

use data_encoding::BASE64;
use sealwright_workflow::instance::{Status, Timer, Waiting};
use sealwright_world::postgres::SharedDatabase;
use serde_json::{Map, Value, json};
use tokio::runtime::{self, Runtime};
use uuid::Uuid;

use super::card::{self, SimulatedCard};
use super::clock::TestClock;
use super::directory::{BIND_DN, PASSWORD, SimulatedDirectory};
use crate::audit::Origin;
use crate::cards::sealing::SealingKey;
use crate::clock::Clock;
use crate::config::Configuration;
use crate::engine::verbs::{Act, Caller, View};
use crate::in_process::FailPoints;
use crate::issuance::Certificate;
use crate::portal::{Portal, workflow_files};
use crate::store::instances::{self, Filter};
use crate::store::{StoreError, certificates, facts, timers, work};

/// Nothing in this process takes longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a dropped runtime may take to drop its tasks.
const LAST_WORK: Duration = Duration::from_secs(10);

/// The node was killed at the armed fail point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Killed;

/// How an instance came to rest.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    pub status: Status,
    pub state: String,
    /// An operator must repair it.
    pub is_stuck: bool,
    /// The outcomes of its activities and jobs, in order.
    pub outcomes: Vec<String>,
    pub data: Value,
}

/// Database, directory, card and clock: everything that a killed node leaves.
pub struct World {
    pub clock: Arc<TestClock>,
    pub directory: SimulatedDirectory,
    pub card: Arc<SimulatedCard>,
    folder: tempfile::TempDir,
    /// A database in the PostgreSQL server of the run; an SQLite file without it.
    postgres: Option<SharedDatabase>,
    node: Option<Node>,
    restarts: usize,
}

struct Node {
    runtime: Runtime,
    portal: Portal,
    points: Arc<FailPoints>,
    killed: Receiver<()>,
}

impl World {
    /// A world whose workflows are the built-in ones, and one of the test's own.
    pub fn new(workflow: Option<&str>) -> Self {
        Self::with(workflow, None, &[])
    }

    /// A world whose configuration has these texts in place of others.
    pub fn configured(changes: &[(&str, &str)]) -> Self {
        Self::with(None, None, changes)
    }

    /// Starts a new node with another configuration.
    pub fn reconfigure(&mut self, changes: &[(&str, &str)]) {
        self.kill();
        self.configure(None, changes);
        self.start();
    }

    /// The same on PostgreSQL, with the built-in workflows.
    pub fn on_postgres() -> Self {
        let shared = SharedDatabase::create().expect("a database");
        Self::with(None, Some(shared.expect("run this by `make test`, which starts a PostgreSQL server")), &[])
    }

    fn with(workflow: Option<&str>, postgres: Option<SharedDatabase>, changes: &[(&str, &str)]) -> Self {
        let mut world = Self {
            clock: Arc::new(TestClock::new()),
            directory: SimulatedDirectory::start(),
            card: Arc::new(SimulatedCard::new("20000001")),
            folder: tempfile::tempdir().expect("a folder"),
            postgres,
            node: None,
            restarts: 0,
        };
        world.write_keys();
        world.configure(workflow, changes);
        world.start();
        world
    }

    fn write_keys(&self) {
        let path = |name: &str| self.folder.path().join(name);
        std::fs::write(path("sealing-key"), SealingKey::generate().expect("a key").as_bytes()).expect("written");
        std::fs::write(path("ldap-password"), PASSWORD).expect("written");
        std::fs::write(path("proxy-secret"), "a secret of at least thirty-two characters").expect("written");
    }

    fn configure(&self, workflow: Option<&str>, changes: &[(&str, &str)]) {
        let path = |name: &str| self.folder.path().join(name);
        let workflows = workflow.map_or(String::new(), |text| {
            std::fs::create_dir(path("workflows")).expect("a folder");
            for (file, built_in) in workflow_files(None).expect("the built-in workflows") {
                let name = Path::new(&file).file_name().expect("a name").to_owned();
                std::fs::write(path("workflows").join(name), built_in).expect("written");
            }
            std::fs::write(path("workflows/trial.yaml"), text).expect("written");
            format!("workflows = \"{}\"", path("workflows").display())
        });
        let here = self.folder.path().display();
        let sqlite = || format!("sqlite:{here}/sealwright.db");
        let database = self.postgres.as_ref().map_or_else(sqlite, |postgres| postgres.url.clone());
        let authority = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/authority");
        let text = include_str!("portal.toml")
            .replace("{database}", &database)
            .replace("{here}", &here.to_string())
            .replace("{authority}", &authority.display().to_string())
            .replace("{directory}", &self.directory.url())
            .replace("{bind-dn}", BIND_DN)
            .replace("{workflows}", &workflows);
        let text = changes.iter().fold(text, |text, (from, to)| text.replace(from, to));
        std::fs::write(path("sealwright.toml"), text).expect("written");
    }

    /// Starts a node on what the last one has left.
    pub fn start(&mut self) {
        let (tell, killed) = mpsc::sync_channel(1);
        let points = FailPoints::new(move || {
            let _full = tell.try_send(());
        });
        let carried = points.clone();
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .on_thread_start(move || carried.carry())
            .enable_all()
            .build()
            .expect("a runtime");
        let configuration = Configuration::read(&self.folder.path().join("sealwright.toml")).expect("a configuration");
        let clock = self.clock.clone();
        let portal = runtime
            .block_on(async {
                let portal = Portal::build(configuration, clock).await?;
                // The leases of a killed node run out by the database's clock, which no test moves.
                work::end_leases(&portal.store).await?;
                anyhow::Ok(portal)
            })
            .expect("a portal");
        let engine = portal.engine.clone();
        runtime.spawn(async move { engine.run().await });
        self.node = Some(Node { runtime, portal, points, killed });
    }

    /// Drops the node with everything in its memory.
    pub fn kill(&mut self) {
        let Node { runtime, portal, .. } = self.node.take().expect("a node");
        drop(portal);
        runtime.shutdown_timeout(LAST_WORK);
    }

    pub fn restart(&mut self) {
        self.restarts += 1;
        self.kill();
        self.start();
    }

    /// Whether a node was started anew.
    pub fn is_restarted(&self) -> bool {
        self.restarts > 0
    }

    fn node(&self) -> &Node {
        self.node.as_ref().expect("a node")
    }

    pub fn portal(&self) -> &Portal {
        &self.node().portal
    }

    /// Arms a fail point of the node, and begins to record those that it passes.
    pub fn arm(&self, place: Option<(&'static str, usize)>) {
        self.node().points.arm(place);
    }

    /// Takes the armed fail point away; tells whether the node was killed at it.
    pub fn disarm(&self) -> bool {
        self.node().points.disarm()
    }

    pub fn passed(&self) -> Vec<&'static str> {
        self.node().points.passed()
    }

    /// Runs something in the node's runtime.
    pub fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<T, Killed> {
        let node = self.node();
        let (tell, result): (SyncSender<T>, _) = mpsc::sync_channel(1);
        node.runtime.spawn(async move {
            let value = work.await;
            drop(tell.send(value));
        });
        for _ in 0..PATIENCE.as_millis() {
            match result.recv_timeout(Duration::from_millis(1)) {
                Ok(value) => return Ok(value),
                Err(mpsc::RecvTimeoutError::Disconnected) => panic!("the work of a test has panicked"),
                Err(mpsc::RecvTimeoutError::Timeout) if node.killed.try_recv().is_ok() => return Err(Killed),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
        panic!("nothing came of it within {PATIENCE:?}");
    }

    /// Personalizes alice's card; gives the data that the workflow ends with.
    pub fn personalize(&self) -> Value {
        let id = self.begin("personalize", &json!({})).expect("no armed place");
        let end = self.settle(id).expect("no armed place");
        assert_eq!(end.status, Status::Success, "{end:?}");
        end.data
    }

    /// Suspends certificates, and leaves them in the directory.
    pub fn suspend(&self, certificates: &Value) {
        let (store, now) = (self.portal().store.clone(), self.clock.now_ms());
        let named: Vec<Certificate> = serde_json::from_value(certificates.clone()).expect("certificates");
        let suspended = self.run(async move {
            let write = store.write::<_, StoreError, _, _>(move |tx| {
                let ids: Vec<Uuid> = named.iter().map(|of| of.id.parse().expect("an id")).collect();
                async move {
                    for id in ids {
                        certificates::suspend(&tx, id, now).await?;
                    }
                    Ok(())
                }
            });
            write.await.expect("suspended");
        });
        suspended.expect("no armed place");
    }

    /// A request for a new key in a slot of the card, as workflows carry it.
    pub fn request(&self, slot: &str) -> Value {
        let slot = slot.to_owned().try_into().expect("a slot");
        json!({ "der": BASE64.encode(&self.card.make_key(slot)), "algorithm": "p-256", "signed": true })
    }

    /// Starts a workflow as alice, with data that the portal itself may give.
    pub fn begin(&self, workflow: &str, arguments: &Value) -> Result<Uuid, Killed> {
        self.begin_as("alice", workflow, arguments)
    }

    /// The same as somebody else.
    pub fn begin_as(&self, login: &str, workflow: &str, arguments: &Value) -> Result<Uuid, Killed> {
        let (portal, caller, workflow) = (self.portal().clone(), caller(login, "user"), workflow.to_owned());
        let arguments: Map<String, Value> = serde_json::from_value(arguments.clone()).expect("an object");
        self.run(async move { portal.engine.start_own(&caller, &workflow, arguments).await.expect("started") })
    }

    /// Everything that workflows leave: certificates, card, secrets, lists and directory, and how the audit counts it.
    pub fn facts(&self) -> Value {
        let portal = self.portal().clone();
        let audited = self.run(async move { facts::audited(portal.store.read()).await.expect("audit rows") });
        let mut audited = audited.expect("no armed place");
        // A killed node's agent pairs again, and a directory's values are found to be there already.
        audited.retain(|event, _| !["agent-", "code-", "certificates-"].iter().any(|kind| event.starts_with(kind)));
        json!({ "effects": self.effects(), "audited": audited })
    }

    /// The same without the audit.
    pub fn effects(&self) -> Value {
        let portal = self.portal().clone();
        let stored = self.run(async move { facts::effects(portal.store.read()).await.expect("rows") });
        json!({
            "stored": stored.expect("no armed place"),
            "card": self.card.slots(),
            "published": self.directory.published("alice"),
        })
    }

    /// The newest root of a workflow, if one was begun.
    pub fn newest(&self, workflow: &'static str) -> Option<Uuid> {
        let portal = self.portal().clone();
        let newest = self.run(async move {
            let filter = Filter { only_roots: true, ..Filter::default() };
            let listed = instances::list(portal.store.read(), &filter, 100).await.expect("a list");
            listed.into_iter().find(|of| of.workflow == workflow).map(|of| of.id)
        });
        newest.expect("no armed place")
    }

    /// An operator sends a stuck instance, or its stuck part, on its way again.
    pub fn repair(&self, id: Uuid) {
        let portal = self.portal().clone();
        let repaired = self.run(async move {
            let operator = caller("carl", "ca-operator");
            let view = portal.engine.view(&operator, id).await.expect("a view");
            let stuck = view.tree.iter().find(|part| part.instance.status == Status::Stuck).expect("stuck");
            let act = Act { step: stuck.instance.step, action: "resume".to_owned(), ..Act::default() };
            portal.engine.act(&operator, stuck.instance.id, act, None).await.expect("resumed");
        });
        repaired.expect("no armed place");
    }

    /// Lets the instance go on until it rests: it has ended, is stuck, or asks a person. The simulated agent does its jobs.
    pub fn settle(&self, id: Uuid) -> Result<End, Killed> {
        let settled = settled(self.portal().clone(), self.card.clone(), self.clock.clone(), id);
        self.run(settled)
    }

    /// Lets two instances go on at once, each with a card of its own.
    pub fn settle_both(&self, instances: [(Uuid, Arc<SimulatedCard>); 2]) -> Result<[End; 2], Killed> {
        let (portal, clock) = (self.portal().clone(), self.clock.clone());
        let settle = move |(id, card)| tokio::spawn(settled(portal.clone(), card, clock.clone(), id));
        self.run(async move {
            let [first, second] = instances.map(settle);
            [first.await.expect("settled"), second.await.expect("settled")]
        })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if self.node.is_some() {
            self.kill();
        }
    }
}

async fn settled(portal: Portal, card: Arc<SimulatedCard>, clock: Arc<TestClock>, id: Uuid) -> End {
    let mut agent = card::Agent::new(&portal, card);
    let mut listener = portal.engine.listen(id);
    loop {
        let view = portal.engine.view(&caller("carl", "ca-operator"), id).await.expect("a view");
        if let Some(end) = rest(&view) {
            return end;
        }
        if agent.work(id, &view.stored.instance.owner.login).await {
            continue;
        }
        // An attempt that was put off is made once the clock says so.
        let put_off = timers::scheduled_after(portal.store.read(), Timer::Retry.as_str(), clock.now_ms(), 1).await;
        if let Some(timer) = put_off.expect("timers").first() {
            clock.advance(time::Duration::milliseconds(timer.due_at - clock.now_ms()));
            portal.engine.wake();
        }
        let _changed = tokio::time::timeout(Duration::from_millis(20), listener.changed()).await;
    }
}

pub fn caller(login: &str, role: &str) -> Caller {
    Caller::new(login, role, &Origin::system("test"))
}

/// How the instance rests, if it does.
fn rest(view: &View) -> Option<End> {
    let instance = &view.stored.instance;
    let is_stuck = view.tree.iter().any(|part| part.instance.status == Status::Stuck);
    let asks = view.tree.iter().any(|part| part.instance.waiting == Waiting::Person);
    if instance.status == Status::Running && !is_stuck && !asks {
        return None;
    }
    let history = view.histories.get(&instance.id);
    let outcomes = history
        .into_iter()
        .flatten()
        .filter(|row| row.event == "completed")
        .filter_map(|row| row.detail.clone())
        .collect();
    Some(End {
        status: instance.status,
        state: instance.state.clone(),
        is_stuck,
        outcomes,
        data: serde_json::to_value(&instance.data).expect("JSON"),
    })
}
