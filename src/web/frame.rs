//! What every page shows around its own content: title, menu, and the person with their role.

use std::sync::Arc;

use sealwright_workflow::definition::Definition;

use crate::auth::Roles;
use crate::desk::rights::{Read, sees_all};
use crate::engine::rights::may_start;
use crate::http::Visitor;
use crate::portal::Portal;

/// What every page shows around its own content.
pub struct Frame {
    pub title: String,
    pub portal: String,
    pub login: String,
    pub role: String,
    pub csrf: String,
    /// What can be started in this role by a link of its own: path and title.
    pub links: Vec<(String, String)>,
    /// The role looks after others' certificates.
    pub sees_certificates: bool,
    /// Deep links hide the menu.
    pub menu: bool,
    /// Where a page that changes by itself asks the server again, where there are no scripts.
    pub refresh: Option<String>,
}

impl Frame {
    pub fn new(portal: &Portal, visitor: &Visitor, title: &str) -> Self {
        let actor = visitor.actor();
        let linked = |definition: &Arc<Definition>| {
            let link = definition.start.link.as_ref()?;
            let may = actor.as_ref().is_some_and(|actor| may_start(definition, actor));
            may.then(|| (link.text.clone(), definition.title.clone()))
        };
        Self {
            title: title.to_owned(),
            portal: portal.configuration.name.clone(),
            login: visitor.session.login.clone(),
            role: visitor.session.role.as_deref().map(Roles::title).unwrap_or_default().to_owned(),
            csrf: visitor.session.csrf.clone(),
            links: portal.engine.definitions().all().filter_map(linked).collect(),
            sees_certificates: visitor.caller().is_some_and(|caller| sees_all(&caller, Read::Certificates)),
            menu: true,
            refresh: None,
        }
    }
}
