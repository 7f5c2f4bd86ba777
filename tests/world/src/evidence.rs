//! What the demo leaves behind: certificates and signatures as foreign programs read and verify them.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::process::Command;

use crate::random;
use crate::world::World;

/// The slots of the demo's profiles.
const SLOTS: [&str; 2] = ["9a", "9c"];

/// Collects everything in `out`.
///
/// # Errors
/// A foreign program does not agree.
pub async fn collect(world: &World, out: &Path, reader: &str, pin: &str, view: &str) -> anyhow::Result<()> {
    std::fs::create_dir_all(out)?;
    std::fs::write(out.join("instance.json"), view)?;
    let chain = fetch(&format!("{}/pki/ca/issuing.pem", world.public_url)).await?;
    std::fs::write(out.join("ca.pem"), chain)?;
    std::fs::write(out.join("crl.der"), fetch(&format!("{}/pki/crl/issuing.crl", world.public_url)).await?)?;
    for slot in SLOTS {
        let pem = out.join(format!("{slot}.pem"));
        piv(world, reader, &["-a", "read-certificate", "-s", slot, "-o", &text(&pem)]).await?;
        run(Command::new("openssl").args(["verify", "-CAfile"]).arg(out.join("ca.pem")).arg(&pem)).await?;
        let key = out.join(format!("{slot}.pub"));
        run(Command::new("openssl").args(["x509", "-pubkey", "-noout", "-in"]).arg(&pem).arg("-out").arg(&key)).await?;
        let algorithm = algorithm(&key).await?;
        let (message, signature) = (out.join(format!("{slot}.txt")), out.join(format!("{slot}.sig")));
        std::fs::write(&message, format!("Sealwright demo, slot {slot}, {}\n", random::token()?))?;
        let files = [text(&message), text(&signature)];
        let [message_file, signature_file] = &files;
        piv(
            world,
            reader,
            &[
                "-a",
                "verify-pin",
                "-P",
                pin,
                "--sign",
                "-s",
                slot,
                "-A",
                algorithm,
                "-H",
                "SHA256",
                "-i",
                message_file,
                "-o",
                signature_file,
            ],
        )
        .await?;
        run(Command::new("openssl")
            .args(["dgst", "-sha256", "-verify"])
            .arg(&key)
            .arg("-signature")
            .arg(&signature)
            .arg(&message))
        .await?;
        std::fs::remove_file(key)?;
    }
    Ok(())
}

/// A key's algorithm, as yubico-piv-tool is told.
async fn algorithm(key: &Path) -> anyhow::Result<&'static str> {
    let said = run(Command::new("openssl").args(["pkey", "-pubin", "-noout", "-text", "-in"]).arg(key)).await?;
    Ok(if said.contains("prime256v1") { "ECCP256" } else { "RSA2048" })
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

async fn fetch(url: &str) -> anyhow::Result<Vec<u8>> {
    // The first revocation list is being made when the portal starts.
    for _ in 0..100 {
        let answer = reqwest::get(url).await?;
        if answer.status().is_success() {
            return Ok(answer.bytes().await?.to_vec());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    anyhow::bail!("{url} is not there")
}

/// Runs yubico-piv-tool; gives what it prints. It gives up at once when the service is just switching the card on, so it is asked
/// again then.
///
/// # Errors
/// The tool does not do it.
pub async fn piv(world: &World, reader: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let mut tries = 0;
    loop {
        tries += 1;
        let mut command = Command::new("yubico-piv-tool");
        command.args(["-r", reader]).args(arguments).env("PCSCLITE_CSOCK_NAME", &world.socket);
        match run(&mut command).await {
            Err(error) if tries < 10 => {
                tracing::debug!(%error, "asked again");
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            }
            other => return other,
        }
    }
}

async fn run(command: &mut Command) -> anyhow::Result<String> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().await.with_context(|| format!("{program} is not installed"))?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{program} does not agree: {said}");
    Ok(said)
}
