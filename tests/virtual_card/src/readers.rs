//! A private pcscd: a mount namespace of its own, so that its socket does not meet another's.
//!
//! One copy of the vpcd driver serves two readers on two neighbouring ports; pcscd keeps one state per driver file.
//! Programs find this pcscd by `PCSCLITE_CSOCK_NAME`.

use std::fs;
use std::io::{self, BufRead, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore as _, SeedableRng as _};

const DRIVER: &str = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";
const START_LIMIT: Duration = Duration::from_secs(30);

/// Runs until standard input ends. A line `restart` starts the service again, `unplug` without its readers.
pub fn run(directory: &Path, count: u16) -> io::Result<()> {
    let socket_folder = directory.join("run");
    let readers_folder = directory.join("readers");
    let no_readers = directory.join("no-readers");
    for folder in [&socket_folder, &readers_folder, &no_readers] {
        fs::create_dir_all(folder)?;
    }
    let (mut ports, mut locks) = (Vec::new(), Vec::new());
    let mut configuration = String::new();
    for pair in 0..count.div_ceil(2) {
        let (port, taken) = free_pair()?;
        locks.push(taken);
        let driver = directory.join(format!("driver-{pair}.so"));
        fs::copy(DRIVER, &driver)
            .map_err(|error| io::Error::other(format!("{DRIVER} (Debian package vsmartcard-vpcd): {error}")))?;
        configuration += &format!(
            "FRIENDLYNAME \"Virtual reader {pair}\"\nDEVICENAME /dev/null:0x{port:X}\nLIBPATH {}\nCHANNELID 0x{port:X}\n\n",
            driver.display()
        );
        ports.extend([port, port + 1]);
    }
    ports.truncate(usize::from(count));
    fs::write(readers_folder.join("virtual"), configuration)?;
    let socket = socket_folder.join("pcscd.comm");
    let mut pcscd = start(&socket_folder, &readers_folder)?;
    wait_until_ready(&mut pcscd, &socket, &ports)?;
    println!("{{\"socket\":\"{}\",\"ports\":{ports:?}}}", socket.display());
    io::stdout().flush()?;
    for line in io::stdin().lock().lines() {
        // A reader that is configured cannot be unplugged from a running service.
        let (folder, ports) = match line?.as_str() {
            "restart" => (&readers_folder, ports.as_slice()),
            "unplug" => (&no_readers, &[][..]),
            _ => continue,
        };
        pcscd.kill()?;
        pcscd.wait()?;
        // What a killed service leaves behind would be taken for the new one's.
        for left in ["pcscd.comm", "pcscd.pid"] {
            drop(fs::remove_file(socket_folder.join(left)));
        }
        pcscd = start(&socket_folder, folder)?;
        wait_until_ready(&mut pcscd, &socket, ports)?;
        println!("started");
        io::stdout().flush()?;
    }
    pcscd.kill()?;
    pcscd.wait()?;
    Ok(())
}

fn start(socket_folder: &Path, readers_folder: &Path) -> io::Result<Child> {
    // setpriv: pcscd ends with this process, however that ends.
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "unshare", "--mount", "sh", "-c"])
        .arg("mkdir -p /run/pcscd && mount --bind \"$1\" /run/pcscd && exec pcscd --foreground --critical --config \"$2\"")
        .arg("pcscd")
        .arg(socket_folder)
        .arg(readers_folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| io::Error::other(format!("setpriv and unshare (Debian package util-linux): {error}")))
}

/// Ready means: the socket is there and every reader's driver listens.
fn wait_until_ready(pcscd: &mut Child, socket: &Path, ports: &[u16]) -> io::Result<()> {
    let start = Instant::now();
    loop {
        if let Some(status) = pcscd.try_wait()? {
            return Err(io::Error::other(format!(
                "a private pcscd does not start here ({status}): it needs root or a mount namespace, and the Debian package pcscd"
            )));
        }
        let listening = ports.iter().map(|port| is_listened_on(*port)).collect::<io::Result<Vec<bool>>>()?;
        if socket.exists() && listening.iter().all(|listening| *listening) {
            return Ok(());
        }
        if start.elapsed() > START_LIMIT {
            return Err(io::Error::other("pcscd did not start within 30 seconds"));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether somebody listens on a port of this machine (proc(5), `/proc/net/tcp`). Trying to bind would take it away from the driver.
fn is_listened_on(port: u16) -> io::Result<bool> {
    const LISTEN: &str = "0A";
    let local = format!(":{port:04X}");
    let table = fs::read_to_string("/proc/net/tcp")?;
    Ok(table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next().is_some_and(|address| address.ends_with(&local)) && fields.nth(1) == Some(LISTEN)
    }))
}

/// Two neighbouring free ports, from below those that connections out of this machine take. A driver binds them only later: until their locks are dropped,
/// nobody else who looks for ports takes them.
fn free_pair() -> io::Result<(u16, [fs::File; 2])> {
    let mut random = ChaCha8Rng::from_entropy();
    for _ in 0..1000 {
        let port = 10_000 + u16::try_from(random.next_u32() % 20_000).unwrap_or_default();
        let (Some(first), Some(second)) = (lock(port)?, lock(port + 1)?) else { continue };
        if TcpListener::bind(("0.0.0.0", port)).is_ok() && TcpListener::bind(("0.0.0.0", port + 1)).is_ok() {
            return Ok((port, [first, second]));
        }
    }
    Err(io::Error::other("no two neighbouring ports are free"))
}

/// The lock that everybody takes who starts servers here (`tests/world/src/ports.rs`); none when somebody has it.
fn lock(port: u16) -> io::Result<Option<fs::File>> {
    let folder = std::env::temp_dir().join("sealwright-ports");
    fs::create_dir_all(&folder)?;
    let file = fs::File::create(folder.join(port.to_string()))?;
    Ok(file.try_lock().is_ok().then_some(file))
}
