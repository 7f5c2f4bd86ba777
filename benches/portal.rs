//! `make bench`: the figures of the README, measured in one run on this machine, beside the time of one flush to its disk.
//! `cargo bench --profile dist --workspace --bench portal -- alone` measures one part only (`alone`, `rate`, or `many` with the memory after many)
//! and writes nothing down.

#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a benchmark fails by a panic")]

mod disk;
mod figures;
mod pages;
mod process;
mod simulator;

#[path = "../tests/support/postgres.rs"]
mod postgres;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sealwright_world::world::{Programs, World, WorldOptions};

use figures::Figures;
use process::Process;
use simulator::Person;

/// Personalizations one after another, for what one costs.
const ALONE: usize = 60;
/// Agents at the same time, for how many there are in a second.
const AT_ONCE: usize = 48;
/// Personalizations after which memory is looked at.
const FEW: usize = 1_000;
const MANY: usize = 10_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut figures = Figures::default();
    let flush = disk::flush();
    figures.note("one flush to disk (fdatasync of 8 KiB)", flush.as_secs_f64() * 1e3, "ms");
    figures.note("signatures of P-256 on one core", process::signatures(), "/s");
    figures.note("a question to another thread and its answer", process::hand_over(), "µs");
    let only: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_asked_for = |part: &str| only.is_empty() || only.iter().any(|asked| asked == part);
    if is_asked_for("alone") {
        one_after_another(&mut figures, flush).await;
    }
    if is_asked_for("many") || is_asked_for("rate") {
        many_at_once(&mut figures, is_asked_for("many")).await;
    }
    figures.print();
    if !only.is_empty() {
        return;
    }
    figures.write(&Path::new(env!("CARGO_MANIFEST_DIR")).join("var/bench/results.json"));
}

fn programs() -> Programs {
    let portal = PathBuf::from(env!("CARGO_BIN_EXE_sealwright"));
    let beside = |name: &str| {
        let path = portal.with_file_name(name);
        assert!(path.exists(), "{} is missing: `make bench` builds it", path.display());
        path
    };
    Programs { agent: beside("sealwright-agent"), virtual_card: beside("virtual-card"), portal: portal.clone() }
}

/// A portal whose slots are both of P-256, and as many people as there are agents.
async fn world(folder: &Path, database: Option<String>) -> World {
    let mut options = WorldOptions::new(folder, programs());
    options.database = database;
    options.profiles = options.profiles.replace("[\"rsa-2048\", \"p-256\"]", "[\"p-256\"]");
    options.further_people = AT_ONCE;
    World::start(options).await.expect("a world")
}

/// What one personalization with two P-256 certificates costs the portal, on SQLite with every flush.
async fn one_after_another(figures: &mut Figures, flush: Duration) {
    let folder = disk::folder("alone");
    let world = world(folder.path(), None).await;
    let portal = Process::new(world.portal_id());
    // What it needed once, to open its keys, is given back.
    tokio::time::sleep(Duration::from_secs(5)).await;
    figures.most("memory of the idle portal", portal.memory(), "MB", 60.0);
    let mut person = Person::new(&world, 0);
    // The first ones fill caches.
    for _ in 0..5 {
        person.personalize().await;
    }
    let (mut shares, mut totals) = (Vec::new(), Vec::new());
    let (commits, processor) = (disk::commits(folder.path()), portal.processor());
    let mut journeys = Vec::new();
    for _ in 0..ALONE {
        let began = Instant::now();
        journeys.push(person.personalize().await);
        totals.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let (commits, processor) = (disk::commits(folder.path()) - commits, portal.processor() - processor);
    for journey in &journeys {
        shares.push(person.share_of_portal(journey).await);
    }
    let each = |whole: f64| whole / f64::from(u32::try_from(ALONE).unwrap_or(1));
    let commits = each(f64::from(commits));
    let allowed = 60.0 + commits * flush.as_secs_f64() * 1e3;
    figures.most("portal's share of a personalization", figures::median(&mut shares), "ms", allowed);
    figures.note("a whole personalization by a simulated card", figures::median(&mut totals), "ms");
    figures.most("processor time of a personalization", each(processor.as_secs_f64()) * 1e3, "ms", 25.0);
    figures.most("commits of a personalization", commits, "", 16.0);
    let page = pages::load(&world, &person.session()).await;
    figures.least("page with session", page.each_second, "/s", 5_000.0);
    figures.most("page with session, 99th percentile", page.slow.as_secs_f64() * 1e3, "ms", 50.0);
}

/// How many personalizations there are in a second with everything on, and, where it is asked for, what memory they leave behind.
async fn many_at_once(figures: &mut Figures, with_memory: bool) {
    let folder = disk::folder("many");
    let database = postgres::Postgres::start(folder.path(), true).await;
    // Database and portal share the machine: they speak through a socket of it.
    let url = format!("{}?host={}", database.url, folder.path().join("postgres").display());
    let world = world(&folder.path().join("world"), Some(url)).await;
    let portal = Process::new(world.portal_id());
    let people = (0..AT_ONCE).map(|number| Person::new(&world, number)).collect();
    let (people, first) = personalize(people, FEW).await;
    let few = portal.memory();
    figures.least("personalizations in a second", FEW as f64 / first.as_secs_f64(), "/s", 60.0);
    if !with_memory {
        return;
    }
    let (_, rest) = personalize(people, MANY - FEW).await;
    let many = portal.memory();
    figures.note(
        "personalizations in a second, of the following 9,000",
        (MANY - FEW) as f64 / rest.as_secs_f64(),
        "/s",
    );
    figures.note("memory after 1,000 personalizations", few, "MB");
    figures.most("memory after 10,000 personalizations", many, "MB", few + 5.0);
}

/// So many personalizations, shared by the people.
async fn personalize(people: Vec<Person>, count: usize) -> (Vec<Person>, Duration) {
    let (began, left) = (Instant::now(), Arc::new(AtomicUsize::new(count)));
    let tasks: Vec<_> = people
        .into_iter()
        .map(|mut person| {
            let left = left.clone();
            tokio::spawn(async move {
                let take = |left: usize| left.checked_sub(1);
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                    person.personalize().await;
                }
                person
            })
        })
        .collect();
    let mut people = Vec::new();
    for task in tasks {
        people.push(task.await.expect("a personalization"));
    }
    (people, began.elapsed())
}
