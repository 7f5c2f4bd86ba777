//! What the agent says about jobs, and what it is to be told.

use sealwright_protocol::{Instruction, Report};
use sealwright_workflow::instance::Event;

use super::commit::Commit;
use super::undo::undo;
use super::{Engine, EngineError, dispatch};
use crate::audit::Origin;
use crate::fail_point;
use crate::store::jobs::{self, Holder, JobRecord};

impl Engine {
    /// What the agent is told to do for a job.
    ///
    /// # Errors
    /// [`EngineError::Activity`] when a secret cannot be opened.
    pub async fn instruction(&self, job: &JobRecord) -> Result<Instruction, EngineError> {
        let implementation = self.inner.registry.job(&job.name).ok_or(EngineError::Inconsistent("unknown job"))?;
        Ok(implementation.instruction(&job.plan).await?)
    }

    /// Records what an agent says of a job that it was handed, if it still holds the root and the job still waits for it.
    ///
    /// # Errors
    /// [`EngineError::Fenced`] when the agent was replaced or the job is over, [`EngineError::Unfit`] for another kind of report.
    pub async fn report(
        &self,
        agent: Holder,
        origin: Origin,
        job: &JobRecord,
        report: Report,
    ) -> Result<(), EngineError> {
        fail_point!(async "engine.report");
        let job = job.clone();
        dispatch::write(self, origin, move |engine, tx, origin| {
            let (row, report) = (job.clone(), report.clone());
            Box::pin(async move {
                let mut commit = Commit::new(&engine, &tx, &origin);
                let ended_at = engine.clock().now_ms();
                let stored = commit.take(jobs::defer_finish(&tx, row.id, agent, ended_at).await?);
                let stored = stored.ok_or(EngineError::Fenced)?;
                let step = u64::try_from(row.step).unwrap_or_default();
                let implementation =
                    engine.inner.registry.job(&row.name).ok_or(EngineError::Inconsistent("unknown job"))?;
                let instance = stored.instance.id;
                let event = match engine.failures.of(instance, step) {
                    Some(failure) => failure,
                    None => match implementation.record(&tx, &commit.call(&stored), row.plan, report).await {
                        Ok(Some((outcome, result))) => Event::Completed { step, outcome, result },
                        Ok(None) => return Err(EngineError::Unfit),
                        Err(failure) => return Err(undo(instance, step, failure)),
                    },
                };
                commit.apply(stored, event).await?;
                Ok(((), commit.finish().await?))
            })
        })
        .await
    }
}
