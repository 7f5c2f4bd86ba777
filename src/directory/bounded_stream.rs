//! Connection to a directory server with a limit on its answers. ldap3 buffers an answer until it is whole, however long its header says it is.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use ldap3::StdStream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// The most that a server may send between two messages of the portal, in bytes. A page has 500 entries, and the portal asks for a few attributes of
/// each.
const LONGEST_ANSWER: u64 = 32 << 20;
const BUFFER: usize = 16 * 1024;

/// Connects to the host of an `ldap://` or `ldaps://` URL.
///
/// # Errors
/// What the network says.
pub(super) async fn connect(url: &str) -> io::Result<StdStream> {
    let server = TcpStream::connect(address(url)).await?;
    server.set_nodelay(true)?;
    let (ours, ldap) = UnixStream::pair()?;
    tokio::spawn(pass(server, ours));
    // ldap3 takes TLS over a TcpStream alone. It reads and writes it, as it may any connected stream socket.
    Ok(StdStream::Tcp(OwnedFd::from(ldap.into_std()?).into()))
}

/// Host and port, with the port that the scheme has where none is said.
fn address(url: &str) -> String {
    let (scheme, host) = url.split_once("://").unwrap_or(("ldap", url));
    let host = host.split('/').next().unwrap_or_default();
    let is_port_said = host.rsplit(']').next().is_some_and(|end| end.contains(':'));
    match (is_port_said, scheme) {
        (true, _) => host.to_owned(),
        (false, "ldaps") => format!("{host}:636"),
        (false, _) => format!("{host}:389"),
    }
}

/// Passes everything on until one side ends, or the server sends too much.
async fn pass(server: TcpStream, ldap: UnixStream) {
    let (from_server, to_server) = server.into_split();
    let (from_ldap, to_ldap) = ldap.into_split();
    let answered = AtomicU64::new(0);
    let asking = copy(from_ldap, to_server, |_| {
        answered.store(0, Ordering::Relaxed);
        true
    });
    let answering = copy(from_server, to_ldap, |length| {
        let is_short = answered.fetch_add(length, Ordering::Relaxed) + length <= LONGEST_ANSWER;
        if !is_short {
            tracing::warn!(limit = LONGEST_ANSWER, "a directory server sends more than any answer has: closed");
        }
        is_short
    });
    // An error ends the connection: whoever uses it is told by its end.
    tokio::select! {
        _ = asking => {}
        _ = answering => {}
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut may_pass: impl FnMut(u64) -> bool,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 || !may_pass(length as u64) {
            return Ok(());
        }
        to.write_all(buffer.get(..length).unwrap_or_default()).await?;
    }
}

#[cfg(test)]
mod tests {
    use ldap3::{LdapConnAsync, LdapConnSettings};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn the_port_is_the_schemes_unless_it_is_said() {
        for (url, expected) in [
            ("ldap://directory", "directory:389"),
            ("ldaps://directory/", "directory:636"),
            ("ldaps://directory:1636", "directory:1636"),
            ("ldap://[::1]", "[::1]:389"),
            ("ldap://[::1]:1389", "[::1]:1389"),
        ] {
            assert_eq!(address(url), expected);
        }
    }

    /// Each answer says that it is longer than anything, and never ends.
    #[tokio::test]
    async fn an_answer_without_end_is_broken_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("ldap://{}", listener.local_addr().expect("an address"));
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut sent = 0_u64;
            let mut chunk = vec![0; BUFFER];
            // SEQUENCE, with a length in eight bytes.
            chunk[..10].copy_from_slice(&[0x30, 0x88, 0, 0, 1, 0, 0, 0, 0, 0]);
            while stream.write_all(&chunk).await.is_ok() {
                sent += chunk.len() as u64;
            }
            sent
        });
        let settings = LdapConnSettings::new().set_std_stream(connect(&url).await.expect("connected"));
        let (connection, mut ldap) = LdapConnAsync::with_settings(settings, &url).await.expect("a client");
        tokio::spawn(connection.drive());
        assert!(ldap.simple_bind("cn=sealwright", "password").await.is_err());
        let sent = serving.await.expect("it ended");
        // What the kernel's buffers hold is sent too.
        assert!((LONGEST_ANSWER..LONGEST_ANSWER + (16 << 20)).contains(&sent), "{sent}");
    }
}
