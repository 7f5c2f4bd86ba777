//! The Debian packages: made of what was built, and what is in them runs.

use std::path::Path;
use std::process::Command;

use crate::support::run;

#[test]
fn packages_hold_programs_that_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = Path::new(env!("CARGO_BIN_EXE_sealwright")).parent().expect("a folder");
    let made = Command::new(root.join("deploy/package"))
        .arg(built)
        // Quick rather than small: what is in them is the same.
        .envs([("DPKG_DEB_COMPRESSOR_TYPE", "gzip"), ("DPKG_DEB_COMPRESSOR_LEVEL", "1")])
        .output()
        .expect("the script");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let folder = tempfile::tempdir().expect("a folder");
    for (name, files) in [
        ("sealwright", &["lib/systemd/system/sealwright.service", "usr/share/doc/sealwright/examples/apache.conf"][..]),
        ("sealwright-agent", &["usr/share/applications/sealwright-agent.desktop"][..]),
    ] {
        let packages = std::fs::read_dir(root.join("var/package")).expect("packages");
        let package = packages
            .map(|entry| entry.expect("an entry").path().display().to_string())
            .find(|path| path.contains(&format!("/{name}_")))
            .expect("a package");
        let out = folder.path().join(name);
        run("dpkg-deb", &["--extract", &package, out.to_str().expect("a path")], &[]);
        for file in files {
            assert!(out.join(file).exists(), "{name} lacks {file}");
        }
        let program = out.join("usr/bin").join(name);
        let said = run(program.to_str().expect("a path"), &["--version"], &[]);
        assert_eq!(said.trim(), format!("{name} {}", env!("CARGO_PKG_VERSION")));
    }
    // systemd understands the unit, and finds it shut in.
    let packed = folder.path().join("sealwright");
    let unit = std::fs::read_to_string(packed.join("lib/systemd/system/sealwright.service")).expect("the unit");
    let unpacked = unit.replace("/usr/bin/sealwright", &packed.join("usr/bin/sealwright").display().to_string());
    let path = folder.path().join("sealwright.service");
    std::fs::write(&path, unpacked).expect("written");
    let path = path.to_str().expect("a path");
    let verified = Command::new("systemd-analyze").args(["verify", path]).output().expect("systemd-analyze");
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && said.is_empty(), "{said}");
    run("systemd-analyze", &["security", "--offline=true", "--threshold=25", path], &[]);
}
