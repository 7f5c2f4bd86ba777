//! The WebSocket to the portal: https, or http to this very computer.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use sealwright_protocol::{FromAgent, FromPortal, MAXIMUM_MESSAGE, PATH};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{self, Message, protocol::WebSocketConfig};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use crate::Error;

const CONNECT_LIMIT: Duration = Duration::from_secs(15);
/// The portal pings every other second. Where nothing arrives for so long the network fell silent, which an agent that only listens is never told.
const SILENCE: Duration = Duration::from_secs(30);

pub struct Connection {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// Why there is no message.
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
            Ok(Err(tungstenite::Error::Http(response))) => {
                let text = format!("The portal refuses agents here (HTTP {}).", response.status());
                Err(Some(Error::say(text)))
            }
            Ok(Err(error)) => {
                tracing::info!(%error, "the portal does not answer");
                Err(None)
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
            match tokio::time::timeout(SILENCE, self.socket.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => {
                    return serde_json::from_str(text.as_str()).map_err(|error| {
                        tracing::warn!(%error, "a message cannot be read");
                        Lost::Protocol
                    });
                }
                Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) | Err(_) => return Err(Lost::Network),
                Ok(Some(Ok(_))) => {}
            }
        }
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
