//! The menu: one table of entries, in their order.

use crate::desk::rights::{Read, sees_all};
use crate::engine::rights::may_start;
use crate::engine::verbs::Caller;
use crate::portal::Portal;

/// A line of the menu.
pub struct Entry {
    pub path: String,
    pub title: String,
}

/// A row of the table.
enum Item {
    /// A page of the portal.
    Page { path: &'static str, title: &'static str, seen_by: SeenBy },
    /// A line for each workflow with a link that the caller may start.
    Workflows,
}

enum SeenBy {
    EveryRole,
    /// Roles that see a read model in full.
    RolesThatSeeAll(Read),
}

const MENU: [Item; 5] = [
    Item::Page { path: "/", title: "Start", seen_by: SeenBy::EveryRole },
    Item::Workflows,
    Item::Page { path: "/credentials", title: "My cards and certificates", seen_by: SeenBy::EveryRole },
    Item::Page { path: "/certificates", title: "Certificates", seen_by: SeenBy::RolesThatSeeAll(Read::Certificates) },
    Item::Page { path: "/role", title: "Switch role", seen_by: SeenBy::EveryRole },
];

/// The entries that the caller sees.
pub fn entries(portal: &Portal, caller: &Caller) -> Vec<Entry> {
    MENU.iter().flat_map(|item| item.entries(portal, caller)).collect()
}

impl Item {
    fn entries(&self, portal: &Portal, caller: &Caller) -> Vec<Entry> {
        match self {
            Self::Page { path, title, seen_by } => {
                let entry = || Entry { path: (*path).to_owned(), title: (*title).to_owned() };
                seen_by.includes(caller).then(entry).into_iter().collect()
            }
            Self::Workflows => {
                let definitions = portal.engine.definitions().all();
                let startable = definitions.filter(|definition| may_start(definition, &caller.actor));
                let entries = startable.filter_map(|definition| {
                    let link = definition.start.link.as_ref()?;
                    Some(Entry { path: link.text.clone(), title: definition.title.clone() })
                });
                entries.collect()
            }
        }
    }
}

impl SeenBy {
    fn includes(&self, caller: &Caller) -> bool {
        match self {
            Self::EveryRole => true,
            Self::RolesThatSeeAll(read) => sees_all(caller, *read),
        }
    }
}
