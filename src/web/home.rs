//! The start page: what can be started in this role, and what was started before. Deep links show one of them without the menu.

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
}

#[derive(Template)]
#[template(path = "start.html")]
struct StartPage {
    frame: Frame,
    start: Start,
}

pub async fn get(portal: web::Data<Portal>, visitor: Visitor) -> Result<HttpResponse, Failure> {
    let Some(caller) = visitor.caller() else { return Ok(see_other("/role")) };
    let mut starts = Vec::new();
    for definition in portal.engine.definitions().all() {
        if may_start(definition, &caller.actor) {
            starts.push(start(&portal, &visitor, &definition.name.text, &definition.title).await?);
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

/// A deep link such as `/token`: a GET changes nothing, so it shows the open instance or one button.
pub async fn link(
    portal: web::Data<Portal>,
    link: web::Path<String>,
    visitor: Visitor,
) -> Result<HttpResponse, Failure> {
    let path = format!("/{link}");
    let definition = portal
        .engine
        .definitions()
        .all()
        .find(|definition| definition.start.link.as_ref().is_some_and(|known| known.text == path))
        .ok_or_else(Failure::not_found)?
        .clone();
    let Some(caller) = visitor.caller() else {
        return Ok(see_other(&format!("/role?to={path}")));
    };
    if !may_start(&definition, &caller.actor) {
        return Err(crate::engine::EngineError::Forbidden.into());
    }
    let start = start(&portal, &visitor, &definition.name.text, &definition.title).await?;
    if let Some(open) = &start.open {
        return Ok(see_other(&format!("/instances/{open}?plain=1")));
    }
    let mut frame = Frame::new(&portal, &visitor, &definition.title);
    frame.menu = false;
    render(&StartPage { frame, start })
}

async fn start(portal: &Portal, visitor: &Visitor, workflow: &str, title: &str) -> Result<Start, Failure> {
    let open = match visitor.caller() {
        Some(caller) => portal.engine.held(&caller, workflow).await?,
        None => None,
    };
    Ok(Start { workflow: workflow.to_owned(), title: title.to_owned(), open: open.map(|id| id.to_string()) })
}
