//! The demo world, where it is more than scenery: its directory and its first page.

use sealwright_world::journey;

use crate::operations::{certificates_of, revoke};
use crate::support::client::Client;
use crate::support::{Database, TestWorld, ended};

/// The demo's directory deletes values as slapd does: a revoked certificate is found there no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_unpublishes_in_the_demos_directory() {
    let test = TestWorld::start(Database::Sqlite).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    ended(&mut begun).await;
    let directory = test.world.directory.as_ref().expect("the embedded directory");
    let published = || directory.values("uid=alice,ou=people,dc=demo,dc=test", "userCertificate;binary").len();
    assert_eq!(published(), 2);

    let alice = Client::sign_in(&test, "alice", "user").await;
    revoke(&alice, &certificates_of(&alice).await[0]).await;
    assert_eq!(published(), 1);
}
