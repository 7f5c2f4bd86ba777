//! The Debian packages: made of what was built, installed, used and removed.

use std::path::Path;
use std::process::Command;

use crate::support::run;

/// In a copy of this machine that is gone afterwards: what is written goes to memory. Arguments: a folder, the packages.
const INSTALL: &str = r#"
set -eu
umask 022
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
folder=$1
mount -t tmpfs tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/machine"
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$folder/machine"
mkdir -p "$folder/machine/packages" "$folder/machine/run/systemd/system"
# What is told to the service manager, which does not run in the copy.
printf '#!/bin/sh\necho "systemctl $*"\nexit 1\n' >"$folder/systemctl"
chmod +x "$folder/systemctl"
touch "$folder/machine/usr/bin/systemctl"
mount --bind "$folder/systemctl" "$folder/machine/usr/bin/systemctl"
shift
cp "$@" "$folder/machine/packages"
chroot "$folder/machine" /bin/sh -eu -c '
    dpkg --install /packages/*.deb
    stat --format "%U %G %a" /etc/sealwright
    echo secret >/etc/sealwright/secret
    setpriv --reuid sealwright --regid sealwright --clear-groups sh -c "cat /etc/sealwright/secret; sealwright check"
    ! setpriv --reuid nobody --regid nogroup --clear-groups cat /etc/sealwright/secret
    # Again, as an upgrade does.
    dpkg --install /packages/*.deb
    dpkg --purge sealwright sealwright-agent
    test ! -e /usr/bin/sealwright
    # Keys may be there.
    cat /etc/sealwright/secret
'
"#;

/// Who may install them.
const NEEDS: &str =
    "to install the packages takes root: run `make test` as root, or as somebody who may call sudo without a password";

#[test]
fn packages_are_installed_used_and_removed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = Path::new(env!("CARGO_BIN_EXE_sealwright")).parent().expect("a folder");
    let folder = tempfile::tempdir().expect("a folder");
    // Of programs with fail points, which nobody may take for what is shipped: not where `make package` puts its own.
    let made_in = folder.path().join("made");
    let made = Command::new(root.join("deploy/package"))
        .args([built, &made_in])
        // Quick rather than small: what is in them is the same.
        .envs([("DPKG_DEB_COMPRESSOR_TYPE", "gzip"), ("DPKG_DEB_COMPRESSOR_LEVEL", "1")])
        .output()
        .expect("the script");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut packages = Vec::new();
    for (name, files) in [
        ("sealwright", &["lib/systemd/system/sealwright.service", "usr/share/doc/sealwright/examples/apache.conf"][..]),
        ("sealwright-agent", &["usr/share/applications/sealwright-agent.desktop"][..]),
    ] {
        let made = std::fs::read_dir(&made_in).expect("packages");
        let package = made
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
        packages.push(package);
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
    // Another root directory is root's to have; somebody else has it as `.ci/setup` installs packages.
    let is_root = nix::unistd::geteuid().is_root();
    let mut command = if is_root { Command::new("unshare") } else { Command::new("sudo") };
    if !is_root {
        command.args(["--non-interactive", "unshare"]);
    }
    let machine = tempfile::tempdir().expect("a folder");
    command.args(["--mount", "sh", "-c", INSTALL, "sh"]).arg(machine.path()).args(&packages);
    let installed = command.output().unwrap_or_else(|error| panic!("{error}: {NEEDS}"));
    let (said, wrong) = (String::from_utf8_lossy(&installed.stdout), String::from_utf8_lossy(&installed.stderr));
    assert!(installed.status.success(), "{said}{wrong}{}", if is_root { "" } else { NEEDS });
    assert!(said.contains("root sealwright 750"), "{said}");
    for told in ["try-restart sealwright.service", "disable --now sealwright.service", "daemon-reload"] {
        assert!(said.contains(&format!("systemctl {told}")), "{said}");
    }
    // Read by the account itself, and still there at the end.
    assert_eq!(said.matches("secret").count(), 2, "{said}");
    assert!(wrong.contains("Permission denied"), "{wrong}");
}
