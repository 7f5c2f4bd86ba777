//! Any number of slots, each with an algorithm of its own, as the configuration says.

use sealwright::commands::demo::journey;

use crate::on_both_databases;
use crate::support::{Database, TestWorld, ended, run};

on_both_databases! {
    slots_and_algorithms_are_the_configurations,
    keys_that_do_not_sign_prove_themselves_by_a_secret,
}

const PROFILES: &str = r#"
[profiles.signature]
title = "Signatures"
subject = ["DC=test", "DC=demo", "OU=People", "CN={name}"]
key-algorithms = ["p-256", "p-384", "rsa-2048", "rsa-3072"]
validity-days = 30
key-usage = ["digital-signature"]

[personalization]
slots = [
    { slot = "9a", profile = "signature", algorithm = "p-384" },
    { slot = "9c", profile = "signature", algorithm = "rsa-3072" },
    { slot = "9d", profile = "signature", algorithm = "rsa-2048" },
    { slot = "9e", profile = "signature" },
]
"#;

async fn slots_and_algorithms_are_the_configurations(database: Database) {
    let test = TestWorld::start_with_profiles(database, PROFILES).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let done = test.agent(&code).converse(&mut begun).await.expect("a conversation");
    assert!(done.success(), "{}", done.said);
    let view = ended(&mut begun).await;
    assert_eq!(view["data"]["certificates"].as_array().map(Vec::len), Some(4), "{view:#}");
    // Each slot, read by a foreign program, has the key that was asked for.
    for (slot, key) in [("9a", "secp384r1"), ("9c", "(3072 bit)"), ("9d", "(2048 bit)"), ("9e", "prime256v1")] {
        let pem = test.path(&format!("{slot}.pem")).display().to_string();
        test.piv(&["-a", "read-certificate", "-s", slot, "-o", &pem]).await;
        let text = run("openssl", &["x509", "-noout", "-text", "-in", &pem], &[]);
        assert!(text.contains(key), "{slot}: {text}");
    }
}

/// Profiles for encryption, of a kind of key each; no key of theirs may sign.
fn encryption(algorithm: &str, usage: &str) -> String {
    format!(
        r#"
[profiles.encryption]
title = "Encryption"
subject = ["DC=test", "DC=demo", "OU=People", "CN={{name}}"]
key-algorithms = ["{algorithm}"]
validity-days = 30
key-usage = ["{usage}"]

[personalization]
slots = [{{ slot = "9d", profile = "encryption" }}]
"#
    )
}

async fn keys_that_do_not_sign_prove_themselves_by_a_secret(database: Database) {
    for (algorithm, usage) in [("rsa-2048", "key-encipherment"), ("p-256", "key-agreement")] {
        let test = TestWorld::start_with_profiles(database, &encryption(algorithm, usage)).await;
        let mut begun = test.alice().await;
        let code = journey::offer(&mut begun).await.expect("a code");
        // Killed before and after: the same secret is found out again.
        for point in [("SEALWRIGHT_FAIL_POINT", "agent.secret.before"), ("SEALWRIGHT_FAIL_POINT", "agent.secret.done")]
        {
            let killed = test.agent_with(&code, Some(&test.pin_file), &[point]).converse(&mut begun).await;
            assert!(!killed.is_ok_and(|killed| killed.success()), "{point:?} was never reached");
        }
        let done = test.agent(&code).converse(&mut begun).await.expect("a conversation");
        assert!(done.success(), "{algorithm}: {}", done.said);
        assert_eq!(ended(&mut begun).await["status"], "success");
        assert_eq!(test.audited("key-proved").await.len(), 1);
    }
}
