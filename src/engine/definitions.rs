//! Released definitions: an instance runs to its end under the version it began with.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwright_workflow::definition::Definition;
use sealwright_workflow::library::Library;

use super::EngineError;
use crate::random;
use crate::store::definitions::DefinitionRow;
use crate::store::{Access, Store, StoreError, definitions};

/// The definitions of this release.
#[derive(Clone, Debug)]
pub struct Definitions {
    library: Library,
}

impl Definitions {
    /// Stores new versions.
    ///
    /// # Errors
    /// [`EngineError::Definition`] when a stored version has another text: a released version is never changed.
    pub(super) async fn release(
        store: &Store,
        library: Library,
        sources: BTreeMap<String, String>,
        now: i64,
    ) -> Result<Self, EngineError> {
        for definition in library.all() {
            let name = definition.name.text.clone();
            let source = sources.get(&name).cloned().unwrap_or_default();
            let hash = random::digest(source.as_bytes());
            let changed = || EngineError::Definition { name: name.clone(), version: definition.version };
            match definitions::find(store.read(), &name, definition.version).await? {
                Some(row) if row.hash == hash => continue,
                Some(_) => return Err(changed()),
                None => {}
            }
            let row = DefinitionRow {
                tenant: store.read().tenant().to_owned(),
                name: name.clone(),
                version: i64::from(definition.version),
                hash,
                source,
                released_at: now,
            };
            store
                .write::<_, StoreError, _, _>(move |tx| {
                    let row = row.clone();
                    async move { definitions::insert(&tx, row).await }
                })
                .await?;
        }
        Ok(Self { library })
    }

    pub fn current(&self, name: &str) -> Option<&Arc<Definition>> {
        self.library.get(name)
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.library.all()
    }

    /// The definition of an instance.
    ///
    /// # Errors
    /// [`EngineError::Definition`] for a version that this node does not have: it leaves such instances to others.
    pub fn of(&self, name: &str, version: u32) -> Result<Arc<Definition>, EngineError> {
        match self.library.get(name) {
            Some(definition) if definition.version == version => Ok(definition.clone()),
            _ => Err(EngineError::Definition { name: name.to_owned(), version }),
        }
    }
}
