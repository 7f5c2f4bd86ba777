//! What the agent says about jobs, and what it is to be told.

use sealwright_protocol::{Instruction, Report};
use sealwright_workflow::instance::Event;
use uuid::Uuid;

use super::commit::Commit;
use super::contract::Failure;
use super::events::failed;
use super::{Engine, EngineError, dispatch};
use crate::audit::Origin;
use crate::fail_point;
use crate::store::jobs::JobRow;
use crate::store::{jobs, pairings};

impl Engine {
    /// The jobs that wait for the agent of a root, oldest first.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub async fn queued_jobs(&self, root: Uuid) -> Result<Vec<JobRow>, EngineError> {
        Ok(jobs::queued(self.store().read(), root).await?)
    }

    /// What the agent is told to do for a job.
    ///
    /// # Errors
    /// [`EngineError::Activity`] when a secret cannot be opened.
    pub async fn instruction(&self, job: &JobRow) -> Result<Instruction, EngineError> {
        let implementation = self.inner.registry.job(&job.name).ok_or(EngineError::Activity("unknown job"))?;
        Ok(implementation.instruction(&job.plan).await?)
    }

    /// Records a report, if it comes from the session of the agent that holds the root, and the job still waits for it.
    ///
    /// # Errors
    /// [`EngineError::Fenced`] when the session was replaced or the job is over, [`EngineError::Unfit`] for another kind of report.
    pub async fn report(&self, pairing: Uuid, epoch: i64, job: Uuid, report: Report) -> Result<(), EngineError> {
        fail_point!("engine.report");
        dispatch::write(self, Origin::system("agent"), move |engine, tx, mut origin| {
            let report = report.clone();
            Box::pin(async move {
                let holder = pairings::lock(&tx, pairing).await?.ok_or(EngineError::Fenced)?;
                if holder.epoch != epoch || holder.state != "confirmed" {
                    return Err(EngineError::Fenced);
                }
                let row = jobs::find(&tx, job).await?.ok_or(EngineError::Fenced)?;
                if row.root != holder.root {
                    return Err(EngineError::Fenced);
                }
                // The instance first, as every other step does.
                origin.login = Some(holder.login);
                let mut commit = Commit::new(&engine, &tx, &origin);
                let stored = commit.lock(row.instance).await?.ok_or(EngineError::Fenced)?;
                if !jobs::end(&tx, job, "done", engine.clock().now_ms()).await? {
                    return Err(EngineError::Fenced);
                }
                let step = u64::try_from(row.step).unwrap_or_default();
                let implementation =
                    engine.inner.registry.job(&row.name).ok_or(EngineError::Activity("unknown job"))?;
                let event = match implementation.record(&tx, &commit.call(&stored), row.plan, report).await {
                    Ok(Some((outcome, result))) => Event::Completed { step, outcome, result },
                    Ok(None) => return Err(EngineError::Unfit),
                    Err(failure @ Failure::Store(_)) => return Err(failure.into()),
                    Err(failure) => failed(step, failure)?,
                };
                commit.apply(stored, event).await?;
                Ok(((), commit.finish().await?))
            })
        })
        .await
    }
}
