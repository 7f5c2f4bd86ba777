//! The form of a start: what a person sees and confirms before anything is begun. Made from the workflow alone.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use askama::Template;
use sealwright_workflow::definition::{self, Definition, Kind};
use serde_json::Value;
use uuid::Uuid;

use super::instance::{Form, Values, back, panel, parse};
use super::{Frame, render, see_other};
use crate::cards::pairings::offer_in;
use crate::engine::verbs::StartForm;
use crate::http::{Failure, Submitted, Visitor};
use crate::portal::Portal;

#[derive(Template)]
#[template(path = "start.html")]
struct StartPage {
    frame: Frame,
    workflow: String,
    title: String,
    form: Option<definition::Form>,
    /// The id of what it is about, and what people see of it.
    subject: Option<Uuid>,
    about: Option<Values>,
    needs_card: bool,
}

pub async fn get(
    portal: web::Data<Portal>,
    workflow: web::Path<String>,
    visitor: Visitor,
) -> Result<HttpResponse, Failure> {
    show(&portal, &visitor, &workflow, None, &format!("/start/{workflow}")).await
}

/// The same about something, by its id.
pub async fn about(
    portal: web::Data<Portal>,
    path: web::Path<(String, String)>,
    visitor: Visitor,
) -> Result<HttpResponse, Failure> {
    let (workflow, subject) = path.into_inner();
    let subject = parse(&subject)?;
    show(&portal, &visitor, &workflow, Some(subject), &format!("/start/{workflow}/{subject}")).await
}

/// A deep link such as `/token`, without the menu.
pub async fn link(
    portal: web::Data<Portal>,
    link: web::Path<String>,
    visitor: Visitor,
) -> Result<HttpResponse, Failure> {
    let path = format!("/{link}");
    let is_linked =
        |definition: &&Arc<Definition>| definition.start.link.as_ref().is_some_and(|known| known.text == path);
    let workflow = portal.engine.definitions().all().find(is_linked).ok_or_else(Failure::not_found)?;
    let workflow = workflow.name.text.clone();
    show(&portal, &visitor, &workflow, None, &path).await
}

/// A GET changes nothing: it shows the open instance, or a form with one button.
async fn show(
    portal: &Portal,
    visitor: &Visitor,
    workflow: &str,
    subject: Option<Uuid>,
    here: &str,
) -> Result<HttpResponse, Failure> {
    let Some(caller) = visitor.caller() else { return Ok(see_other(&format!("/role?to={here}"))) };
    let StartForm { definition, subject: record, open } = portal.engine.form(&caller, workflow, subject).await?;
    let is_link = !here.starts_with("/start/");
    if let Some(open) = open {
        return Ok(see_other(&format!("/instances/{open}{}", if is_link { "?plain=1" } else { "" })));
    }
    let mut frame = Frame::new(portal, visitor, &definition.title);
    frame.menu = !is_link;
    render(&StartPage {
        frame,
        workflow: workflow.to_owned(),
        title: definition.title.clone(),
        form: definition.start.form.clone(),
        subject,
        about: record.and_then(|(name, record)| panel(&name, &record)),
        needs_card: needs_card(&definition),
    })
}

pub async fn post(
    portal: web::Data<Portal>,
    workflow: web::Path<String>,
    submitted: Submitted<Form>,
) -> Result<HttpResponse, Failure> {
    let Submitted { visitor, form } = submitted;
    let Some(caller) = visitor.caller() else { return Ok(see_other("/role")) };
    let (pairings, origin) = (portal.pairings.clone(), visitor.origin());
    let (session, cookie) = (visitor.session.clone(), visitor.cookie.clone());
    let definition = portal.engine.definitions().current(&workflow);
    let subject = definition.and_then(|definition| definition.start.subject.clone()).zip(form.fields.get("about"));
    let mut arguments = form.answers();
    arguments.extend(subject.map(|(field, id)| (field.text, Value::from(id.clone()))));
    let id = portal
        .engine
        .start_with(&caller, &workflow, arguments, move |tx, root, definition: Arc<Definition>| {
            let code = pairings.code_for(root, &session.id, &cookie, &session.login);
            let origin = origin.clone();
            async move {
                // A card will be needed: its code is there at once.
                if needs_card(&definition) { offer_in(&tx, code, &origin).await } else { Ok(()) }
            }
        })
        .await?;
    Ok(back(&id.to_string(), &form))
}

fn needs_card(definition: &Definition) -> bool {
    definition.states.iter().any(|state| matches!(state.kind, Kind::Card(_)))
}
