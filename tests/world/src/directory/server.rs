//! The LDAP server over the entries: one task for each client.

use std::io;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use ldap3_proto::LdapCodec;
use ldap3_proto::proto::{
    LdapBindCred, LdapBindRequest, LdapBindResponse, LdapModifyRequest, LdapMsg, LdapOp, LdapPartialAttribute,
    LdapResult, LdapResultCode, LdapSearchRequest, LdapSearchResultEntry,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::codec::Framed;

use super::entry::{is_it, same_name};
use super::modify::modify;
use super::{Behaviour, Shared};

const LARGEST_MESSAGE: usize = 1 << 20;

/// Serves until the task is aborted, which ends its clients' connections with it.
pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                let shared = shared.clone();
                clients.spawn(async move {
                    // A client that breaks off or breaks the protocol has only itself to blame.
                    if let Err(error) = converse(&shared, stream).await {
                        tracing::debug!(%error, "a directory client broke off");
                    }
                });
            }
            Some(_) = clients.join_next() => {}
        }
    }
}

async fn converse(shared: &Shared, stream: TcpStream) -> io::Result<()> {
    // An answer of several messages waits for nobody's acknowledgement.
    stream.set_nodelay(true)?;
    let mut framed = Framed::new(stream, LdapCodec::new(Some(LARGEST_MESSAGE), None));
    let mut bound = false;
    while let Some(message) = framed.next().await {
        let LdapMsg { msgid, op, .. } = message?;
        let is_bind = matches!(op, LdapOp::BindRequest(_));
        let refused = match shared.behaviour().await? {
            Behaviour::Refuses(code) => refusal(&op, code),
            Behaviour::RefusesAfterBind(code) if !is_bind => refusal(&op, code),
            _ if !is_bind && !bound => refusal(&op, LdapResultCode::InsufficentAccessRights),
            _ => None,
        };
        // A bind that fails leaves the connection anonymous (RFC 4511 section 4.2.1).
        bound &= !is_bind;

        let answers = match (refused, op) {
            (Some(refused), _) => vec![refused],
            (None, LdapOp::UnbindRequest) => return Ok(()),
            (None, LdapOp::AbandonRequest(_)) => continue,
            (None, LdapOp::BindRequest(request)) => {
                bound = shared.lets_in(&request);
                vec![LdapOp::BindResponse(if bound {
                    LdapBindResponse::new_success("")
                } else {
                    LdapBindResponse::new_invalidcredentials("", "")
                })]
            }
            (None, LdapOp::SearchRequest(request)) => shared.search(&request),
            (None, LdapOp::ModifyRequest(request)) => {
                vec![LdapOp::ModifyResponse(result(shared.modify(&request)))]
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

impl Shared {
    /// The behaviour of now, once it is not to hang.
    async fn behaviour(&self) -> io::Result<Behaviour> {
        let mut behaviour = self.behaviour.subscribe();
        let now = behaviour.wait_for(|now| *now != Behaviour::Hangs).await.map_err(io::Error::other)?;
        Ok(now.clone())
    }

    fn lets_in(&self, request: &LdapBindRequest) -> bool {
        matches!(&request.cred, LdapBindCred::Simple(password)
            if same_name(&request.dn, &self.bind_dn) && *password == self.password)
    }

    fn search(&self, request: &LdapSearchRequest) -> Vec<LdapOp> {
        let entries = self.entries();
        if !entries.iter().any(|entry| same_name(&entry.dn, &request.base)) {
            return vec![LdapOp::SearchResultDone(result(LdapResultCode::NoSuchObject))];
        }
        let limit = usize::try_from(request.sizelimit).unwrap_or(0);
        let mut answers = Vec::new();
        let mut code = LdapResultCode::Success;
        for entry in entries.iter().filter(|entry| entry.is_found_by(request)) {
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

    fn modify(&self, request: &LdapModifyRequest) -> LdapResultCode {
        match self.entries().iter_mut().find(|entry| same_name(&entry.dn, &request.dn)) {
            Some(entry) => modify(entry, &request.changes).err().unwrap_or(LdapResultCode::Success),
            None => LdapResultCode::NoSuchObject,
        }
    }
}

/// The answer to an operation that is not carried out; none for an operation that has no answer.
fn refusal(op: &LdapOp, code: LdapResultCode) -> Option<LdapOp> {
    match op {
        LdapOp::BindRequest(_) => Some(LdapOp::BindResponse(LdapBindResponse { res: result(code), saslcreds: None })),
        LdapOp::SearchRequest(_) => Some(LdapOp::SearchResultDone(result(code))),
        LdapOp::ModifyRequest(_) => Some(LdapOp::ModifyResponse(result(code))),
        _ => None,
    }
}

fn result(code: LdapResultCode) -> LdapResult {
    LdapResult { code, matcheddn: String::new(), message: String::new(), referral: Vec::new() }
}
