//! `sealwright check --config`: what is wrong is named before the portal is started.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use crate::on_both_databases;
use crate::support::{Database, TestWorld, later};

on_both_databases! {
    every_part_is_tried_and_the_wrong_one_is_named,
}

fn output(test: &TestWorld, variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sealwright"))
        .args(["check", "--config"])
        .arg(test.world.folder.join("sealwright.toml"))
        .envs(variables.iter().copied())
        .output()
        .expect("the program")
}

fn check(test: &TestWorld, variables: &[(&str, &str)]) -> (bool, String) {
    let output = output(test, variables);
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What it names is nowhere here; all that can be said without that is good.
#[test]
fn the_example_is_a_configuration() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/sealwright.toml");
    let output = Command::new(env!("CARGO_BIN_EXE_sealwright")).args(["check", "--config", example]).output();
    let said = String::from_utf8_lossy(&output.expect("the program").stdout).into_owned();
    assert!(said.starts_with("configuration: good\nworkflows: good\napprovals: good\n"), "{said}");
}

async fn every_part_is_tried_and_the_wrong_one_is_named(database: Database) {
    let test = TestWorld::start(database).await;
    let (good, said) = check(&test, &[]);
    assert!(good, "{said}");
    let parts = [
        "configuration",
        "workflows",
        "approvals",
        "sign-in",
        "secret files",
        "sealing key",
        "cards",
        "audit",
        "database",
        "directory and roles",
        "authorities",
    ];
    for part in parts {
        assert!(said.contains(&format!("{part}: good\n")), "{part}: {said}");
    }
    for (name, value, part) in [
        ("SEALWRIGHT__NO_SUCH_KEY", "1", "configuration"),
        ("SEALWRIGHT__SERVER__PAGES", "everywhere", "configuration"),
        ("SEALWRIGHT__SERVER__PUBLIC_URL", "https://pki.example.test", "configuration"),
        ("SEALWRIGHT__DATABASE", "postgres://nobody:secret@127.0.0.1:1/none", "configuration"),
        ("SEALWRIGHT__SYNCHRONIZATION__AT_MOST", "1000", "configuration"),
        ("SEALWRIGHT__WORKFLOWS", "/nowhere", "workflows"),
        ("SEALWRIGHT__SIGN_IN__PROOF__FILE", "/nowhere", "sign-in"),
        ("SEALWRIGHT__SEALING_KEY_FILE", "/nowhere", "sealing key"),
        ("SEALWRIGHT__CARDS__FACTORY_SO_PIN_FILE", "/dev/null", "cards"),
        ("SEALWRIGHT__CARDS__ATTESTATION_AUTHORITIES_FILE", "/dev/null", "cards"),
        ("SEALWRIGHT__CARDS__ATTESTATION_REQUIRED", "true", "cards"),
        ("SEALWRIGHT__AUDIT__KEY_FILE", "/nowhere", "audit"),
        ("SEALWRIGHT__DATABASE", "postgres://nobody@127.0.0.1:1/none", "database"),
        ("SEALWRIGHT__DATABASE", "sqlite:/nowhere/at/all.db", "database"),
        ("SEALWRIGHT__DIRECTORY__BASE", "dc=elsewhere", "directory and roles"),
        ("SEALWRIGHT__AUTHORITIES__ISSUING__PASSPHRASE_FILE", "/dev/null", "authorities"),
    ] {
        let (good, said) = check(&test, &[(name, value)]);
        assert!(!good && !said.contains(&format!("{part}: good")), "{name}: {said}");
        assert!(said.lines().any(|line| line.starts_with(&format!("{part}: "))), "{name}: {said}");
    }
    // Secrets that any user of the machine can read, or write.
    for (secret, mode) in [("sealing-key", 0o644), ("proxy-secret", 0o604), ("ca/passphrase", 0o602)] {
        let path = test.world.folder.join(secret);
        let set = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("permissions");
        set(mode);
        let (good, said) = check(&test, &[]);
        assert!(!good && said.contains(&format!("secret files: {}", path.display())), "{said}");
        // Its group may.
        set(0o640);
        assert!(check(&test, &[]).0, "{secret}");
    }
    // An authority that ends before what it issues does.
    let late = later("+3400d");
    let late: Vec<(&str, &str)> = late.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (good, said) = check(&test, &late);
    assert!(!good && said.contains("too short for the profile"), "{said}");
    // Which server did not answer, and why.
    let nobody = output(&test, &[("SEALWRIGHT__DIRECTORY__SERVERS", "[\"ldap://127.0.0.1:1\"]")]);
    let (said, why) = (String::from_utf8_lossy(&nobody.stdout), String::from_utf8_lossy(&nobody.stderr));
    assert!(said.contains("standard error says why") && why.contains("ldap://127.0.0.1:1"), "{said}{why}");
    // Nobody could ever say yes.
    let path = test.world.folder.join("sealwright.toml");
    let text = std::fs::read_to_string(&path).expect("the configuration");
    let approval = [("SEALWRIGHT__PROFILES__SMARTCARD_AUTHENTICATION__APPROVAL", "ra")];
    assert!(check(&test, &approval).0);
    let (before, after) = text.split_once("[roles.ra-operator]").expect("the role");
    let (_, after) = after.split_once("\n[").expect("the next section");
    std::fs::write(&path, format!("{before}[{after}")).expect("written");
    let (good, said) = check(&test, &approval);
    assert!(!good && said.contains("approvals: the profile `smartcard-authentication` wants RA operators"), "{said}");
}
