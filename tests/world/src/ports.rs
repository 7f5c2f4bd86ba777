//! Free ports for servers that are started beside each other.

use std::net::{SocketAddr, TcpListener};
use std::sync::Mutex;

use crate::random;

/// Locks on the ports that this process has been given.
static TAKEN: Mutex<Vec<std::fs::File>> = Mutex::new(Vec::new());

/// A free address below the ports that connections out of this machine take: nobody else gets it before it is bound, or while its server is
/// being started again.
///
/// # Errors
/// None was found.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    let taken = std::env::temp_dir().join("sealwright-ports");
    std::fs::create_dir_all(&taken)?;
    for _ in 0..1000 {
        let port = 10_000 + u16::from_be_bytes(random::bytes()?) % 20_000;
        // Others who look for a port at the same time see it taken as long as this process lives, bound or not.
        let Ok(file) = std::fs::File::create(taken.join(port.to_string())) else { continue };
        if file.try_lock().is_err() {
            continue;
        }
        if let (Ok(listener), Ok(mut kept)) = (TcpListener::bind(("127.0.0.1", port)), TAKEN.lock()) {
            kept.push(file);
            return Ok(listener.local_addr()?);
        }
    }
    anyhow::bail!("no port is free")
}
