//! The demo's directory: an LDAP server in this process, on the loopback address, over the people of `people.ldif`. The portal reaches it by
//! the same code as any other one.

use std::io;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use ldap3_proto::LdapCodec;
use ldap3_proto::proto::{
    LdapBindCred, LdapBindResponse, LdapFilter, LdapModify, LdapModifyRequest, LdapModifyType, LdapMsg, LdapOp,
    LdapPartialAttribute, LdapResult, LdapResultCode, LdapSearchRequest, LdapSearchResultEntry, LdapSearchScope,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::Framed;

const PEOPLE: &str = include_str!("people.ldif");
const LARGEST_MESSAGE: usize = 1 << 20;

#[derive(Clone, Debug)]
struct Entry {
    dn: String,
    attributes: Vec<(String, Vec<Vec<u8>>)>,
}

/// Somebody without a story.
fn further_person(number: usize) -> String {
    format!(
        "dn: uid=person-{number},ou=people,dc=demo,dc=test\nobjectClass: person\nobjectClass: inetOrgPerson\n\
         entryUUID: 5a1f0c9e-0001-4000-9000-{number:012}\nuid: person-{number}\ncn: Person {number}\nsn: {number}\n\
         mail: person-{number}@demo.test\nemployeeNumber: 9{number:06}\nuserPrincipalName: person-{number}@corp.demo.test\n\
         objectSid: S-1-5-21-1004336348-1177238915-682003330-{}\n",
        20_000 + number
    )
}

/// The entries and the one account that may bind.
pub struct Directory {
    bind_dn: String,
    password: String,
    entries: Mutex<Vec<Entry>>,
}

impl Directory {
    /// The people of the demo, and so many more.
    pub fn new(bind_dn: &str, password: &str, further_people: usize) -> Self {
        let further = (0..further_people).map(further_person);
        let entries = PEOPLE.split("\n\n").map(str::to_owned).chain(further).filter_map(|text| entry(&text)).collect();
        Self { bind_dn: bind_dn.to_owned(), password: password.to_owned(), entries: Mutex::new(entries) }
    }

    /// Logins and names of the people, for the sign-in page.
    pub fn people(&self) -> Vec<(String, String)> {
        let Ok(entries) = self.entries.lock() else { return Vec::new() };
        let first = |entry: &Entry, name: &str| {
            let (_, values) = entry.attributes.iter().find(|(found, _)| found == name)?;
            String::from_utf8(values.first()?.clone()).ok()
        };
        entries.iter().filter_map(|entry| Some((first(entry, "uid")?, first(entry, "cn")?))).collect()
    }

    /// Answers until the process ends.
    ///
    /// # Errors
    /// The listener fails.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) -> io::Result<()> {
        loop {
            let (stream, _) = listener.accept().await?;
            let directory = self.clone();
            tokio::spawn(async move {
                // A client that breaks off or breaks the protocol has only itself to blame.
                if let Err(error) = directory.converse(stream).await {
                    tracing::debug!(%error, "a directory client broke off");
                }
            });
        }
    }

    async fn converse(&self, stream: TcpStream) -> io::Result<()> {
        // An answer of several messages waits for nobody's acknowledgement.
        stream.set_nodelay(true)?;
        let mut framed = Framed::new(stream, LdapCodec::new(Some(LARGEST_MESSAGE), None));
        let mut bound = false;
        while let Some(message) = framed.next().await {
            let LdapMsg { msgid, op, .. } = message?;
            let answers = match op {
                LdapOp::UnbindRequest => return Ok(()),
                LdapOp::AbandonRequest(_) => continue,
                LdapOp::BindRequest(request) => {
                    bound = matches!(&request.cred, LdapBindCred::Simple(password)
                        if same_name(&request.dn, &self.bind_dn) && *password == self.password);
                    vec![LdapOp::BindResponse(if bound {
                        LdapBindResponse::new_success("")
                    } else {
                        LdapBindResponse::new_invalidcredentials("", "")
                    })]
                }
                LdapOp::SearchRequest(request) if bound => self.search(&request),
                LdapOp::SearchRequest(_) => {
                    vec![LdapOp::SearchResultDone(result(LdapResultCode::InsufficentAccessRights))]
                }
                LdapOp::ModifyRequest(request) if bound => vec![LdapOp::ModifyResponse(result(self.modify(request)))],
                LdapOp::ModifyRequest(_) => {
                    vec![LdapOp::ModifyResponse(result(LdapResultCode::InsufficentAccessRights))]
                }
                _ => return Err(io::Error::other("not an operation of this directory")),
            };
            for answer in answers {
                framed.feed(LdapMsg::new(msgid, answer)).await?;
            }
            framed.flush().await?;
        }
        Ok(())
    }

    fn search(&self, request: &LdapSearchRequest) -> Vec<LdapOp> {
        let Ok(entries) = self.entries.lock() else {
            return vec![LdapOp::SearchResultDone(result(LdapResultCode::Unavailable))];
        };
        if !entries.iter().any(|entry| same_name(&entry.dn, &request.base)) {
            return vec![LdapOp::SearchResultDone(result(LdapResultCode::NoSuchObject))];
        }
        let limit = usize::try_from(request.sizelimit).unwrap_or(0);
        let mut answers = Vec::new();
        let mut code = LdapResultCode::Success;
        for entry in entries.iter().filter(|entry| matches(entry, &request.filter) && in_scope(&entry.dn, request)) {
            if limit > 0 && answers.len() >= limit {
                code = LdapResultCode::SizeLimitExceeded;
                break;
            }
            answers.push(LdapOp::SearchResultEntry(LdapSearchResultEntry {
                dn: entry.dn.clone(),
                attributes: entry
                    .attributes
                    .iter()
                    .filter(|(name, _)| {
                        request.attrs.is_empty() || request.attrs.iter().any(|asked| is_it(name, asked))
                    })
                    .map(|(name, values)| LdapPartialAttribute { atype: name.clone(), vals: values.clone() })
                    .collect(),
            }));
        }
        answers.push(LdapOp::SearchResultDone(result(code)));
        answers
    }

    fn modify(&self, request: LdapModifyRequest) -> LdapResultCode {
        let Ok(mut entries) = self.entries.lock() else { return LdapResultCode::Unavailable };
        let Some(found) = entries.iter_mut().find(|entry| same_name(&entry.dn, &request.dn)) else {
            return LdapResultCode::NoSuchObject;
        };
        let place_of =
            |entry: &Entry, name: &str| entry.attributes.iter().position(|(known, _)| known.eq_ignore_ascii_case(name));
        // All changes or none.
        for LdapModify { operation, modification } in &request.changes {
            if !matches!(operation, LdapModifyType::Add) {
                return LdapResultCode::UnwillingToPerform;
            }
            let known = place_of(found, &modification.atype).and_then(|at| found.attributes.get(at));
            if known.is_some_and(|(_, values)| modification.vals.iter().any(|value| values.contains(value))) {
                return LdapResultCode::AttributeOrValueExists;
            }
        }
        for LdapModify { modification: LdapPartialAttribute { atype, vals }, .. } in request.changes {
            match place_of(found, &atype).and_then(|at| found.attributes.get_mut(at)) {
                Some((_, values)) => values.extend(vals),
                None => found.attributes.push((atype, vals)),
            }
        }
        LdapResultCode::Success
    }
}

/// One entry of the LDIF (RFC 2849, without folding and base64).
fn entry(text: &str) -> Option<Entry> {
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
    Some(Entry { dn: dn?, attributes })
}

fn result(code: LdapResultCode) -> LdapResult {
    LdapResult { code, matcheddn: String::new(), message: String::new(), referral: Vec::new() }
}

fn same_name(left: &str, right: &str) -> bool {
    plain(left) == plain(right)
}

fn plain(dn: &str) -> String {
    dn.split(',').map(|part| part.trim().to_lowercase()).collect::<Vec<_>>().join(",")
}

fn is_it(name: &str, asked: &str) -> bool {
    asked == "*"
        || name.eq_ignore_ascii_case(asked)
        || name.split(';').next().is_some_and(|base| base.eq_ignore_ascii_case(asked))
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
