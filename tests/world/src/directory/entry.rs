//! One entry of the directory: its attributes, its LDIF, and whether a search means it.

use ldap3_proto::proto::{LdapFilter, LdapSearchRequest, LdapSearchScope};

/// An entry with its attributes in the order in which they were added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) dn: String,
    pub(super) attributes: Vec<(String, Vec<Vec<u8>>)>,
}

impl Entry {
    /// Reads one record of LDIF (RFC 2849, without folding and base64).
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut dn = None;
        let mut attributes: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.split_once(": ")?;
            if name == "dn" {
                dn = Some(value.to_owned());
                continue;
            }
            let value = value.as_bytes().to_vec();
            match attributes.iter_mut().find(|(known, _)| known == name) {
                Some((_, values)) => values.push(value),
                None => attributes.push((name.to_owned(), vec![value])),
            }
        }
        Some(Self { dn: dn?, attributes })
    }

    /// Where an attribute stands, by its whole description, options such as `;binary` included.
    pub(super) fn place_of(&self, name: &str) -> Option<usize> {
        self.attributes.iter().position(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    /// The values of an attribute; none when the entry does not have it.
    pub(super) fn values(&self, name: &str) -> &[Vec<u8>] {
        self.place_of(name).and_then(|at| self.attributes.get(at)).map_or(&[], |(_, values)| values)
    }

    /// The first value of an attribute, as text.
    pub(super) fn first(&self, name: &str) -> Option<String> {
        String::from_utf8(self.values(name).first()?.clone()).ok()
    }

    /// Whether this is a group with this member.
    pub(super) fn has_member(&self, dn: &str) -> bool {
        self.values("member").iter().any(|member| same_name(&String::from_utf8_lossy(member), dn))
    }

    /// Whether a search request finds this entry.
    pub(super) fn is_found_by(&self, request: &LdapSearchRequest) -> bool {
        matches(self, &request.filter) && in_scope(&self.dn, request)
    }
}

/// Whether two distinguished names are the same, without regard to case and to spaces around their parts.
pub(super) fn same_name(left: &str, right: &str) -> bool {
    plain(left) == plain(right)
}

/// Whether a search asks for an attribute: by its description, without its options, or by `*`.
pub(super) fn is_it(name: &str, asked: &str) -> bool {
    asked == "*"
        || name.eq_ignore_ascii_case(asked)
        || name.split(';').next().is_some_and(|base| base.eq_ignore_ascii_case(asked))
}

fn plain(dn: &str) -> String {
    dn.split(',').map(|part| part.trim().to_lowercase()).collect::<Vec<_>>().join(",")
}

fn in_scope(dn: &str, request: &LdapSearchRequest) -> bool {
    let (dn, base) = (plain(dn), plain(&request.base));
    let below = dn.ends_with(&format!(",{base}"));
    match request.scope {
        LdapSearchScope::Base => dn == base,
        LdapSearchScope::OneLevel => dn.split_once(',').is_some_and(|(_, parent)| parent == base),
        LdapSearchScope::Subtree => dn == base || below,
        LdapSearchScope::Children => below,
    }
}

fn matches(entry: &Entry, filter: &LdapFilter) -> bool {
    let has = |name: &str, wanted: Option<&str>| {
        entry
            .attributes
            .iter()
            .filter(|(known, _)| is_it(known, name))
            .flat_map(|(_, values)| values)
            .any(|value| wanted.is_none_or(|wanted| String::from_utf8_lossy(value).eq_ignore_ascii_case(wanted)))
    };
    match filter {
        LdapFilter::And(all) => all.iter().all(|filter| matches(entry, filter)),
        LdapFilter::Or(any) => any.iter().any(|filter| matches(entry, filter)),
        LdapFilter::Not(not) => !matches(entry, not),
        LdapFilter::Equality(name, value) => has(name, Some(value)),
        LdapFilter::Present(name) => has(name, None),
        _ => false,
    }
}
