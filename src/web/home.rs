//! The start page: what can be started in this role, and what was started before.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use askama::Template;

use super::instance::{Row, row};
use super::{Frame, render, see_other};
use crate::desk::instances::{self, Listed, Wanted};
use crate::engine::rights::may_start;
use crate::http::{Failure, Visitor};
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

pub async fn get(portal: web::Data<Portal>, visitor: Visitor) -> Result<HttpResponse, Failure> {
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

    let stuck = rows(instances::stuck(engine, &caller, MOST).await?);
    // Whatever has come and gone since.
    let open = rows(instances::visible(engine, &caller, Wanted { open: true, ..Wanted::default() }, MOST).await?);
    let recent = instances::visible(engine, &caller, Wanted::default(), RECENT).await?;
    let ended = recent.iter().filter(|listed| !listed.is_open()).filter_map(|listed| row(&portal, listed)).collect();

    let page = HomePage {
        frame: Frame::new(&portal, &visitor, "Start"),
        tasks,
        starts,
        lists: vec![("Stuck", stuck), ("In progress", open), ("Finished", ended)],
        most: usize::try_from(MOST).unwrap_or(usize::MAX),
    };
    render(&page)
}
