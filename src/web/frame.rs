//! Frame of every page around its own content: title, menu, and the person with their role.

use super::menu::{self, Entry};
use crate::auth::Roles;
use crate::http::Visitor;
use crate::portal::Portal;

/// Everything that the base template shows.
pub struct Frame {
    pub title: String,
    pub portal: String,
    pub login: String,
    pub role: String,
    pub csrf: String,
    /// The menu's entries; none before a role was picked.
    pub entries: Vec<Entry>,
    /// Deep links hide the menu.
    pub menu: bool,
    /// Where a page that changes by itself asks the server again, where there are no scripts.
    pub refresh: Option<String>,
}

impl Frame {
    pub fn new(portal: &Portal, visitor: &Visitor, title: &str) -> Self {
        Self {
            title: title.to_owned(),
            portal: portal.configuration.name.clone(),
            login: visitor.session.login.clone(),
            role: visitor.session.role.as_deref().map(Roles::title).unwrap_or_default().to_owned(),
            csrf: visitor.session.csrf.clone(),
            entries: visitor.caller().map(|caller| menu::entries(portal, &caller)).unwrap_or_default(),
            menu: true,
            refresh: None,
        }
    }
}
