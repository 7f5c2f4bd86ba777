//! What both databases promise: a transaction is whole or not at all, and is run again when the database asks for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sea_orm::ConnectionTrait;
use sea_orm_migration::MigratorTrait;
use sealwright::audit::{self, Event, Origin, Sealer};
use sealwright::clock::{Clock, SystemClock};
use sealwright::store::certificates::{CertificateRecord, Status};
use sealwright::store::instances::{Filter, Stored};
use sealwright::store::jobs::{JobRecord, JobState};
use sealwright::store::sessions::SessionRecord;
use sealwright::store::work::{Capabilities, WorkRecord};
use sealwright::store::{Store, StoreError, Tx, certificates, instances, jobs, sessions, timers, work};
use sealwright_migrations::Migrator;
use sealwright_workflow::instance::Waiting;
use serde_json::json;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::on_both_databases;
use crate::support::{Database, TestDatabase};

on_both_databases! {
    a_serial_number_is_an_authoritys_once,
    certificates_are_looked_for_among_an_owners_alone,
    a_question_is_found_behind_what_asks_nothing,
    a_revocation_has_the_date_of_the_suspension_before_it,
    a_schema_goes_down_and_up_and_a_newer_one_is_refused,
    a_failed_call_leaves_nothing,
    work_is_claimed_once_by_who_can_do_it,
    what_is_wanted_and_given_up_in_one_transaction_is_given_up,
}

async fn open(database: Database) -> (Store, tempfile::TempDir, Option<TestDatabase>) {
    let folder = tempfile::tempdir().expect("a folder");
    match database {
        Database::Sqlite => {
            let url = format!("sqlite:{}/test.db", folder.path().display());
            (Store::open(&url, "default").await.expect("opened"), folder, None)
        }
        Database::Postgres | Database::OwnPostgres => {
            let postgres = TestDatabase::start(folder.path()).await;
            (Store::open(&postgres.url, "default").await.expect("opened"), folder, Some(postgres))
        }
    }
}

fn session(id: &str) -> SessionRecord {
    SessionRecord {
        id: id.to_owned(),
        login: "alice".to_owned(),
        role: None,
        csrf: "token".to_owned(),
        created_at: 1,
        seen_at: 1,
        role_checked_at: None,
        role_unanswered_at: None,
    }
}

async fn a_schema_goes_down_and_up_and_a_newer_one_is_refused(database: Database) {
    let (store, folder, postgres) = open(database).await;
    let put = store.write::<_, StoreError, _, _>(|tx| async move { sessions::put(&tx, session("before")).await });
    put.await.expect("put");
    drop(store);
    let url = match &postgres {
        Some(postgres) => postgres.url.clone(),
        None => format!("sqlite:{}/test.db", folder.path().display()),
    };
    let connection = sea_orm::Database::connect(&url).await.expect("a connection");
    // The last change goes and comes, and what it does not touch stays as it was.
    Migrator::down(&connection, Some(1)).await.expect("one down");
    Migrator::up(&connection, None).await.expect("one up");
    let store = Store::open(&url, "default").await.expect("opened");
    assert!(sessions::find(store.read(), "before").await.expect("read").is_some());
    drop(store);
    Migrator::down(&connection, None).await.expect("down");
    Migrator::up(&connection, None).await.expect("up again");
    let store = Store::open(&url, "default").await.expect("opened");
    let put = store.write::<_, StoreError, _, _>(|tx| async move { sessions::put(&tx, session("one")).await });
    put.await.expect("put");
    // A program that is older than the schema does not touch it.
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29991231_000001_newer', 1)";
    connection.execute_unprepared(newer).await.expect("noted");
    let refused = Store::open(&url, "default").await.expect_err("refused");
    assert!(format!("{refused:?}").contains("m29991231_000001_newer"), "{refused:?}");
    assert!(sessions::find(store.read(), "one").await.expect("read").is_some());
}

fn certificate(authority: &str, id: u128) -> CertificateRecord {
    let text = str::to_owned;
    CertificateRecord {
        id: Uuid::from_u128(id),
        authority: text(authority),
        serial: text("1f"),
        status: Status::Intended,
        profile: text("p"),
        person: text("person"),
        owner_login: text("alice"),
        card: None,
        slot: None,
        subject: text("CN=Alice"),
        names_digest: text("digest"),
        not_before: 0,
        not_after: 1,
        public_key_digest: text("key"),
        to_be_signed: vec![1],
        certificate: None,
        fingerprint: None,
        instance: Uuid::from_u128(id),
        step: 1,
        created_at: 0,
        revoked_at: None,
        reason: None,
    }
}

async fn a_serial_number_is_an_authoritys_once(database: Database) {
    let (store, _folder, _postgres) = open(database).await;
    let insert = async |authority: &'static str, id| {
        store
            .write::<_, StoreError, _, _>(move |tx| async move {
                certificates::insert(&tx, certificate(authority, id)).await
            })
            .await
    };
    insert("issuing", 1).await.expect("inserted");
    assert!(matches!(insert("issuing", 2).await, Err(StoreError::Exists("certificate"))));
    insert("another", 3).await.expect("inserted");
}

async fn certificates_are_looked_for_among_an_owners_alone(database: Database) {
    let (store, _folder, _postgres) = open(database).await;
    for (id, owner) in [(1, "alice"), (2, "alice"), (3, "bob"), (4, "alice")] {
        let insert = move |tx: Tx| async move {
            let row = CertificateRecord {
                serial: format!("a{id}"),
                status: Status::Issued,
                owner_login: owner.to_owned(),
                ..certificate("issuing", id)
            };
            certificates::insert(&tx, row).await
        };
        store.write::<_, StoreError, _, _>(insert).await.expect("inserted");
    }
    let found = async |owner: Option<&str>, wanted: Option<&str>, limit: u64| {
        let rows = certificates::search(store.read(), owner, wanted, limit).await.expect("an answer");
        rows.into_iter().map(|row| row.id.as_u128()).collect::<Vec<_>>()
    };
    // The newest first, and so many at most.
    assert_eq!(found(None, None, 10).await, [4, 3, 2, 1]);
    assert_eq!(found(Some("alice"), None, 2).await, [4, 2]);
    assert_eq!(found(Some("alice"), Some("alice"), 10).await, [4, 2, 1]);
    assert_eq!(found(Some("alice"), Some("a2"), 10).await, [2]);
    // What is somebody else's is not found by its owner's login, nor by its serial number.
    for wanted in ["bob", "a3"] {
        assert_eq!(found(Some("alice"), Some(wanted), 10).await, []);
        assert_eq!(found(None, Some(wanted), 10).await, [3]);
    }
}

/// However much has begun since: it is not pushed off a list that is cut.
async fn a_question_is_found_behind_what_asks_nothing(database: Database) {
    let (store, _folder, _postgres) = open(database).await;
    let mut question = begun();
    question.instance.waiting = Waiting::Person;
    question.started_at = 0;
    let id = question.instance.id;
    let begin = move |tx: Tx| {
        let both = vec![question.clone(), begun()];
        async move { instances::defer_write(&tx, both) }
    };
    store.write::<_, StoreError, _, _>(begin).await.expect("begun");
    let filter = Filter { only_open: true, only_questions: true, ..Filter::default() };
    let found = instances::list(store.read(), &filter, 1).await.expect("read");
    assert_eq!(found.iter().map(|listed| listed.id).collect::<Vec<_>>(), [id]);
}

async fn a_revocation_has_the_date_of_the_suspension_before_it(database: Database) {
    let (store, _folder, _postgres) = open(database).await;
    let settle = |tx: Tx| async move {
        // Suspended, and then revoked; reinstated in between; never suspended.
        for (id, reinstated) in [(1, false), (2, true)] {
            let row =
                CertificateRecord { serial: format!("a{id}"), status: Status::Issued, ..certificate("issuing", id) };
            certificates::insert(&tx, row).await?;
            assert!(certificates::suspend(&tx, Uuid::from_u128(id), 5).await?);
            if reinstated {
                assert!(certificates::reinstate(&tx, Uuid::from_u128(id)).await?);
            }
        }
        certificates::insert(&tx, certificate("issuing", 3)).await?;
        for id in 1..=3 {
            assert!(certificates::revoke(&tx, Uuid::from_u128(id), "key-compromise", 9).await?);
            assert!(!certificates::revoke(&tx, Uuid::from_u128(id), "superseded", 12).await?);
        }
        Ok::<(), StoreError>(())
    };
    store.write::<_, StoreError, _, _>(settle).await.expect("settled");
    for (id, at) in [(1, 5), (2, 9), (3, 9)] {
        let row = certificates::find(store.read(), Uuid::from_u128(id)).await.expect("read").expect("a row");
        assert_eq!((row.revoked_at, row.reason.as_deref()), (Some(at), Some("key-compromise")), "{id}");
    }
}

async fn a_failed_call_leaves_nothing(database: Database) {
    let (store, _folder, _postgres) = open(database).await;
    let failed: Result<(), StoreError> = store
        .write(|tx| async move {
            sessions::put(&tx, session("one")).await?;
            Err(StoreError::Conflict)
        })
        .await;
    assert!(matches!(failed, Err(StoreError::Conflict)));
    assert!(sessions::find(store.read(), "one").await.expect("read").is_none());
    // Its neighbours in the same batch are not touched by it.
    let calls: Vec<_> = (0..40)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .write::<_, StoreError, _, _>(move |tx| async move {
                        let id = number.to_string();
                        sessions::put(&tx, session(&id)).await?;
                        if number % 2 == 0 { Ok(()) } else { Err(StoreError::Conflict) }
                    })
                    .await
            })
        })
        .collect();
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.expect("ran").is_ok(), number % 2 == 0);
        let found = sessions::find(store.read(), &number.to_string()).await.expect("read");
        assert_eq!(found.is_some(), number % 2 == 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_does_not_see_another_ones_rows() {
    let (store, folder, _postgres) = open(Database::Sqlite).await;
    store
        .write::<_, StoreError, _, _>(|tx| async move { sessions::put(&tx, session("one")).await })
        .await
        .expect("written");
    drop(store);
    let url = format!("sqlite:{}/test.db", folder.path().display());
    let other = Store::open(&url, "other").await.expect("opened");
    assert!(sessions::find(other.read(), "one").await.expect("read").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_run_once_when_nothing_goes_wrong() {
    let (store, _folder, _postgres) = open(Database::Postgres).await;
    let runs = Arc::new(AtomicU32::new(0));
    let counted = runs.clone();
    store
        .write::<_, StoreError, _, _>(move |tx| {
            let counted = counted.clone();
            async move {
                counted.fetch_add(1, Ordering::SeqCst);
                sessions::put(&tx, session("one")).await
            }
        })
        .await
        .expect("written");
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_says_the_others_hear() {
    let (store, _folder, postgres) = open(Database::Postgres).await;
    let other = Store::open(&postgres.as_ref().expect("a server").url, "default").await.expect("opened");
    let mut listener = other.listen().await.expect("a connection").expect("a listener");
    store.notify("default node-1 0190f000-0000-7000-8000-000000000001").await.expect("said");
    assert_eq!(listener.hear().await.expect("heard"), "default node-1 0190f000-0000-7000-8000-000000000001");
    // One node alone has nobody to listen to.
    let (alone, _folder, _) = open(Database::Sqlite).await;
    assert!(alone.listen().await.expect("an answer").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sealers_make_one_chain() {
    let (store, _folder, postgres) = open(Database::Postgres).await;
    let other = Store::open(&postgres.as_ref().expect("a server").url, "default").await.expect("opened");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let sealers = [&store, &other].map(|store| Sealer::new(store.clone(), clock.clone(), None));
    for number in 0..60 {
        let store = if number % 2 == 0 { &store } else { &other };
        store
            .write::<_, StoreError, _, _>(move |tx| async move {
                let event = Event::RoleGranted { role: format!("role-{number}") };
                audit::record(&tx, &Origin::system("test"), None, SystemClock.now_ms(), &event)
            })
            .await
            .expect("recorded");
        if number % 5 == 0 {
            let [first, second] = &sealers;
            let (first, second) = tokio::join!(first.seal_all(), second.seal_all());
            first.and(second).expect("sealed");
        }
    }
    sealers[0].seal_all().await.expect("sealed");
    let chain = audit::verify(store.read(), None, SystemClock.now_ms()).await.expect("verified");
    assert_eq!((chain.problems, chain.head.map(|(sequence, _)| sequence)), (Vec::new(), Some(60)));
}

fn planned(instance: Uuid) -> WorkRecord {
    WorkRecord {
        id: sealwright::random::id(),
        instance,
        step: 1,
        activity: "pki.sign".to_owned(),
        definition: "issue-certificate version 2".to_owned(),
        parameters: serde_json::Value::Null,
        plan: serde_json::Value::Null,
        lease_owner: None,
        lease_epoch: 0,
        lease_until: None,
        created_at: 1,
    }
}

fn begun() -> Stored {
    let (id, person) = (sealwright::random::id(), json!({ "login": "alice" }));
    let instance = json!({
        "id": id, "workflow": "issue-certificate", "version": 2, "state": "sign", "step": 1, "entered_at": 1,
        "status": "running", "waiting": "job", "cancelling": null, "data": {}, "owner": person, "requester": person,
        "role": "user", "parent": null, "result": null, "say": null,
    });
    let instance = serde_json::from_value(instance).expect("an instance");
    Stored { instance, root: id, revision: 1, started_at: 1, changed_at: 1, ended_at: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stands_still_within_a_transaction_holds_up_no_other_for_long() {
    let (store, _folder, postgres) = open(Database::Postgres).await;
    let other = Store::open(&postgres.as_ref().expect("a server").url, "default").await.expect("opened");
    let stored = begun();
    let id = stored.instance.id;
    let begin = move |tx: Tx| {
        let stored = stored.clone();
        async move { instances::defer_write(&tx, vec![stored]) }
    };
    store.write::<_, StoreError, _, _>(begin).await.expect("begun");
    let locked = Arc::new(Notify::new());
    let tell = locked.clone();
    let stand_still = move |tx: Tx| {
        let tell = tell.clone();
        async move {
            instances::lock(&tx, id).await?;
            tell.notify_one();
            tokio::time::sleep(Duration::from_secs(15)).await;
            Ok::<_, StoreError>(())
        }
    };
    let standing = tokio::spawn(async move { store.write(stand_still).await });
    locked.notified().await;
    let lock = move |tx: Tx| async move { instances::lock(&tx, id).await.map(|found| found.is_some()) };
    assert!(other.write::<_, StoreError, _, _>(lock).await.expect("locked"));
    // Nothing of the other one is kept when it goes on.
    assert!(standing.await.expect("ran").is_err());
}

/// What an instance waits for is written at the end of the transaction, and is not there when it was taken back before.
async fn what_is_wanted_and_given_up_in_one_transaction_is_given_up(database: Database) {
    let (store, _folder, _postgres) = open(database).await;
    let root = sealwright::random::id();
    store
        .write::<_, StoreError, _, _>(move |tx| async move {
            let [kept, given_up] = [1, 2].map(|_| sealwright::random::id());
            for instance in [kept, given_up] {
                work::defer_insert(&tx, planned(instance), 60_000);
                timers::defer_arm(&tx, instance, "retry", 1, 5);
                timers::defer_arm(&tx, instance, "retry", 2, 9);
                let job = JobRecord {
                    id: sealwright::random::id(),
                    root,
                    instance,
                    step: 1,
                    name: "card.identify".to_owned(),
                    card: None,
                    parameters: serde_json::Value::Null,
                    plan: serde_json::Value::Null,
                    state: JobState::Queued,
                    created_at: 1,
                    ended_at: None,
                };
                jobs::defer_insert(&tx, job);
            }
            work::remove(&tx, given_up).await?;
            jobs::withdraw(&tx, given_up, 7).await?;
            timers::defer_disarm(&tx, given_up);
            Ok(())
        })
        .await
        .expect("written");
    let mut times = jobs::times(store.read(), root).await.expect("jobs");
    times.sort_unstable();
    assert_eq!(times, [(1, None), (1, Some(7))]);
    assert_eq!(work::count(store.read()).await.expect("counted"), 1);
    let due = timers::due(store.read(), 100, 0, 10).await.expect("timers");
    assert_eq!(due.iter().map(|timer| (timer.step, timer.due_at)).collect::<Vec<_>>(), [(2, 9)]);
    // One that was due at the last look and is there still is not waited for.
    assert_eq!(timers::next_due(store.read(), 8).await.expect("asked"), Some(9));
    assert_eq!(timers::next_due(store.read(), 9).await.expect("asked"), None);
}

/// Planned work is claimed by one node at a time, and only by one that can go on with it.
async fn work_is_claimed_once_by_who_can_do_it(database: Database) {
    let (store, _folder, _postgres) = open(database).await;
    store
        .write::<_, StoreError, _, _>(|tx| async move {
            let stored = begun();
            // Its first lease is over already.
            work::defer_insert(&tx, planned(stored.instance.id), -1_000);
            instances::defer_write(&tx, vec![stored])
        })
        .await
        .expect("planned");
    let claim = async |node: &'static str, activity: &str, definition: &str| {
        let capabilities =
            Capabilities { activities: vec![activity.to_owned()], definitions: vec![definition.to_owned()] };
        let claimed = store.write::<_, StoreError, _, _>(move |tx| {
            let capabilities = capabilities.clone();
            async move { work::claim(&tx, node, &capabilities, 60_000, 10).await }
        });
        claimed.await.expect("asked").into_iter().map(|row| (row.id, row.lease_epoch)).collect::<Vec<_>>()
    };
    assert_eq!(claim("older", "pki.sign", "issue-certificate version 1").await, []);
    assert_eq!(claim("other", "pki.revoke", "issue-certificate version 2").await, []);
    let claimed = claim("newer", "pki.sign", "issue-certificate version 2").await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claim("late", "pki.sign", "issue-certificate version 2").await, []);
    // An older holder of the lease records nothing.
    let (id, epoch) = claimed[0];
    let finish = async |lease_epoch| {
        let finish = move |tx: Tx| async move {
            let row = WorkRecord { id, lease_epoch, ..planned(id) };
            let finished = work::defer_finish(&tx, &row).await?;
            // What it plans next takes its place.
            if let Some(finished) = &finished {
                work::defer_insert(&tx, planned(finished.instance.id), 60_000);
            }
            Ok::<_, StoreError>(finished.is_some())
        };
        store.write(finish).await
    };
    assert!(!finish(epoch - 1).await.expect("asked"));
    assert!(finish(epoch).await.expect("asked"));
    assert!(!finish(epoch).await.expect("asked"));
    assert_eq!(work::count(store.read()).await.expect("counted"), 1);
    // A node has died whose clock was an hour ahead: nobody waits for that hour.
    store
        .write::<_, StoreError, _, _>(|tx| async move {
            let stored = begun();
            work::defer_insert(&tx, planned(stored.instance.id), 3_600_000);
            instances::defer_write(&tx, vec![stored])
        })
        .await
        .expect("planned");
    assert_eq!(claim("newer", "pki.sign", "issue-certificate version 2").await.len(), 1);
    assert_eq!(claim("late", "pki.sign", "issue-certificate version 2").await, []);
}
