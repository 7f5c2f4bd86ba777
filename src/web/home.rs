//! The start page: what can be started in this role, and what was started before.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::instance::{Form, Row, row};
use super::{Frame, render, see_other};
use crate::desk::instances::{self, Listed, Wanted};
use crate::engine::rights::may_start;
use crate::engine::verbs::Repaired;
use crate::engine::{EngineError, in_words};
use crate::http::{Failure, Submitted, Visitor};
use crate::portal::Portal;

/// How many are listed of what waits, is open or is stuck; a list of so many says that there may be more.
const MOST: u64 = 100;
/// How many of the latest instances are looked at for those that have ended.
const RECENT: u64 = 25;

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    frame: Frame,
    /// Questions that wait for the visitor, as the owner or in the role.
    tasks: Vec<Row>,
    starts: Vec<Start>,
    stuck: Vec<Row>,
    /// The visitor may have some of what is stuck tried again.
    repairs: bool,
    /// How many were tried again just now, and how many could not be.
    repaired: Option<(u64, u64)>,
    lists: Vec<(&'static str, Vec<Row>)>,
    most: usize,
}

/// A workflow that can be started, or the open instance of it.
struct Start {
    workflow: String,
    title: String,
    open: Option<String>,
    /// A form comes first.
    has_form: bool,
}

#[derive(Deserialize)]
pub struct Query {
    tried: Option<u64>,
    failed: Option<u64>,
}

pub async fn get(
    portal: web::Data<Portal>,
    query: web::Query<Query>,
    visitor: Visitor,
) -> Result<HttpResponse, Failure> {
    let Some(caller) = visitor.caller() else { return Ok(see_other("/role")) };
    let mut starts = Vec::new();
    for definition in portal.engine.definitions().all() {
        if may_start(definition, &caller.actor) {
            let workflow = &definition.name.text;
            starts.push(Start {
                open: portal.engine.held(&caller, workflow).await?.map(|id| id.to_string()),
                workflow: workflow.clone(),
                title: definition.title.clone(),
                has_form: definition.start.form.is_some(),
            });
        }
    }
    let engine = &portal.engine;
    let rows = |found: Arc<[Listed]>| -> Vec<Row> { found.iter().filter_map(|listed| row(&portal, listed)).collect() };

    let own = rows(instances::questions(engine, &caller, MOST).await?);
    let mut of_role = rows(instances::tasks(engine, &caller, MOST).await?);
    // What asks both the owner and the role is one question.
    of_role.retain(|task| own.iter().all(|known| known.id != task.id));
    let tasks = [own, of_role].concat();

    let found = instances::stuck(engine, &caller, MOST).await?;
    let causes = instances::stuck_for(engine, &found).await.map_err(EngineError::from)?;
    let repairs = found.iter().any(|listed| engine.may_repair(&caller, listed));
    let with_cause = |listed: &Listed| {
        let cause = causes.get(&listed.id).map(|class| in_words(class).0);
        row(&portal, listed).map(|row| Row { cause, ..row })
    };
    let stuck = found.iter().filter_map(with_cause).collect();
    // Whatever has come and gone since.
    let open = rows(instances::visible(engine, &caller, Wanted { open: true, ..Wanted::default() }, MOST).await?);
    let recent = instances::visible(engine, &caller, Wanted::default(), RECENT).await?;
    let ended = recent.iter().filter(|listed| !listed.is_open()).filter_map(|listed| row(&portal, listed)).collect();

    let page = HomePage {
        frame: Frame::new(&portal, &visitor, "Start"),
        tasks,
        starts,
        stuck,
        repairs,
        repaired: query.tried.map(|tried| (tried, query.failed.unwrap_or_default())),
        lists: vec![("In progress", open), ("Finished", ended)],
        most: usize::try_from(MOST).unwrap_or(usize::MAX),
    };
    render(&page)
}

/// Tries again what is stuck and the visitor may repair.
pub async fn resume_stuck(portal: web::Data<Portal>, submitted: Submitted<Form>) -> Result<HttpResponse, Failure> {
    let Some(caller) = submitted.visitor.caller() else { return Ok(see_other("/role")) };
    let Repaired { tried, failed } = portal.engine.resume_stuck(&caller, MOST).await?;
    Ok(see_other(&format!("/?tried={tried}&failed={failed}")))
}
