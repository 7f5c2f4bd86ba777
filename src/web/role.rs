//! Picking a role: those that the handlers grant are offered, and the picked one holds for the session. The only one is picked at once.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::{Frame, render, see_other};
use crate::auth::{Grant, RoleError, Roles};
use crate::http::{Failure, SessionForm, Submitted, Visitor};
use crate::portal::Portal;

#[derive(Template)]
#[template(path = "role.html")]
struct RolePage {
    frame: Frame,
    /// Roles that the person has: name, title, what they are for.
    roles: Vec<(&'static str, &'static str, &'static str)>,
    /// Titles of roles of which nobody knows now.
    unanswered: Vec<&'static str>,
    /// The session had a role, and has lost it.
    is_lost: bool,
    /// The directory has no entry for the person that could be given a role.
    is_unknown: bool,
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
    let to = local(query.into_inner().to.as_deref().unwrap_or("/"));
    let grants = portal.roles.all_grants(&visitor.session.login).await;
    if let Some((role, person)) = only_role(&visitor, &grants) {
        let granted = portal.sessions.grant(&visitor.session, visitor.is_stored, role, person, &visitor.origin()).await;
        granted.map_err(|error| Failure::internal(&error))?;
        return Ok(see_other(&to));
    }
    let titled = |name: &'static str| (name, Roles::title(name), about(name));
    let granted = grants.iter().filter(|(_, grant)| matches!(grant, Ok(Grant::Granted { .. })));
    let page = RolePage {
        frame: Frame::new(&portal, &visitor, "Choose your role"),
        roles: granted.map(|(name, _)| titled(name)).collect(),
        unanswered: grants.iter().filter(|(_, grant)| grant.is_err()).map(|(name, _)| Roles::title(name)).collect(),
        is_lost: has_lost_role(&visitor),
        is_unknown: grants.iter().any(|(_, grant)| matches!(grant, Ok(Grant::NotKnown))),
        to,
    };
    render(&page)
}

/// The role that is picked without a question: the only one of somebody who has none yet, where every handler has answered. A session whose
/// cookie has not come back is left alone: a client that keeps none would have one written down with every request.
fn only_role<'g>(
    visitor: &Visitor,
    grants: &'g [(&'static str, Result<Grant, RoleError>)],
) -> Option<(&'static str, &'g str)> {
    let may_pick = visitor.session.role.is_none() && !visitor.is_new && !has_lost_role(visitor);
    if !may_pick || grants.iter().any(|(_, grant)| grant.is_err()) {
        return None;
    }
    let mut granted = grants.iter().filter_map(|(name, grant)| match grant {
        Ok(Grant::Granted { person }) => Some((*name, person.as_str())),
        Ok(Grant::Refused | Grant::NotKnown) | Err(_) => None,
    });
    granted.next().filter(|_| granted.next().is_none())
}

/// A session is stored when it gets its first role: one that has none has lost it.
fn has_lost_role(visitor: &Visitor) -> bool {
    visitor.is_stored && visitor.session.role.is_none()
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

#[cfg(test)]
mod tests {
    use time::Duration;

    use crate::testing::World;
    use crate::testing::pages::{Browser, text};

    #[test]
    fn the_only_role_is_picked_at_once() {
        let world = World::new(None);
        let mut alice = Browser::new(&world, "alice");
        assert_eq!(alice.get("/token").to.as_deref(), Some("/role?to=/token"));
        assert_eq!(alice.get("/role?to=/token").to.as_deref(), Some("/token"));
        assert_eq!(alice.get("/token").status, 200);
        // Whoever wants to see it can.
        let page = alice.get("/role");
        assert!(text(&page.body).contains("Continue as User"), "{}", page.body);
        assert!(!page.body.contains("Continue as RA Operator"), "{}", page.body);
        // A client that keeps no cookie gets a page, and no session is written down.
        let page = Browser::new(&world, "alice").get("/role");
        assert_eq!((page.status, page.body.contains("Continue as User")), (200, true));
    }

    #[test]
    fn roles_that_somebody_has_are_offered_and_no_others() {
        let world = World::new(None);
        for (login, offered) in
            [("rita", [true, true, false]), ("carl", [true, false, true]), ("alice", [true, false, false])]
        {
            let body = Browser::new(&world, login).get("/role").body;
            let found =
                ["User", "RA Operator", "CA Operator"].map(|role| body.contains(&format!("Continue as {role}<")));
            assert_eq!(found, offered, "{login}");
        }
        world.directory.remove("rita");
        let page = text(&Browser::new(&world, "rita").get("/role").body);
        assert!(page.contains("The directory has no entry for you") && !page.contains("Continue as"), "{page}");
    }

    #[test]
    fn a_role_that_nobody_knows_of_is_told_and_never_picked() {
        let world = World::new(None);
        let mut alice = Browser::new(&world, "alice");
        assert_eq!(alice.get("/").status, 303);
        world.directory.stop();
        let page = alice.get("/role");
        let said = text(&page.body);
        assert_eq!(page.status, 200);
        assert!(said.contains("these roles: User, RA Operator, CA Operator. Try again in a minute."), "{said}");
        assert!(!said.contains("Continue as"), "{said}");
        world.directory.go_on();
        assert_eq!(alice.get("/role").to.as_deref(), Some("/"));
    }

    #[test]
    fn a_lost_role_is_told_though_one_is_left() {
        let world = World::new(None);
        let mut carl = Browser::in_role(&world, "carl", "ca-operator");
        world.directory.leave_alone("ca-operators", "rita");
        world.clock.advance(Duration::minutes(6));
        assert_eq!(carl.get("/").to.as_deref(), Some("/role"));
        let page = carl.get("/role");
        let said = text(&page.body);
        assert!(said.contains("You no longer have the role that you had"), "{said}");
        assert!(said.contains("Continue as User") && !said.contains("Continue as CA Operator"), "{said}");
        assert_eq!(carl.post("/role", &page, &[("role", "user"), ("to", "/")]).status, 303);
        assert!(!carl.get("/role").body.contains("You no longer have"));
    }
}
