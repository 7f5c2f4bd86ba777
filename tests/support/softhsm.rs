//! A SoftHSM2 token of a test's own.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sealwright::hsm::HsmOptions;

use super::run;

pub const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
pub const PIN: &str = "5839201746";
/// The security officer's PIN that a token comes with.
pub const SO_PIN: &str = "86420975";
const TOKEN: &str = "sealwright-test";

pub struct SoftHsm {
    folder: PathBuf,
}

impl SoftHsm {
    pub fn start(folder: &Path) -> Self {
        let folder = folder.join("softhsm");
        std::fs::create_dir_all(folder.join("tokens")).expect("a folder");
        let here = folder.display();
        let configuration = format!(
            "directories.tokendir = {here}/tokens\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = true\n"
        );
        std::fs::write(folder.join("softhsm2.conf"), configuration).expect("written");
        let worker = format!(
            "#!/bin/sh\nSOFTHSM2_CONF='{here}/softhsm2.conf' exec '{}' \"$@\"\n",
            env!("CARGO_BIN_EXE_sealwright")
        );
        std::fs::write(folder.join("worker"), worker).expect("written");
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.join("worker"), executable).expect("permissions");
        let softhsm = Self { folder };
        softhsm.put_pin(PIN);
        softhsm.initialize();
        softhsm
    }

    /// Makes an empty token with the name and the PIN of the configured one.
    pub fn initialize(&self) {
        self.run("softhsm2-util", &["--init-token", "--free", "--label", TOKEN, "--so-pin", SO_PIN, "--pin", PIN]);
    }

    /// Puts a signature of nothing, `r = s = 1`, in the place of those that the module gives, once its process is started again.
    pub fn sign_wrongly(&self) {
        let worker = self.folder.join("worker");
        std::fs::copy(&worker, self.folder.join("worker.right")).expect("kept");
        let script = std::fs::read_to_string(&worker).expect("the worker").replace("exec ", "");
        let wrong = "s/\"signature\":\"[^\"]*\"/\"signature\":\"MAYCAQECAQE=\"/";
        std::fs::write(worker, format!("{} | sed -u '{wrong}'\n", script.trim_end())).expect("written");
    }

    /// Ends that, once the module's process is started again.
    pub fn sign_rightly(&self) {
        std::fs::rename(self.folder.join("worker.right"), self.folder.join("worker")).expect("put back");
    }

    /// What the configuration says of a key in this token.
    pub fn options(&self, key: &str) -> HsmOptions {
        HsmOptions {
            module: PathBuf::from(MODULE),
            token: TOKEN.to_owned(),
            key: key.to_owned(),
            pin_file: self.folder.join("pin"),
            refused_pin_file: None,
            worker: Some(self.folder.join("worker")),
        }
    }

    /// Writes the PIN that the portal reads.
    pub fn put_pin(&self, pin: &str) {
        sealwright_world::private_file(&self.folder.join("pin"), &format!("{pin}\n")).expect("written");
    }

    /// Where the portal writes down that the PIN was refused.
    pub fn refused_pin_file(&self) -> PathBuf {
        self.folder.join("pin.refused")
    }

    /// Runs a foreign program on the token.
    pub fn run(&self, program: &str, arguments: &[&str]) -> String {
        run(program, arguments, &[("SOFTHSM2_CONF", &self.configuration())])
    }

    /// The file that says where the token is; its path is the variable `SOFTHSM2_CONF`.
    pub fn configuration(&self) -> PathBuf {
        self.folder.join("softhsm2.conf")
    }

    /// pkcs11-tool, signed in to the token.
    pub fn tool(&self, arguments: &[&str]) -> String {
        let all = [&["--token-label", TOKEN, "--login", "--pin", PIN], arguments].concat();
        self.pkcs11_tool(&all)
    }

    /// pkcs11-tool with arguments of the test's own.
    pub fn pkcs11_tool(&self, arguments: &[&str]) -> String {
        self.run("pkcs11-tool", &[&["--module", MODULE], arguments].concat())
    }

    /// Takes the token out.
    pub fn remove(&self) {
        std::fs::rename(self.folder.join("tokens"), self.folder.join("tokens.out")).expect("taken out");
        std::fs::create_dir(self.folder.join("tokens")).expect("a folder");
    }

    /// Puts it back.
    pub fn insert(&self) {
        std::fs::remove_dir_all(self.folder.join("tokens")).expect("removed");
        std::fs::rename(self.folder.join("tokens.out"), self.folder.join("tokens")).expect("put back");
    }

    /// The processes that have the module loaded, by what they were started with.
    pub fn workers(&self) -> Vec<u32> {
        let marker = format!("SOFTHSM2_CONF={}", self.folder.join("softhsm2.conf").display());
        let processes = std::fs::read_dir("/proc").expect("/proc").filter_map(|entry| {
            let id: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let read = |file: &str| std::fs::read(format!("/proc/{id}/{file}")).ok();
            let is_worker = String::from_utf8_lossy(&read("cmdline")?).contains("hsm-worker");
            (is_worker && String::from_utf8_lossy(&read("environ")?).contains(&marker)).then_some(id)
        });
        processes.collect()
    }
}
