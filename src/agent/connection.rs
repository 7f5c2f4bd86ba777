//! The WebSocket to the portal: https, or http to this very computer.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use sealwright_protocol::{FromAgent, FromPortal, MAXIMUM_MESSAGE, PATH, visible, visible_lines};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{self, Message, protocol::WebSocketConfig};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use crate::error::Error;

const CONNECT_LIMIT: Duration = Duration::from_secs(15);
/// The read timeout. The portal pings every other second; an agent that only listens is never told
/// of a network that fell silent.
const SILENCE: Duration = Duration::from_secs(30);

pub struct Connection {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// The reason why there is no message.
pub enum Lost {
    /// The network or the portal went away: try again.
    Network,
    /// The portal says something that this agent does not understand.
    Protocol,
}

impl Connection {
    /// Connects to a portal's address, such as `https://portal.example.org`.
    ///
    /// # Errors
    /// `Err(None)` when the portal does not answer now, `Err(Some(…))` when it never will.
    pub async fn open(portal: &str, ca_file: Option<&Path>) -> Result<Self, Option<Error>> {
        let url = address(portal).map_err(Some)?;
        let config =
            WebSocketConfig::default().max_message_size(Some(MAXIMUM_MESSAGE)).max_frame_size(Some(MAXIMUM_MESSAGE));
        let connector = match url.starts_with("wss://") {
            true => Connector::Rustls(tls(ca_file).map_err(Some)?),
            false => Connector::Plain,
        };
        let connecting = connect_async_tls_with_config(url, Some(config), true, Some(connector));
        match tokio::time::timeout(CONNECT_LIMIT, connecting).await {
            Ok(Ok((socket, _))) => Ok(Self { socket }),
            // A web server in front of the portal answers with a status of 5xx while the portal is
            // away (RFC 9110 section 15.6): try again.
            Ok(Err(tungstenite::Error::Http(response))) if !response.status().is_server_error() => {
                let text = format!("The portal refuses agents here (HTTP {}).", response.status());
                Err(Some(Error::say(text)))
            }
            Ok(Err(error)) => {
                tracing::info!(%error, "the portal does not answer");
                Err(untrusted(&error))
            }
            Err(_) => Err(None),
        }
    }

    /// # Errors
    /// [`Lost::Network`].
    pub async fn send(&mut self, message: &FromAgent) -> Result<(), Lost> {
        let text = serde_json::to_string(message).map_err(|_| Lost::Protocol)?;
        self.socket.send(Message::text(text)).await.map_err(|_| Lost::Network)
    }

    /// # Errors
    /// [`Lost`].
    pub async fn receive(&mut self) -> Result<FromPortal, Lost> {
        loop {
            let received = tokio::time::timeout(SILENCE, self.socket.next()).await.map_err(|_| Lost::Network)?;
            if let Some(message) = read(received)? {
                return Ok(message);
            }
        }
    }

    /// The same without the read timeout, for a portal of an earlier release: it pings only after the
    /// pairing was confirmed.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn receive_unpinged(&mut self) -> Result<FromPortal, Lost> {
        loop {
            let received = self.socket.next().await;
            if let Some(message) = read(received)? {
                return Ok(message);
            }
        }
    }
}

/// The message in a frame; none in a ping.
fn read(received: Option<Result<Message, tungstenite::Error>>) -> Result<Option<FromPortal>, Lost> {
    match received {
        Some(Ok(Message::Text(text))) => {
            serde_json::from_str(text.as_str()).map(|message| Some(made_visible(message))).map_err(|error| {
                tracing::warn!(%error, "a message cannot be read");
                Lost::Protocol
            })
        }
        Some(Ok(Message::Close(_)) | Err(_)) | None => Err(Lost::Network),
        Some(Ok(_)) => Ok(None),
    }
}

/// The same message, whose texts can be printed: a portal's escape sequences are nothing for a terminal, and names
/// look as they are.
fn made_visible(message: FromPortal) -> FromPortal {
    match message {
        FromPortal::Offer { pairing, portal, person, purpose, nonce, capabilities } => {
            let [portal, person, purpose] = [portal, person, purpose].map(|text| visible(&text));
            FromPortal::Offer { pairing, portal, person, purpose, nonce, capabilities }
        }
        FromPortal::Progress { label } => FromPortal::Progress { label: visible(&label) },
        FromPortal::Finished { success, say } => FromPortal::Finished { success, say: visible_lines(&say) },
        FromPortal::Refused { say } => FromPortal::Refused { say: visible_lines(&say) },
        other => other,
    }
}

/// A certificate that nobody here vouches for, or for another name: it is the same the next time.
fn untrusted(error: &tungstenite::Error) -> Option<Error> {
    let tungstenite::Error::Io(error) = error else { return None };
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(why) => Some(Error::say(format!(
            "The TLS certificate of the portal is not trusted on this computer: {why}. Ask the help desk. \
             (`ca-file` in the agent's configuration names an authority beside the system's.)"
        ))),
        _ => None,
    }
}

fn address(portal: &str) -> Result<String, Error> {
    let portal = portal.trim_end_matches('/');
    if let Some(host) = portal.strip_prefix("https://") {
        return Ok(format!("wss://{host}{PATH}"));
    }
    match portal.strip_prefix("http://") {
        Some(host) if host == "127.0.0.1" || host.starts_with("127.0.0.1:") => Ok(format!("ws://{host}{PATH}")),
        _ => Err(Error::say("The portal's address must begin with https://.")),
    }
}

fn tls(ca_file: Option<&Path>) -> Result<Arc<rustls::ClientConfig>, Error> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls_native_certs::load_native_certs().certs {
        // A store may hold what rustls does not take.
        drop(roots.add(certificate));
    }
    if let Some(path) = ca_file {
        let pem = std::fs::read(path).map_err(|error| Error::File { path: path.to_owned(), error })?;
        for certificate in CertificateDer::pem_slice_iter(&pem).flatten() {
            drop(roots.add(certificate));
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| Error::say("TLS cannot be set up."))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::PrivatePkcs8KeyDer;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Why an agent does not connect to a web server that answers with this status.
    async fn refused(status: &'static str) -> Option<Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let portal = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("an agent");
            let _request = stream.read(&mut [0; 4096]).await.expect("a request");
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.expect("sent");
        });
        Connection::open(&portal, None).await.err().expect("no connection")
    }

    #[test]
    fn a_portals_texts_move_no_terminal_and_look_as_they_are() {
        let evil = || "A\u{1b}[2J\u{202e}B".to_owned();
        let shown = "A⟨U+001B⟩[2J⟨U+202E⟩B";
        let offer = FromPortal::Offer {
            pairing: "1".to_owned(),
            portal: evil(),
            person: evil(),
            purpose: evil(),
            nonce: sealwright_protocol::Bytes(Vec::new()),
            capabilities: sealwright_protocol::Capabilities::known(),
        };
        let messages = [
            offer,
            FromPortal::Progress { label: evil() },
            FromPortal::Finished { success: true, say: evil() + "\nC" },
            FromPortal::Refused { say: evil() },
        ];
        for message in messages.map(made_visible) {
            let text = serde_json::to_string(&message).expect("a message");
            assert!(text.contains(shown) && !text.contains("u001b") && !text.contains('\u{202e}'), "{text}");
        }
    }

    #[tokio::test]
    async fn a_portal_that_is_away_behind_its_web_server_is_tried_again() {
        for status in ["502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"] {
            assert!(refused(status).await.is_none(), "{status}");
        }
        assert!(refused("403 Forbidden").await.is_some());
    }

    #[tokio::test]
    async fn a_certificate_that_is_not_trusted_is_named_and_not_tried_again() {
        let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key.into())
            .expect("a configuration");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let portal = format!("https://{}", listener.local_addr().expect("an address"));
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("an agent");
            let mut server = rustls::ServerConnection::new(Arc::new(config)).expect("a connection");
            // The agent breaks it off.
            server.complete_io(&mut stream).is_err()
        });
        let refused = Connection::open(&portal, None).await.err().expect("no connection");
        let said = refused.expect("it is not tried again").to_string();
        assert!(said.contains("not trusted on this computer"), "{said}");
    }
}
