//! The wire between agent and portal, with somebody on it who changes what the agent says, and hears what it is told.

use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use sealwright_protocol::{Bytes, Capabilities, FromAgent, FromPortal, Hello, PATH, VERSION};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_async, connect_async};

use super::TestWorld;

pub struct Wire {
    url: String,
    told: Arc<Mutex<Vec<FromPortal>>>,
    silence: Arc<Notify>,
}

/// What goes on to the portal instead of what an agent says.
type Change = dyn Fn(FromAgent) -> Vec<FromAgent> + Send + Sync;

impl Wire {
    /// Listens for agents and passes everything on, changed.
    pub async fn start(portal: &str, change: impl Fn(&mut FromAgent) + Send + Sync + 'static) -> Self {
        Self::start_saying(portal, move |mut message| {
            change(&mut message);
            vec![message]
        })
        .await
    }

    /// The same, with as many messages instead of each.
    pub async fn start_saying(
        portal: &str,
        change: impl Fn(FromAgent) -> Vec<FromAgent> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (target, change): (String, Arc<Change>) = (socket_url(portal), Arc::new(change));
        let told = Arc::<Mutex<Vec<FromPortal>>>::default();
        let heard = told.clone();
        let silence = Arc::<Notify>::default();
        let falls_silent = silence.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (target, change) = (target.clone(), change.clone());
                let (heard, falls_silent) = (heard.clone(), falls_silent.clone());
                tokio::spawn(async move {
                    let Ok(agent) = accept_async(stream).await else { return };
                    pass(agent, None, target, change, heard, falls_silent).await;
                });
            }
        });
        Self { url, told, silence }
    }

    /// Nothing is passed on any more of what is connected now, and neither side is told.
    pub fn fall_silent(&self) {
        self.silence.notify_waiters();
    }

    /// What the portal has told agents so far.
    pub fn told(&self) -> Vec<FromPortal> {
        self.told.lock().expect("not poisoned").clone()
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
        Self { url, told: Arc::default(), silence: Arc::default() }
    }

    /// A portal of an earlier release, which refuses a first message that names capabilities; all else is passed on.
    pub async fn refusing_capabilities(portal: &str, refusal: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let target = socket_url(portal);
        let told = Arc::<Mutex<Vec<FromPortal>>>::default();
        let heard = told.clone();
        let silence = Arc::<Notify>::default();
        let never = silence.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (target, heard, never) = (target.clone(), heard.clone(), never.clone());
                tokio::spawn(async move {
                    let Ok(mut agent) = accept_async(stream).await else { return };
                    let Some(Ok(Message::Text(hello))) = agent.next().await else { return };
                    if hello.contains("\"capabilities\"") {
                        let refused = FromPortal::Refused { say: refusal.to_owned() };
                        let text = serde_json::to_string(&refused).expect("JSON");
                        drop(agent.send(Message::text(text)).await);
                        drop(agent.close(None).await);
                        return;
                    }
                    let unchanged: Arc<Change> = Arc::new(|message| vec![message]);
                    pass(agent, Some(hello), target, unchanged, heard, never).await;
                });
            }
        });
        Self { url, told, silence }
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

    /// Redeems a code as an agent of its own would; gives what the portal says.
    pub async fn redeem(portal: &str, code: &str) -> FromPortal {
        let (mut socket, _) = connect_async(socket_url(portal)).await.expect("a connection");
        let (key, commitment) = (Bytes(vec![7; 32]), Bytes(vec![7; 32]));
        let [agent, host] = ["test", "test"].map(str::to_owned);
        let capabilities = Capabilities::default();
        let hello = FromAgent::Hello(Hello { protocol: VERSION, agent, host, key, capabilities });
        let redeem = FromAgent::Redeem { code: code.to_owned(), commitment, readers: Vec::new() };
        for message in [hello, redeem] {
            let text = serde_json::to_string(&message).expect("JSON");
            socket.send(Message::text(text)).await.expect("sent");
        }
        match socket.next().await {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).expect("a message of the protocol"),
            other => panic!("no answer: {other:?}"),
        }
    }
}

fn socket_url(portal: &str) -> String {
    format!("{}{PATH}", portal.replace("http://", "ws://"))
}

/// Passes messages on, after a first one that was read before.
async fn pass(
    mut agent: WebSocketStream<TcpStream>,
    first: Option<Utf8Bytes>,
    target: String,
    change: Arc<Change>,
    heard: Arc<Mutex<Vec<FromPortal>>>,
    silence: Arc<Notify>,
) {
    let silence = silence.notified();
    tokio::pin!(silence);
    let Ok((mut portal, _)) = connect_async(target).await else { return };
    if let Some(first) = first
        && portal.send(Message::Text(first)).await.is_err()
    {
        return;
    }
    loop {
        let sent = tokio::select! {
            () = &mut silence => std::future::pending().await,
            said = agent.next() => match said {
                Some(Ok(Message::Text(text))) => {
                    let message: FromAgent = serde_json::from_str(&text).expect("a message of the protocol");
                    let mut sent = Ok(());
                    for message in change(message) {
                        let text = serde_json::to_string(&message).expect("JSON");
                        sent = sent.and(portal.send(Message::text(text)).await);
                    }
                    sent
                }
                Some(Ok(other)) => portal.send(other).await,
                _ => return,
            },
            said = portal.next() => match said {
                Some(Ok(message)) => {
                    if let Message::Text(text) = &message {
                        let said = serde_json::from_str(text).expect("a message of the protocol");
                        heard.lock().expect("not poisoned").push(said);
                    }
                    agent.send(message).await
                }
                _ => return,
            },
        };
        if sent.is_err() {
            return;
        }
    }
}
