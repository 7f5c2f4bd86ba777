//! Who a person is: the LDAP directory, by ldap3 over StartTLS or ldaps.
//!
//! Answers are complete or an error: a partial answer never means that somebody is gone. Values go into filters escaped, referrals
//! are not followed, every operation has a time limit. What one server does not do the next one is asked for.

mod bounded_stream;
mod connection;
mod matching;
mod person;
mod sid;

use std::collections::HashSet;
use std::time::Duration;

use ldap3::controls::{Control, ControlType, PagedResults, RawControl};
use ldap3::{Ldap, LdapError, LdapResult, Mod, Scope, SearchEntry, SearchOptions, SearchResult, ldap_escape};

pub use connection::{DirectoryOptions, Encryption, Kind, OptionsError};
pub use person::{Attribute, MappingOptions, Person};

use connection::{OPERATION_LIMIT, Pool};
use person::{Mapping, Read};

/// Entries in one page, and how long all pages may take.
const PAGE: i32 = 500;
/// LDAP_SERVER_DOMAIN_SCOPE_OID.
const DOMAIN_SCOPE: &str = "1.2.840.113556.1.4.1339";
const EVERYBODY_LIMIT: Duration = Duration::from_secs(600);
/// How deep groups may be nested, and how many one search may find.
const DEEPEST_GROUP: usize = 8;
const MOST_GROUPS: i32 = 500;

/// The directory of one tenant. Cheap to clone.
#[derive(Clone)]
pub struct Directory {
    pool: Pool,
    kind: Kind,
    base: String,
    groups_base: Option<String>,
    filter: String,
    mapping: Mapping,
}

/// What a search for one person found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    Found(Person),
    /// The account is disabled.
    Disabled,
    NotFound,
    /// More than one entry.
    Ambiguous,
    /// One entry that lacks what was required.
    Incomplete {
        /// None when even that is missing, or it cannot be read whether the account is disabled.
        id: Option<String>,
        missing: Vec<Attribute>,
    },
}

/// Somebody whom the directory has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    pub id: String,
    /// In lower case.
    pub logins: Vec<String>,
    /// None when the entry cannot be read.
    pub person: Option<Person>,
    pub disabled: bool,
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

/// What became of publishing certificates, or of taking them back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    Changed,
    AsBefore,
    /// The directory does not allow it.
    Refused,
}

/// What a search has found, and how it ended.
type Found = (Vec<SearchEntry>, LdapResult);

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
            kind: options.kind,
            base: options.base.clone(),
            groups_base: options.groups_base.clone(),
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
        let (mut entries, result) = self
            .pool
            .run(|mut ldap: Ldap| {
                let (filter, attributes) = (filter.clone(), attributes.clone());
                async move {
                    let ldap = ldap.with_search_options(SearchOptions::new().sizelimit(2).timelimit(5));
                    search(ldap, &self.base, Scope::Subtree, &filter, attributes).await
                }
            })
            .await?;
        match result.rc {
            0 | 4 if entries.len() > 1 => Ok(Lookup::Ambiguous),
            0 => match entries.pop() {
                None => Ok(Lookup::NotFound),
                Some(entry) => {
                    let Read { id, person, missing, disabled } = self.mapping.read(login, &entry, require);
                    Ok(match person {
                        _ if disabled => Lookup::Disabled,
                        Some(person) if missing.is_empty() => Lookup::Found(person),
                        _ => Lookup::Incomplete { id, missing },
                    })
                }
            },
            // The base is not there: the directory is not the one that was configured.
            _ => Err(DirectoryError::Unavailable),
        }
    }

    /// Goes through everybody, page by page (RFC 2696), and gives those whose id is wanted.
    ///
    /// # Errors
    /// [`DirectoryError`]; [`DirectoryError::Partial`] when the answer may lack somebody: a limit was met, a part lies elsewhere, or nobody is
    /// there at all.
    pub async fn everybody(
        &self,
        is_wanted: &(dyn Fn(&str) -> bool + Send + Sync),
    ) -> Result<Vec<Present>, DirectoryError> {
        let filter = self.filter.replace("{login}", "*");
        let found = self.pool.run_for(EVERYBODY_LIMIT, |ldap: Ldap| self.pages(ldap, &filter, is_wanted)).await?;
        found.ok_or(DirectoryError::Partial)
    }

    /// The person with this id, if the directory has them; asked of the first server that answers.
    ///
    /// # Errors
    /// As [`Directory::everybody`].
    pub async fn find_by_id(&self, id: &str) -> Result<Option<Present>, DirectoryError> {
        let filter = self.id_filter(id);
        let found = self.pool.run(|ldap: Ldap| self.search(ldap, &filter, Vec::new())).await?;
        self.with_id(id, &found)
    }

    /// The same, by every server that answers: nobody is gone whom one of them has. Those that do not answer are left out, or a server that is
    /// down for days would keep leavers' certificates good for as long.
    ///
    /// # Errors
    /// As [`Directory::everybody`].
    pub async fn find_by_id_everywhere(&self, id: &str) -> Result<Vec<Option<Present>>, DirectoryError> {
        let filter = self.id_filter(id);
        let found = self.pool.run_everywhere(|ldap: Ldap| self.search(ldap, &filter, Vec::new())).await?;
        found.iter().map(|found| self.with_id(id, found)).collect()
    }

    fn id_filter(&self, id: &str) -> String {
        format!("(&{}{})", self.filter.replace("{login}", "*"), self.mapping.id_filter(id))
    }

    /// Whom a search for an id has found.
    fn with_id(&self, id: &str, (entries, result): &Found) -> Result<Option<Present>, DirectoryError> {
        match (result.rc, entries.as_slice()) {
            (0, [entry]) => Ok(Some(self.present(id.to_owned(), entry))),
            // Whoever is not here may be where it refers to.
            (0, []) if result.refs.is_empty() => Ok(None),
            (code, entries) => {
                // An id that several entries have is nobody's.
                tracing::warn!(code, entries = entries.len(), "the directory does not say who has an id");
                Err(DirectoryError::Partial)
            }
        }
    }

    async fn search(&self, mut ldap: Ldap, filter: &str, mut controls: Vec<RawControl>) -> Result<Found, LdapError> {
        if self.kind == Kind::ActiveDirectory {
            // Without it a domain refers to its neighbours, who are nobody's directory of people here (MS-ADTS section 3.1.1.3.4.1.12).
            controls.push(RawControl { ctype: DOMAIN_SCOPE.to_owned(), crit: false, val: None });
        }
        search(ldap.with_controls(controls), &self.base, Scope::Subtree, filter, self.mapping.names()).await
    }

    fn present(&self, id: String, entry: &SearchEntry) -> Present {
        let logins = self.mapping.logins(entry);
        let login = logins.first().cloned().unwrap_or_default();
        let Read { person, disabled, .. } = self.mapping.read(&login, entry, &[]);
        if person.is_none() {
            tracing::warn!(dn = entry.dn, "an entry cannot be read: its person counts as being there, as before");
        }
        Present { id, logins, person, disabled }
    }

    /// `None` for an answer that is not complete.
    async fn pages(
        &self,
        ldap: Ldap,
        filter: &str,
        is_wanted: &(dyn Fn(&str) -> bool + Send + Sync),
    ) -> Result<Option<Vec<Present>>, LdapError> {
        let (mut found, mut cookie, mut count) = (Vec::new(), Vec::new(), 0);
        loop {
            let control = PagedResults { size: PAGE, cookie };
            let (entries, result) = self.search(ldap.clone(), filter, vec![control.into()]).await?;
            if result.rc != 0 || !result.refs.is_empty() {
                tracing::warn!(code = result.rc, elsewhere = result.refs.len(), "the directory did not give everybody");
                return Ok(None);
            }
            count += entries.len();
            for entry in entries {
                // Of whom nothing is known, everything may be true.
                let Some(id) = self.mapping.id(&entry) else {
                    tracing::warn!(dn = entry.dn, "an entry has no id: the directory did not give everybody");
                    return Ok(None);
                };
                if is_wanted(&id) {
                    found.push(self.present(id, &entry));
                }
            }
            let next = result.ctrls.into_iter().find_map(|Control(kind, raw)| match kind {
                Some(ControlType::PagedResults) => Some(raw.parse::<PagedResults>().cookie),
                _ => None,
            });
            match next {
                Some(next) if !next.is_empty() => cookie = next,
                // Somebody must be there: else this is not the directory, or not for us to read.
                _ => return Ok((count > 0).then_some(found)),
            }
        }
    }

    /// Whether a person is a member of a group (by `member`, `uniqueMember` or `memberUid`), also by way of groups within it.
    ///
    /// It goes up from the person: through the groups that the person is in, which are few, and not down through all members.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub async fn is_member(&self, group: &str, person: &Person) -> Result<bool, DirectoryError> {
        let within = self.groups_base.as_deref().unwrap_or_else(|| domain(group));
        let mut members = vec![person.dn.clone()];
        let mut login = Some(person.login.as_str());
        let mut seen: HashSet<String> = HashSet::new();
        for _ in 0..DEEPEST_GROUP {
            let filter = any_member(&members, login.take());
            if !self.groups(group, Scope::Base, &filter).await?.is_empty() {
                return Ok(true);
            }
            members = self.groups(within, Scope::Subtree, &filter).await?;
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
        let (entries, result) = self
            .pool
            .run(|mut ldap: Ldap| {
                let options = options.clone();
                async move {
                    let ldap = ldap.with_search_options(options);
                    search(ldap, base, scope, filter, vec!["1.1".to_owned()]).await
                }
            })
            .await?;
        match result.rc {
            0 => Ok(entries.into_iter().map(|entry| entry.dn).collect()),
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
                    async move {
                        let result = ldap.with_timeout(OPERATION_LIMIT).modify(&person.dn, changes).await?;
                        if is_busy(&result) { Err(LdapError::from(result)) } else { Ok(result) }
                    }
                })
                .await?;
            match result.rc {
                0 => changed = true,
                // No such attribute, value exists: also what a server has done that did not say so in time, and another one knows by now.
                16 | 20 => {}
                code => {
                    tracing::warn!(code, "the directory refused to change a person's certificates");
                    return Ok(Published::Refused);
                }
            }
        }
        Ok(if changed { Published::Changed } else { Published::AsBefore })
    }
}

/// One search within its time.
async fn search(
    ldap: &mut Ldap,
    base: &str,
    scope: Scope,
    filter: &str,
    attributes: Vec<String>,
) -> Result<Found, LdapError> {
    let SearchResult(entries, result) =
        ldap.with_timeout(OPERATION_LIMIT).search(base, scope, filter, attributes).await?;
    if is_busy(&result) {
        return Err(LdapError::from(result));
    }
    Ok((entries.into_iter().map(SearchEntry::construct).collect(), result))
}

/// Whether a server says that it is busy or not available (RFC 4511 appendix A.2): another one may do it.
fn is_busy(result: &LdapResult) -> bool {
    matches!(result.rc, 51 | 52)
}

/// The domain of a name (RFC 2247): its last components, as far as they are `dc`; of a name without them, what it stands in.
fn domain(name: &str) -> &str {
    let is_domain = |part: &str| part.trim_start().get(..3).is_some_and(|kind| kind.eq_ignore_ascii_case("dc="));
    let parents = || name.match_indices(',').filter_map(|(comma, _)| name.get(comma + 1..)).map(str::trim_start);
    parents().find(|parent| parent.split(',').all(is_domain)).or_else(|| parents().next()).unwrap_or(name)
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
