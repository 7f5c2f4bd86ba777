//! A portal's engine and rooms in this process, and the world that outlives it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::Duration;

use sealwright_workflow::instance::{Status, Timer, Waiting};
use serde_json::{Map, Value};
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
use crate::portal::Portal;
use crate::store::instances::{self, Filter};
use crate::store::{certificates, waits as timers, work};

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
    node: Option<Node>,
}

struct Node {
    runtime: Runtime,
    portal: Portal,
    points: Arc<FailPoints>,
    killed: Receiver<()>,
}

impl World {
    /// A world whose workflows are the built-in ones, or this one alone.
    pub fn new(workflow: Option<&str>) -> Self {
        let mut world = Self {
            clock: Arc::new(TestClock::new()),
            directory: SimulatedDirectory::start(),
            card: Arc::new(SimulatedCard::new("20000001")),
            folder: tempfile::tempdir().expect("a folder"),
            node: None,
        };
        world.configure(workflow);
        world.start();
        world
    }

    fn configure(&self, workflow: Option<&str>) {
        let path = |name: &str| self.folder.path().join(name);
        std::fs::write(path("sealing-key"), SealingKey::generate().expect("a key").as_bytes()).expect("written");
        std::fs::write(path("ldap-password"), PASSWORD).expect("written");
        std::fs::write(path("proxy-secret"), "a secret of at least thirty-two characters").expect("written");
        let workflows = workflow.map_or(String::new(), |text| {
            std::fs::create_dir(path("workflows")).expect("a folder");
            std::fs::write(path("workflows/trial.yaml"), text).expect("written");
            format!("workflows = \"{}\"", path("workflows").display())
        });
        let here = self.folder.path().display();
        let authority = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/authority");
        let text = include_str!("portal.toml")
            .replace("{here}", &here.to_string())
            .replace("{authority}", &authority.display().to_string())
            .replace("{directory}", &self.directory.address.to_string())
            .replace("{bind-dn}", BIND_DN)
            .replace("{workflows}", &workflows);
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
        self.kill();
        self.start();
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

    /// Starts a workflow as its owner, with data that the portal itself may give.
    pub fn begin(&self, login: &str, role: &str, workflow: &str, arguments: Value) -> Result<Uuid, Killed> {
        let (portal, caller, workflow) = (self.portal().clone(), caller(login, role), workflow.to_owned());
        let arguments: Map<String, Value> = serde_json::from_value(arguments).expect("an object");
        self.run(async move { portal.engine.start_own(&caller, &workflow, arguments).await.expect("started") })
    }

    /// How many certificates there are, by status.
    pub fn certificates(&self) -> BTreeMap<String, usize> {
        let portal = self.portal().clone();
        let counted = self.run(async move {
            let rows = certificates::all(portal.store.read()).await.expect("certificates");
            rows.into_iter().fold(BTreeMap::new(), |mut counts, row| {
                *counts.entry(row.status).or_default() += 1;
                counts
            })
        });
        counted.expect("no armed place")
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
        let (portal, card, clock) = (self.portal().clone(), self.card.clone(), self.clock.clone());
        self.run(async move {
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
                let put_off = timers::later_than(portal.store.read(), Timer::Retry.as_str(), clock.now_ms(), 1).await;
                if let Some(timer) = put_off.expect("timers").first() {
                    clock.advance(time::Duration::milliseconds(timer.due_at - clock.now_ms()));
                    portal.engine.wake();
                }
                let _changed = tokio::time::timeout(Duration::from_millis(20), listener.changed()).await;
            }
        })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if self.node.is_some() {
            self.kill();
        }
        self.directory.stop();
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
