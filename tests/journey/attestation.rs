//! Cards that say of a key that they have made it.

use sealwright_world::journey;

use super::drivers::encryption;
use super::{assert_nothing_issued, assert_personalized};
use crate::support::{Database, TestWorld, ended, self_signed};

const REQUIRED: &str = "attestation-authorities-file = \"{authorities}\"\nattestation-required = true";

/// Whether each key that was made was attested, as the audit says.
async fn attested(test: &TestWorld) -> Vec<bool> {
    let rows = test.audited("key-made").await;
    rows.iter().map(|row| row.detail.as_ref().is_some_and(|detail| detail["attested"] == true)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn attested_keys_are_certified() {
    let test = TestWorld::start_with_attesting_cards(None, false, REQUIRED).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let done = test.agent(&code).converse(&mut begun).await.expect("a conversation");
    assert!(done.success(), "{}", done.said);
    assert_personalized(&test, &mut begun).await;
    assert_eq!(attested(&test).await, [true, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_does_not_sign_is_certified_by_its_attestation() {
    let profiles = encryption("p-256", "key-agreement");
    let test = TestWorld::start_with_attesting_cards(Some(&profiles), true, REQUIRED).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let done = test.agent(&code).converse(&mut begun).await.expect("a conversation");
    assert!(done.success(), "{}", done.said);
    assert_eq!(ended(&mut begun).await["status"], "success");
    assert_eq!(attested(&test).await, [true]);
    // It proves itself on the card all the same, by a secret.
    assert_eq!(test.audited("key-proved").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_attestation_such_a_key_is_not_certified() {
    let profiles = encryption("p-256", "key-agreement");
    // The portal does not look at attestations.
    let test = TestWorld::start_with_attesting_cards(Some(&profiles), true, "").await;
    refused(&test, "the card does not attest its key").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_does_not_attest_is_refused_where_it_must() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = self_signed(folder.path(), "elsewhere", "/CN=Virtual card attestation root");
    let says = format!("any-blank = true\nattestation-authorities-file = \"{authority}\"\nattestation-required = true");
    let test = TestWorld::start_with(Database::Sqlite, &[], &says).await;
    refused(&test, "the card does not attest its key").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attestation_of_an_unknown_authority_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = self_signed(folder.path(), "elsewhere", "/CN=Virtual card attestation root");
    // It need not be there; where it is, it must be true.
    let says = format!("attestation-authorities-file = \"{authority}\"");
    let test = TestWorld::start_with_attesting_cards(None, false, &says).await;
    refused(&test, "the attestation does not lead to an authority that is trusted for it").await;
}

/// Alice's keys are refused, and the audit says why.
async fn refused(test: &TestWorld, why: &str) {
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let done = test.agent(&code).converse(&mut begun).await.expect("a conversation");
    assert!(!done.success());
    assert_nothing_issued(&mut begun, "failure").await;
    let rows = test.audited("request-refused").await;
    assert!(!rows.is_empty());
    for row in rows {
        assert_eq!(row.detail.expect("a reason")["why"], why);
    }
}
