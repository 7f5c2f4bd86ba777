//! What a node does by itself: performs planned activities, fires timers, reads inboxes, looks at conditions.

use std::sync::Arc;
use std::time::Duration;

use sealwright_workflow::definition;
use sealwright_workflow::instance::{Event, Timer, Waiting};
use sealwright_workflow::step::Rejection;
use uuid::Uuid;

use super::commit::{After, Commit, LEASE};
use super::contract::{Call, Failure, Recording};
use super::events::failed;
use super::undo::{Failures, undo};
use super::{Engine, EngineError};
use crate::audit::Origin;
use crate::clock::milliseconds;
use crate::fail_point;
use crate::store::timers::TimerRecord;
use crate::store::watches::WatchRecord;
use crate::store::work::{Capabilities, WorkRecord};
use crate::store::{Tx, inbox, instances, timers, watches, work};

/// How often a node looks without being told: the net below the wake-ups, and how other nodes' work is found.
pub(super) const POLL: Duration = Duration::from_secs(1);
/// A node rests so long between two looks.
const REST: Duration = Duration::from_millis(20);
const BATCH: u64 = 32;
/// A record that the database did not take is written again after this, then after twice as long, and so on; all in all for as long as a lease.
const AGAIN: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// Runs until the engine is stopped.
pub(super) async fn run(engine: &Engine) {
    while !engine.inner.stop.is_cancelled() {
        let looked_at = engine.clock().now_ms();
        if let Err(error) = look(engine).await {
            tracing::error!(%error, "the engine could not look for work");
        }
        let wait = wait(engine, looked_at).await;
        tokio::select! {
            () = engine.inner.stop.cancelled() => {}
            () = engine.inner.look.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Until the next timer is due. One that was due at the last look and is there still cannot go on here now.
async fn wait(engine: &Engine, looked_at: i64) -> Duration {
    let next = timers::next_due(engine.store().read(), looked_at).await.ok().flatten();
    let until = next.map(|due| due - engine.clock().now_ms());
    match until {
        Some(until) => Duration::from_millis(u64::try_from(until).unwrap_or(0)).clamp(REST, POLL),
        None => POLL,
    }
}

/// Looks at everything that waits, batch after batch: what cannot go on here stays and is passed over, so that it starves nothing behind it.
async fn look(engine: &Engine) -> Result<(), EngineError> {
    read_inboxes(engine).await?;
    fire_timers(engine).await?;
    ask_conditions(engine).await?;
    if work::is_pending(engine.store().read()).await? {
        take_up_work(engine).await?;
    }
    Ok(())
}

async fn read_inboxes(engine: &Engine) -> Result<(), EngineError> {
    let mut stayed = 0;
    loop {
        let instances = inbox::with_arrivals(engine.store().read(), stayed, BATCH).await?;
        if instances.is_empty() {
            return Ok(());
        }
        for instance in instances {
            stayed += u64::from(!has_gone(read_inbox(engine, instance).await, instance));
        }
    }
}

async fn fire_timers(engine: &Engine) -> Result<(), EngineError> {
    let mut stayed = 0;
    loop {
        let rows = timers::due(engine.store().read(), engine.clock().now_ms(), stayed, BATCH).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            let instance = row.instance;
            stayed += u64::from(!has_gone(fire(engine, row).await, instance));
        }
    }
}

/// Makes the attempts that wait longer than any may: they were put off by a clock that was ahead, and has been set back since.
pub(super) async fn make_up_attempts(engine: &Engine) -> Result<(), EngineError> {
    let longest = milliseconds(engine.clock().now() + definition::LONGEST_RETRY);
    for row in timers::scheduled_after(engine.store().read(), Timer::Retry.as_str(), longest, BATCH).await? {
        let instance = row.instance;
        let _is_made = has_gone(fire(engine, row).await, instance);
    }
    Ok(())
}

async fn ask_conditions(engine: &Engine) -> Result<(), EngineError> {
    let mut stayed = 0;
    loop {
        let rows = watches::list(engine.store().read(), stayed, BATCH).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            let holds = engine.inner.conditions.holds(engine, &row);
            stayed += u64::from(!(holds && has_gone(condition_held(engine, &row).await, row.instance)));
        }
    }
}

/// Leases activities and has them carried out beside this look.
async fn take_up_work(engine: &Engine) -> Result<(), EngineError> {
    for row in claim(engine).await? {
        let stored = match instances::find(engine.store().read(), row.instance).await {
            Ok(Some(stored)) => stored,
            // Its lease runs out, and it is tried again; the others go on.
            other => {
                tracing::error!(instance = %row.instance, error = ?other.err(), "an instance cannot be read");
                continue;
            }
        };
        let call = Call {
            instance: stored.instance,
            root: stored.root,
            now: engine.clock().now(),
            origin: Origin::system(&row.activity),
        };
        engine.spawn(carry_out(engine.clone(), row, call));
    }
    Ok(())
}

/// Whether what waited was taken away.
fn has_gone(result: Result<(), EngineError>, instance: Uuid) -> bool {
    match result {
        Ok(()) => return true,
        Err(EngineError::Rejected(Rejection::Stale)) => {}
        // Another node may have the release that this instance began under.
        Err(EngineError::Definition { name, version }) => {
            tracing::debug!(%instance, name, version, "left to another release");
        }
        Err(error) => tracing::error!(%instance, %error, "an event could not be applied"),
    }
    false
}

async fn claim(engine: &Engine) -> Result<Vec<WorkRecord>, EngineError> {
    let activities = engine.inner.registry.activity_names();
    let capabilities = Capabilities { activities, definitions: engine.definitions().known().collect() };
    let node = engine.node().to_owned();
    let claimed = engine
        .store()
        .write(move |tx| {
            let (node, capabilities) = (node.clone(), capabilities.clone());
            async move {
                let rows = work::claim(&tx, &node, &capabilities, LEASE, BATCH).await?;
                // Nothing to claim is nothing to commit.
                if rows.is_empty() { Err(EngineError::NotFound) } else { Ok(rows) }
            }
        })
        .await;
    match claimed {
        Err(EngineError::NotFound) => Ok(Vec::new()),
        other => other,
    }
}

/// Tells an instance that its condition holds.
async fn condition_held(engine: &Engine, row: &WatchRecord) -> Result<(), EngineError> {
    let (id, step) = (row.instance, u64::try_from(row.step).unwrap_or_default());
    write(engine, Origin::system("engine"), move |engine, tx, origin| {
        Box::pin(async move {
            let mut commit = Commit::new(&engine, &tx, &origin);
            let Some(stored) = commit.lock(id).await? else { return Ok(((), After::default())) };
            watches::remove(&tx, id).await?;
            // Another node may have told it, and it may wait for something else by now.
            if stored.instance.waiting == Waiting::Condition {
                commit.apply(stored, Event::ConditionHeld { step }).await?;
            }
            Ok(((), commit.finish().await?))
        })
    })
    .await
}

async fn read_inbox(engine: &Engine, id: Uuid) -> Result<(), EngineError> {
    fail_point!(async "engine.inbox");
    write(engine, Origin::system("engine"), move |engine, tx, origin| {
        Box::pin(async move {
            let mut commit = Commit::new(&engine, &tx, &origin);
            commit.read_inbox(id).await?;
            Ok(((), commit.finish().await?))
        })
    })
    .await
}

async fn fire(engine: &Engine, row: TimerRecord) -> Result<(), EngineError> {
    fail_point!(async "engine.timer");
    let name = Timer::from_word(&row.timer).ok_or(EngineError::Inconsistent("unknown timer"))?;
    write(engine, Origin::system("engine"), move |engine, tx, origin| {
        let row = row.clone();
        Box::pin(async move {
            let mut commit = Commit::new(&engine, &tx, &origin);
            let stored = commit.lock(row.instance).await?;
            // Looked up before the lock: it may have been fired elsewhere or armed anew since, and the new one must stay.
            let is_the_same = timers::take(&tx, &row).await?;
            let Some(stored) = stored.filter(|_| is_the_same) else { return Ok(((), After::default())) };
            let step = u64::try_from(row.step).unwrap_or_default();
            match commit.apply(stored, Event::TimerFired { step, timer: name }).await {
                // The timer is gone either way.
                Ok(()) | Err(EngineError::Rejected(Rejection::Stale)) => {}
                Err(other) => return Err(other),
            }
            Ok(((), commit.finish().await?))
        })
    })
    .await
}

type Boxed<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;

/// A transaction of the engine: what follows from it is done once it is committed, also when the caller has gone.
pub(super) async fn write<T, F>(engine: &Engine, origin: Origin, work: F) -> Result<T, EngineError>
where
    T: Send + 'static,
    F: Fn(Engine, Tx, Origin) -> Boxed<Result<(T, After), EngineError>> + Send + Sync + 'static,
{
    let at_home = Engine { failures: Failures::default(), ..engine.clone() };
    let work = Arc::new(work);
    let writing = async move {
        loop {
            let (inner, work, origin) = (at_home.clone(), work.clone(), origin.clone());
            match at_home.store().write(move |tx| work(inner.clone(), tx, origin.clone())).await {
                Ok((value, after)) => {
                    follow(&at_home, after);
                    return Ok(value);
                }
                // Each run keeps a failure that the ones before did not meet.
                Err(error) if at_home.failures.keep(&error) => {}
                Err(error) => return Err(error),
            }
        }
    };
    engine.store().runtime().run(writing).await?
}

fn follow(engine: &Engine, after: After) {
    for (row, call) in after.work {
        engine.spawn(carry_out(engine.clone(), row, call));
    }
    for instance in after.inboxes {
        let reading = engine.clone();
        engine.spawn(async move { has_gone(read_inbox(&reading, instance).await, instance) });
    }
    let mut roots = after.roots;
    roots.sort_unstable();
    roots.dedup();
    for root in roots {
        engine.announce(root);
    }
    if after.look {
        engine.inner.look.notify_one();
    }
}

/// Performs, records and logs one activity.
async fn carry_out(engine: Engine, row: WorkRecord, call: Call) {
    let (instance, activity) = (row.instance, row.activity.clone());
    let started = engine.clock().now();
    let result = perform(&engine, row, call).await;
    let taken = engine.clock().now() - started;
    let duration = taken.whole_milliseconds();
    let outcome = result.as_ref().map_or("not-recorded", String::as_str).to_owned();
    let labels = [("activity", activity.clone()), ("outcome", outcome)];
    metrics::histogram!("sealwright_activity_seconds", &labels).record(taken.as_seconds_f64().max(0.0));
    match result {
        Ok(outcome) => tracing::info!(%instance, activity, outcome, duration, "activity"),
        Err(error) => tracing::warn!(%instance, activity, %error, duration, "activity was not recorded"),
    }
}

/// Performs and records one claimed activity; gives its outcome's name for the log.
async fn perform(engine: &Engine, row: WorkRecord, call: Call) -> Result<String, EngineError> {
    let step = u64::try_from(row.step).unwrap_or_default();
    let activity =
        engine.inner.registry.activity(&row.activity).ok_or(EngineError::Inconsistent("unknown activity"))?;
    fail_point!(async "engine.perform.before");
    let performed = tokio::select! {
        performed = activity.perform(&call, &row.plan) => performed,
        lost = keep_lease(engine, &row) => return Err(lost),
    };
    fail_point!(async "engine.perform.after");
    let performed: Arc<_> = match performed {
        Ok(recording) => Ok(recording),
        Err(Failure::Store(error)) => return Err(EngineError::Store(error)),
        Err(failure) => {
            tracing::warn!(instance = %row.instance, activity = row.activity, class = %failure, "activity failed");
            Err(failed(step, failure)?)
        }
    }
    .into();
    let mut wait = AGAIN;
    loop {
        match record(engine, row.clone(), step, Arc::clone(&performed)).await {
            // What was done is known here alone: it is written down once the database is back, unless somebody else does it anew by then.
            Err(EngineError::Store(error)) if wait < LONGEST_WAIT && !engine.inner.stop.is_cancelled() => {
                tracing::warn!(instance = %row.instance, activity = row.activity, %error, "recorded again");
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            other => return other,
        }
    }
}

async fn record(
    engine: &Engine,
    row: WorkRecord,
    step: u64,
    performed: Arc<Result<Box<dyn Recording>, Event>>,
) -> Result<String, EngineError> {
    let origin = Origin::system(&row.activity);
    write(engine, origin, move |engine, tx, origin| {
        let (performed, row) = (performed.clone(), row.clone());
        Box::pin(async move {
            let mut commit = Commit::new(&engine, &tx, &origin);
            // The fence: an older holder of the lease records nothing.
            let stored = commit.take(work::defer_finish(&tx, &row).await?).ok_or(EngineError::Fenced)?;
            let instance = stored.instance.id;
            let event = match (engine.failures.of(instance, step), performed.as_ref()) {
                (Some(failure), _) => failure,
                (None, Err(event)) => event.clone(),
                (None, Ok(recording)) => match recording.record(&tx, &commit.call(&stored)).await {
                    Ok((outcome, result)) => Event::Completed { step, outcome, result },
                    Err(failure) => return Err(undo(instance, step, failure)),
                },
            };
            let name = match &event {
                Event::Completed { outcome, .. } => outcome.clone(),
                _ => "failed".to_owned(),
            };
            commit.apply(stored, event).await?;
            Ok((name, commit.finish().await?))
        })
    })
    .await
}

/// Ends only when the lease is lost.
async fn keep_lease(engine: &Engine, row: &WorkRecord) -> EngineError {
    let third = Duration::from_millis(u64::try_from(LEASE / 3).unwrap_or(10_000));
    loop {
        tokio::time::sleep(third).await;
        let (node, held) = (engine.node().to_owned(), [(row.id, row.lease_epoch)]);
        let kept = engine
            .store()
            .write::<_, EngineError, _, _>(move |tx| {
                let node = node.clone();
                async move { Ok(work::heartbeat(&tx, &node, &held, LEASE).await?) }
            })
            .await;
        match kept {
            Ok(0) => return EngineError::Fenced,
            Ok(_) => {}
            // The lease may still be ours; the fence decides.
            Err(error) => tracing::warn!(%error, "a lease could not be extended"),
        }
    }
}
