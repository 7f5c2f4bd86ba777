//! Released definitions: an instance runs to its end under the version it began with.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwright_workflow::catalog::Catalog;
use sealwright_workflow::definition::Definition;
use sealwright_workflow::library::Library;

use super::EngineError;
use crate::random;
use crate::store::definitions::DefinitionRecord;
use crate::store::{Store, StoreError, definitions};

/// The definitions of this release, and the ones of releases before that instances may still run under.
#[derive(Clone, Debug)]
pub struct Definitions {
    library: Library,
    older: BTreeMap<(String, u32), Arc<Definition>>,
}

impl Definitions {
    /// Stores new versions.
    ///
    /// # Errors
    /// [`EngineError::Released`] when a stored version has another text: a released version is never changed.
    pub(super) async fn release(
        store: &Store,
        library: Library,
        sources: BTreeMap<String, String>,
        catalog: &Catalog,
        now: i64,
    ) -> Result<Self, EngineError> {
        for definition in library.all() {
            let name = definition.name.text.clone();
            let source = sources.get(&name).cloned().unwrap_or_default();
            let hash = random::digest(source.as_bytes());
            let row = DefinitionRecord {
                name: name.clone(),
                version: i64::from(definition.version),
                hash: hash.clone(),
                source,
                released_at: now,
            };
            // Another node may release the same at the same time: the first one counts.
            if definitions::find(store.read(), &name, definition.version).await?.is_none() {
                let insert = move |tx| {
                    let row = row.clone();
                    async move { definitions::insert(&tx, row).await }
                };
                match store.write(insert).await {
                    Ok(()) | Err(StoreError::Exists(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            let released = definitions::find(store.read(), &name, definition.version).await?;
            if released.is_none_or(|row| row.hash != hash) {
                return Err(EngineError::Released { name, version: definition.version });
            }
        }
        let older = load_older(store, &library, &sources, catalog).await?;
        Ok(Self { library, older })
    }

    pub fn current(&self, name: &str) -> Option<&Arc<Definition>> {
        self.library.get(name)
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.library.all()
    }

    /// Names of everything that this node can go on with.
    pub(super) fn known(&self) -> impl Iterator<Item = String> {
        let current = self.all().map(|definition| definition_name(&definition.name.text, definition.version));
        current.chain(self.older.keys().map(|(name, version)| definition_name(name, *version)))
    }

    /// The definition of an instance.
    ///
    /// # Errors
    /// [`EngineError::Definition`] for a version that this node does not have: it leaves such instances to others.
    pub fn of(&self, name: &str, version: u32) -> Result<Arc<Definition>, EngineError> {
        let current = self.library.get(name).filter(|definition| definition.version == version);
        let found = current.or_else(|| self.older.get(&(name.to_owned(), version)));
        found.cloned().ok_or_else(|| EngineError::Definition { name: name.to_owned(), version })
    }
}

/// How planned work names the definition that it belongs to.
pub(super) fn definition_name(workflow: &str, version: u32) -> String {
    format!("{workflow} version {version}")
}

/// Stored versions that are not the current ones, verified against what this release offers.
async fn load_older(
    store: &Store,
    library: &Library,
    sources: &BTreeMap<String, String>,
    catalog: &Catalog,
) -> Result<BTreeMap<(String, u32), Arc<Definition>>, EngineError> {
    let mut older = BTreeMap::new();
    for row in definitions::all(store.read()).await? {
        let version = u32::try_from(row.version).unwrap_or_default();
        if library.get(&row.name).is_some_and(|current| current.version == version) {
            continue;
        }
        // The old file in the place of the new one, among the others as they are.
        let file = format!("{} version {version}", row.name);
        let others = sources.iter().filter(|(name, _)| **name != row.name);
        let files =
            others.map(|(name, text)| (name.as_str(), text.as_str())).chain([(file.as_str(), row.source.as_str())]);
        match Library::load_released(files, &file, catalog).map(|library| library.get(&row.name).cloned()) {
            Ok(Some(definition)) => {
                older.insert((row.name, version), definition);
            }
            Ok(None) => {}
            Err(problems) => {
                tracing::warn!(
                    workflow = row.name,
                    version,
                    problems = problems.len(),
                    "an older version cannot run in this release"
                );
            }
        }
    }
    Ok(older)
}
