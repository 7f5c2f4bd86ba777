//! Connections of nobody in particular: what they send is bounded before it is whole, and so are their number and their time.

use futures_util::future::join_all;
use sealwright_protocol::PATH;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Database, TestWorld};

/// What the portal may need beside: some times the longest message.
const MOST_MEMORY: usize = 64 << 20;
static CHUNK: [u8; 64 * 1024] = [0; 64 * 1024];

/// A connection to the agents' address.
async fn connect(test: &TestWorld) -> TcpStream {
    let address = test.world.agent_url.trim_start_matches("http://");
    TcpStream::connect(address).await.expect("a connection")
}

/// Sends the upgrade of an agent whom the proxy has seen at an address; gives the connection and the status.
async fn upgrade(test: &TestWorld, address: &str) -> (TcpStream, String) {
    let mut stream = connect(test).await;
    let request = format!(
        "GET {PATH} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Forwarded-For: {address}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("an answer"));
    }
    let status = String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or_default().to_owned();
    (stream, status)
}

/// Sends chunks until the portal has ended the connection, which it does within a second of its refusal.
async fn flood(mut stream: TcpStream, chunk: &[u8]) {
    while stream.write_all(chunk).await.is_ok() {}
}

/// The most memory that the portal has had, in bytes.
fn peak(test: &TestWorld) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", test.world.portal_id())).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the peak of resident memory");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_ends_is_broken_off_before_it_is_whole() {
    let test = TestWorld::start(Database::Sqlite).await;
    let before = peak(&test);
    // A frame of 2^40 bytes, masked; one whose length is above the limit by one; a ping that is none.
    let unfinished = [
        &[0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4][..],
        &[0x82, 0xff, 0, 0, 0, 0, 0, 4, 0, 1, 1, 2, 3, 4],
        &[0x89, 0xfe, 0xff, 0xff, 1, 2, 3, 4],
    ];
    for start in unfinished {
        let (mut stream, status) = upgrade(&test, "192.0.2.1").await;
        assert_eq!(status, "101");
        stream.write_all(start).await.expect("sent");
        flood(stream, &CHUNK).await;
    }
    // A message of fragments without an end.
    let (mut stream, _) = upgrade(&test, "192.0.2.1").await;
    stream.write_all(&[0x01, 0x84, 0, 0, 0, 0, b'{', b'}', b'{', b'}']).await.expect("sent");
    let fragment = [&[0x00, 0xfe, 0xff, 0x00, 0, 0, 0, 0][..], &[b' '; 0xff00]].concat();
    flood(stream, &fragment).await;

    // A body in one long chunk (RFC 9112 section 7.1), and a line without an end.
    let head = "POST /api/v1/instances HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    for start in [format!("{head}Transfer-Encoding: chunked\r\n\r\nffffffff\r\n"), "GET /aaaa".to_owned()] {
        let mut stream = connect(&test).await;
        stream.write_all(start.as_bytes()).await.expect("sent");
        flood(stream, &CHUNK).await;
    }
    let needed = peak(&test) - before;
    assert!(needed < MOST_MEMORY, "{needed} bytes");
    // Nobody was harmed.
    test.alice().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_have_not_paired_are_limited() {
    let test = TestWorld::start(Database::Sqlite).await;
    let mut held = Vec::new();
    let last = loop {
        let (stream, status) = upgrade(&test, "192.0.2.1").await;
        if status != "101" {
            break status;
        }
        held.push(stream);
    };
    assert_eq!((held.len(), last.as_str()), (100, "503"));
    assert_eq!(test.audited("agent-refused").await.len(), 1);
    // Somebody else's are others, and a place that was left is free.
    assert_eq!(upgrade(&test, "192.0.2.2").await.1, "101");
    drop(held);
    while upgrade(&test, "192.0.2.1").await.1 != "101" {}
    // Agents that have paired hold none.
    let mut begun = test.alice().await;
    let code = sealwright_world::journey::offer(&mut begun).await.expect("a code");
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
}

/// Nobody has been asked yet who they are: the body is read before its token counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_takes_its_time_is_not_waited_for() {
    let test = TestWorld::start(Database::Sqlite).await;
    let head = "Host: x\r\nContent-Length: 1000\r\n";
    let slow = [
        (false, format!("POST /api/v1/instances HTTP/1.1\r\n{head}Content-Type: application/json\r\n\r\n{{")),
        (true, format!("POST /role HTTP/1.1\r\n{head}Content-Type: application/x-www-form-urlencoded\r\n\r\nrole")),
    ];
    let answers = join_all(slow.iter().map(async |(is_page, request)| {
        let mut stream = match is_page {
            true => TcpStream::connect(test.world.pages).await.expect("a connection"),
            false => connect(&test).await,
        };
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer, and the end");
        String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
    }));
    for answer in answers.await {
        assert_eq!(answer, "HTTP/1.1 408 Request Timeout");
    }
}
