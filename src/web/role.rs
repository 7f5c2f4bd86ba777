//! Picking a role: its handler is asked, and it holds for the session.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::{Frame, render, see_other};
use crate::auth::Grant;
use crate::http::{Failure, SessionForm, Submitted, Visitor};
use crate::portal::Portal;

#[derive(Template)]
#[template(path = "role.html")]
struct RolePage {
    frame: Frame,
    roles: Vec<(&'static str, &'static str, &'static str)>,
    to: String,
}

#[derive(Deserialize)]
pub struct Query {
    to: Option<String>,
}

#[derive(Deserialize)]
pub struct Form {
    csrf: String,
    role: String,
    #[serde(default)]
    to: String,
}

impl SessionForm for Form {
    fn csrf(&self) -> &str {
        &self.csrf
    }
}

pub async fn get(
    portal: web::Data<Portal>,
    query: web::Query<Query>,
    visitor: Visitor,
) -> Result<HttpResponse, Failure> {
    let roles = portal.roles.offered().into_iter().map(|(name, title)| (name, title, about(name))).collect();
    let to = local(query.into_inner().to.as_deref().unwrap_or("/"));
    let page = RolePage { frame: Frame::new(&portal, &visitor, "Choose your role"), roles, to };
    render(&page)
}

pub async fn post(portal: web::Data<Portal>, submitted: Submitted<Form>) -> Result<HttpResponse, Failure> {
    let Submitted { visitor, form } = submitted;
    let grant = portal.roles.grants(&form.role, &visitor.session.login).await.map_err(|_| {
        Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Your roles cannot be looked up now",
            "The portal cannot find out whether you have this role. Try again in a minute.",
        )
    })?;
    let origin = visitor.origin();
    let Grant::Granted { person } = grant else {
        let named = form.role.chars().filter(|letter| !letter.is_control());
        let recorded = portal.sessions.record_role_refusal(&origin, named.take(64).collect()).await;
        recorded.map_err(|error| Failure::internal(&error))?;
        let (title, say) = match grant {
            Grant::NotKnown => (
                "The directory does not know you",
                "The directory has no entry for you, or more than one, or your account is disabled. Ask the help desk.",
            ),
            _ => (
                "Not your role",
                "You do not have this role. If you should have it, ask the portal's administrators. You can continue as a user.",
            ),
        };
        return Err(Failure::new(StatusCode::FORBIDDEN, title, say));
    };
    let granted = portal.sessions.grant(&visitor.session, visitor.is_stored, &form.role, &person, &origin).await;
    granted.map_err(|error| Failure::internal(&error))?;
    Ok(see_other(&local(&form.to)))
}

/// Only paths of this portal are gone to.
fn local(to: &str) -> String {
    let plain = to.starts_with('/')
        && !to.starts_with("//")
        && to.len() < 200
        && to.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_".contains(&byte));
    if plain { to.to_owned() } else { "/".to_owned() }
}

fn about(role: &str) -> &'static str {
    match role {
        "user" => "Look after your own card and certificates.",
        "ra-operator" => "See and decide on people's requests.",
        "ca-operator" => "Run the certification authority.",
        "auditor" => "Look at everything, change nothing.",
        _ => "",
    }
}
