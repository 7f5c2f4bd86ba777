//! The wire between agent and portal, with somebody on it who changes what the agent says.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use sealwright_protocol::{FromAgent, PATH};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{accept_async, connect_async};

use super::TestWorld;

pub struct Wire {
    url: String,
}

type Change = dyn Fn(&mut FromAgent) + Send + Sync;

impl Wire {
    /// Listens for agents and passes everything on, changed.
    pub async fn start(portal: &str, change: impl Fn(&mut FromAgent) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (target, change): (String, Arc<Change>) = (socket_url(portal), Arc::new(change));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass(stream, target.clone(), change.clone()));
            }
        });
        Self { url }
    }

    /// Agents of this test connect here, and trust it.
    pub fn stands_between(&self, test: &mut TestWorld) {
        test.agents_connect_to(&self.url, "");
    }

    /// A portal that answers whatever it is told with one text.
    pub async fn answering(text: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut agent) = accept_async(stream).await else { continue };
                while let Some(Ok(_)) = agent.next().await {
                    drop(agent.send(Message::text(text)).await);
                }
            }
        });
        Self { url }
    }

    /// Sends one text to the portal; gives what it says.
    pub async fn say(portal: &str, text: &str) -> Option<String> {
        let (mut socket, _) = connect_async(socket_url(portal)).await.expect("a connection");
        socket.send(Message::text(text)).await.expect("sent");
        match socket.next().await {
            Some(Ok(Message::Text(said))) => Some(said.to_string()),
            _ => None,
        }
    }
}

fn socket_url(portal: &str) -> String {
    format!("{}{PATH}", portal.replace("http://", "ws://"))
}

async fn pass(stream: TcpStream, target: String, change: Arc<Change>) {
    let Ok(mut agent) = accept_async(stream).await else { return };
    let Ok((mut portal, _)) = connect_async(target).await else { return };
    loop {
        let sent = tokio::select! {
            said = agent.next() => match said {
                Some(Ok(Message::Text(text))) => {
                    let mut message: FromAgent = serde_json::from_str(&text).expect("a message of the protocol");
                    change(&mut message);
                    portal.send(Message::text(serde_json::to_string(&message).expect("JSON"))).await
                }
                Some(Ok(other)) => portal.send(other).await,
                _ => return,
            },
            said = portal.next() => match said {
                Some(Ok(message)) => agent.send(message).await,
                _ => return,
            },
        };
        if sent.is_err() {
            return;
        }
    }
}
