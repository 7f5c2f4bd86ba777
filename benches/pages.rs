//! Pages as the proxy asks for them: kept-alive connections, the headers of the sign-in, the cookie of a session.

use std::time::{Duration, Instant};

use sealwright_world::world::World;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const CONNECTIONS: usize = 32;
const FOR: Duration = Duration::from_secs(10);

pub struct Load {
    pub each_second: f64,
    /// The 99th percentile.
    pub slow: Duration,
}

pub async fn load(world: &World, session: &str) -> Load {
    let request = format!("GET / HTTP/1.1\r\nHost: portal\r\n{session}\r\n");
    let until = Instant::now() + FOR;
    let connections: Vec<_> =
        (0..CONNECTIONS).map(|_| tokio::spawn(ask(world.pages, request.clone(), until))).collect();
    let mut times = Vec::new();
    for connection in connections {
        times.extend(connection.await.expect("a connection"));
    }
    times.sort();
    Load { each_second: times.len() as f64 / FOR.as_secs_f64(), slow: times[times.len() * 99 / 100] }
}

async fn ask(address: std::net::SocketAddr, request: String, until: Instant) -> Vec<Duration> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("an option");
    let mut stream = BufReader::new(stream);
    let (mut times, mut body, mut line) = (Vec::new(), Vec::new(), String::new());
    while Instant::now() < until {
        let began = Instant::now();
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut length = 0;
        for number in 0.. {
            line.clear();
            stream.read_line(&mut line).await.expect("a line");
            assert!(number > 0 || line.starts_with("HTTP/1.1 200"), "{line}");
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().expect("a number");
            }
            if line == "\r\n" {
                break;
            }
        }
        body.resize(length, 0);
        stream.read_exact(&mut body).await.expect("a body");
        assert!(body.windows(10).any(|part| part == b"What would"), "not the page that was asked for");
        times.push(began.elapsed());
    }
    times
}
