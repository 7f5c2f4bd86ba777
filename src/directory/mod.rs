//! Who a person is: the LDAP directory, by ldap3 over StartTLS or ldaps.
//!
//! Answers are complete or an error: a partial answer never means that somebody is gone. Values go into filters escaped, referrals
//! are not followed, every operation has a time limit.

mod connection;
mod person;
mod sid;

use std::collections::HashSet;
use std::time::Duration;

use ldap3::controls::{Control, ControlType, PagedResults};
use ldap3::{Ldap, LdapError, Mod, Scope, SearchEntry, SearchOptions, SearchResult, ldap_escape};

pub use connection::{DirectoryOptions, Encryption, Kind, OptionsError};
pub use person::{Attribute, MappingOptions, Person};

use connection::{OPERATION_LIMIT, Pool};
use person::{Mapping, Read};

/// Entries in one page, and how long all pages may take.
const PAGE: i32 = 500;
const EVERYBODY_LIMIT: Duration = Duration::from_secs(600);
/// How deep groups may be nested, and how many one search may find.
const DEEPEST_GROUP: usize = 8;
const MOST_GROUPS: i32 = 500;

/// The directory of one tenant. Cheap to clone.
#[derive(Clone)]
pub struct Directory {
    pool: Pool,
    base: String,
    filter: String,
    mapping: Mapping,
}

/// What a search for one person found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    Found(Person),
    /// The account is disabled.
    Disabled(Person),
    NotFound,
    /// More than one entry.
    Ambiguous,
    /// One entry that lacks what was required.
    Incomplete {
        missing: Vec<Attribute>,
    },
}

/// Why the directory did not answer. All of it may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    #[error("unavailable")]
    Unavailable,
    #[error("timeout")]
    Timeout,
    /// It answered, and not with everything.
    #[error("partial")]
    Partial,
}

impl DirectoryError {
    /// The failure class that a workflow's `retry` names.
    pub fn class(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Partial => "partial",
        }
    }
}

/// What became of publishing certificates, or of taking them back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    Changed,
    AsBefore,
    /// The directory does not allow it.
    Refused,
}

/// What is done with values of an attribute.
type Change = fn(Vec<u8>, HashSet<Vec<u8>>) -> Mod<Vec<u8>>;

impl Directory {
    /// Reads the options; connects when first asked.
    ///
    /// # Errors
    /// [`OptionsError`].
    pub fn new(options: &DirectoryOptions) -> Result<Self, OptionsError> {
        let filter = options.filter.as_deref().unwrap_or(options.kind.filter());
        if !filter.contains("{login}") {
            return Err(OptionsError::Filter);
        }
        Ok(Self {
            pool: Pool::new(options)?,
            base: options.base.clone(),
            filter: filter.to_owned(),
            mapping: Mapping::new(options.kind, &options.attributes),
        })
    }

    /// Looks one person up.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub async fn find(&self, login: &str, require: &[Attribute]) -> Result<Lookup, DirectoryError> {
        let filter = self.filter.replace("{login}", &ldap_escape(login));
        let attributes = self.mapping.names();
        let SearchResult(mut entries, result) = self
            .pool
            .run(|mut ldap: Ldap| {
                let (filter, attributes) = (filter.clone(), attributes.clone());
                async move {
                    ldap.with_timeout(OPERATION_LIMIT)
                        .with_search_options(SearchOptions::new().sizelimit(2).timelimit(5))
                        .search(&self.base, Scope::Subtree, &filter, attributes)
                        .await
                }
            })
            .await?;
        match result.rc {
            0 | 4 if entries.len() > 1 => Ok(Lookup::Ambiguous),
            0 => match entries.pop() {
                None => Ok(Lookup::NotFound),
                Some(entry) => {
                    let Read { person, missing, disabled } =
                        self.mapping.read(login, &SearchEntry::construct(entry), require);
                    Ok(match person {
                        Some(person) if disabled => Lookup::Disabled(person),
                        Some(person) if missing.is_empty() => Lookup::Found(person),
                        _ => Lookup::Incomplete { missing },
                    })
                }
            },
            // The base is not there: the directory is not the one that was configured.
            _ => Err(DirectoryError::Unavailable),
        }
    }

    /// Goes through everybody, page by page (RFC 2696), and gives those whose id is wanted, with whether their account is disabled.
    ///
    /// # Errors
    /// [`DirectoryError`]; [`DirectoryError::Partial`] when the answer may lack somebody: a limit was met, or a part lies elsewhere.
    pub async fn everybody(
        &self,
        is_wanted: &(dyn Fn(&str) -> bool + Send + Sync),
    ) -> Result<Vec<(Person, bool)>, DirectoryError> {
        let filter = self.filter.replace("{login}", "*");
        let found = self.pool.run_for(EVERYBODY_LIMIT, |ldap: Ldap| self.pages(ldap, &filter, is_wanted)).await?;
        found.ok_or(DirectoryError::Partial)
    }

    /// `None` for an answer that is not complete.
    async fn pages(
        &self,
        mut ldap: Ldap,
        filter: &str,
        is_wanted: &(dyn Fn(&str) -> bool + Send + Sync),
    ) -> Result<Option<Vec<(Person, bool)>>, LdapError> {
        let mut found = Vec::new();
        let mut cookie = Vec::new();
        loop {
            let control = PagedResults { size: PAGE, cookie };
            let SearchResult(entries, result) = ldap
                .with_timeout(OPERATION_LIMIT)
                .with_controls(vec![control.into()])
                .search(&self.base, Scope::Subtree, filter, self.mapping.names())
                .await?;
            if result.rc != 0 || !result.refs.is_empty() {
                tracing::warn!(code = result.rc, elsewhere = result.refs.len(), "the directory did not give everybody");
                return Ok(None);
            }
            for entry in entries.into_iter().map(SearchEntry::construct) {
                // Somebody who cannot be read must not be taken for gone.
                let Some(id) = self.mapping.id(&entry) else { return Ok(None) };
                if is_wanted(&id) {
                    let login = self.mapping.login(&entry).unwrap_or_default();
                    match self.mapping.read(&login, &entry, &[]) {
                        Read { person: Some(person), disabled, .. } if !login.is_empty() => {
                            found.push((person, disabled));
                        }
                        _ => return Ok(None),
                    }
                }
            }
            let next = result.ctrls.into_iter().find_map(|Control(kind, raw)| match kind {
                Some(ControlType::PagedResults) => Some(raw.parse::<PagedResults>().cookie),
                _ => None,
            });
            match next {
                Some(next) if !next.is_empty() => cookie = next,
                _ => return Ok(Some(found)),
            }
        }
    }

    /// Whether a person is a member of a group (by `member`, `uniqueMember` or `memberUid`), also by way of groups within it.
    ///
    /// It goes up from the person: through the groups beside the asked one, which a person has few of, and not down through all members.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub async fn is_member(&self, group: &str, person: &Person) -> Result<bool, DirectoryError> {
        let beside = group.split_once(',').map_or(group, |(_, parent)| parent.trim_start());
        let mut members = vec![person.dn.clone()];
        let mut login = Some(person.login.as_str());
        let mut seen: HashSet<String> = HashSet::new();
        for _ in 0..DEEPEST_GROUP {
            let filter = any_member(&members, login.take());
            if !self.groups(group, Scope::Base, &filter).await?.is_empty() {
                return Ok(true);
            }
            members = self.groups(beside, Scope::Subtree, &filter).await?;
            members.retain(|dn| seen.insert(dn.to_lowercase()));
            if members.is_empty() {
                return Ok(false);
            }
        }
        tracing::warn!(group, "groups are nested too deep");
        Ok(false)
    }

    /// Names of the groups that a filter finds.
    async fn groups(&self, base: &str, scope: Scope, filter: &str) -> Result<Vec<String>, DirectoryError> {
        let options = SearchOptions::new().sizelimit(MOST_GROUPS).timelimit(5);
        let SearchResult(entries, result) = self
            .pool
            .run(|mut ldap: Ldap| {
                let options = options.clone();
                async move {
                    let ldap = ldap.with_timeout(OPERATION_LIMIT).with_search_options(options);
                    ldap.search(base, scope, filter, vec!["1.1"]).await
                }
            })
            .await?;
        match result.rc {
            0 => Ok(entries.into_iter().map(|entry| SearchEntry::construct(entry).dn).collect()),
            // No such group: nobody is in it.
            32 => Ok(Vec::new()),
            _ => Err(DirectoryError::Unavailable),
        }
    }

    /// Adds certificates (DER) to a person's `userCertificate;binary`.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub async fn publish(&self, person: &Person, certificates: &[Vec<u8>]) -> Result<Published, DirectoryError> {
        self.change(person, certificates, Mod::Add).await
    }

    /// Takes certificates (DER) from a person's `userCertificate;binary`.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub async fn unpublish(&self, person: &Person, certificates: &[Vec<u8>]) -> Result<Published, DirectoryError> {
        self.change(person, certificates, Mod::Delete).await
    }

    async fn change(
        &self,
        person: &Person,
        certificates: &[Vec<u8>],
        how: Change,
    ) -> Result<Published, DirectoryError> {
        let mut changed = false;
        // One by one: a value that is as it should be already must not keep the others out.
        for certificate in certificates {
            let change = how(b"userCertificate;binary".to_vec(), HashSet::from([certificate.clone()]));
            let result = self
                .pool
                .run(|mut ldap: Ldap| {
                    let changes = vec![change.clone()];
                    async move { ldap.with_timeout(OPERATION_LIMIT).modify(&person.dn, changes).await }
                })
                .await?;
            match result.rc {
                0 => changed = true,
                // no such attribute, value exists
                16 | 20 => {}
                // busy, unavailable
                51 | 52 => return Err(DirectoryError::Unavailable),
                code => {
                    tracing::warn!(code, "the directory refused to change a person's certificates");
                    return Ok(Published::Refused);
                }
            }
        }
        Ok(if changed { Published::Changed } else { Published::AsBefore })
    }
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Directory").field("base", &self.base).finish_non_exhaustive()
    }
}

/// Groups that have one of these as a member.
fn any_member(dns: &[String], login: Option<&str>) -> String {
    let by_name = dns.iter().map(|dn| {
        let dn = ldap_escape(dn.as_str());
        format!("(member={dn})(uniqueMember={dn})")
    });
    let by_login = login.map(|login| format!("(memberUid={})", ldap_escape(login)));
    format!("(|{})", by_name.chain(by_login).collect::<String>())
}

fn classify(error: &LdapError) -> DirectoryError {
    match error {
        LdapError::Timeout { .. } => DirectoryError::Timeout,
        _ => DirectoryError::Unavailable,
    }
}
