//! The audit chain finds what was done to it behind the portal's back.

use std::path::PathBuf;
use std::sync::Arc;

use sealwright::audit::{self, Chain, Event, Head, Heads, HeadsOptions, Origin, Problem, Sealer};
use sealwright::clock::{Clock, SystemClock};
use sealwright::store::{Store, StoreError, audits};
use tempfile::TempDir;

use crate::support::sqlite;

/// A chain of five records in a database of its own.
async fn chain() -> (TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&format!("sqlite:{}/test.db", folder.path().display()), "default").await.expect("opened");
    for number in 0..5 {
        store
            .write::<_, StoreError, _, _>(move |tx| async move {
                let origin = Origin { login: Some(format!("person-{number}")), ..Origin::system("test") };
                let event = Event::RoleGranted { role: format!("role-{number}") };
                audit::record(&tx, &origin, None, SystemClock.now_ms(), &event)
            })
            .await
            .expect("recorded");
    }
    let whole = verified(&store, &[]).await;
    assert_eq!(whole.head.as_ref().map(|(sequence, _)| *sequence), Some(5));
    assert_eq!(whole.problems, []);
    (folder, store)
}

async fn verified(store: &Store, heads: &[Head]) -> Chain {
    let heads = (!heads.is_empty()).then_some(heads);
    audit::verify(store.read(), heads, SystemClock.now_ms()).await.expect("verified")
}

fn change(folder: &TempDir, statement: &str) {
    sqlite(&folder.path().join("test.db"), statement);
}

/// What is wrong with a chain of five records after one SQL statement.
async fn problems_after(statement: &str) -> Vec<Problem> {
    let (folder, store) = chain().await;
    change(&folder, statement);
    verified(&store, &[]).await.problems
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_record_is_found() {
    let problems = problems_after("UPDATE audit SET detail = '{\"role\":\"forged\"}' WHERE sequence = 3").await;
    assert_eq!(problems, [Problem::Changed { sequence: 3 }]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_record_is_found() {
    let problems = problems_after("DELETE FROM audit WHERE sequence = 2").await;
    assert_eq!(problems, [Problem::Missing { sequence: 2 }]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_seal_is_found() {
    let problems = problems_after("DELETE FROM audit_seal WHERE sequence = 2").await;
    assert!(problems.contains(&Problem::Gap { after: 1, found: 3 }), "{problems:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_changed_places_are_found() {
    let swap = "UPDATE audit_seal SET audit = '' WHERE sequence = 2; \
        UPDATE audit_seal SET audit = (SELECT id FROM audit WHERE sequence = 2) WHERE sequence = 3; \
        UPDATE audit_seal SET audit = (SELECT id FROM audit WHERE sequence = 3) WHERE sequence = 2;";
    let problems = problems_after(swap).await;
    assert_eq!(problems, [Problem::Changed { sequence: 2 }, Problem::Changed { sequence: 3 }]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_actor_is_found() {
    let problems = problems_after("UPDATE audit SET actor = 'somebody else' WHERE sequence = 4").await;
    assert_eq!(problems, [Problem::Changed { sequence: 4 }]);
}

/// Exports signed heads of a chain: who does, who reads them, and the file.
fn exporter(folder: &TempDir, store: &Store) -> (Sealer, Heads, PathBuf) {
    let [key_file, heads_file] = ["key.pem", "heads"].map(|name| folder.path().join(name));
    std::fs::write(&key_file, Heads::generate_key().expect("a key").as_bytes()).expect("written");
    let options = HeadsOptions { heads_file: heads_file.clone(), key_file };
    let heads = || Heads::new(&options).expect("heads");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    (Sealer::new(store.clone(), clock, Some(heads())), heads(), heads_file)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_was_cut_off_or_made_anew_is_found_by_an_exported_head() {
    let (folder, store) = chain().await;
    let (sealer, heads, heads_file) = exporter(&folder, &store);
    assert_eq!(sealer.export(0).await.expect("exported"), 5);
    let exported = heads.read("default").expect("a head");
    assert_eq!(verified(&store, &exported).await.problems, []);
    // The last record and its seal are taken away: the rest is a whole chain, but not the one that was exported.
    change(&folder, "DELETE FROM audit WHERE sequence = 5");
    change(&folder, "DELETE FROM audit_seal WHERE sequence = 5");
    assert_eq!(verified(&store, &[]).await.problems, []);
    assert_eq!(verified(&store, &exported).await.problems, [Problem::Head { sequence: 5 }]);
    // A head that somebody else wrote is not believed.
    let forged = std::fs::read_to_string(&heads_file).expect("heads").replace("\"sequence\":5", "\"sequence\":4");
    std::fs::write(&heads_file, forged).expect("written");
    assert!(heads.read("default").is_err());
}

/// The file of heads was removed, or its end was, which hides what was removed of the chain since.
#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_missing_are_found() {
    let (folder, store) = chain().await;
    let (sealer, heads, heads_file) = exporter(&folder, &store);
    let later = SystemClock.now_ms() + 11 * 60_000;
    let problems = async |at| {
        let exported = heads.read("default").expect("heads");
        audit::verify(store.read(), Some(&exported), at).await.expect("verified").problems
    };
    // A portal that has just begun has exported none yet.
    assert_eq!(problems(SystemClock.now_ms()).await, []);
    assert_eq!(problems(later).await, [Problem::NoHead { after: 0 }]);
    assert_eq!(sealer.export(0).await.expect("exported"), 5);
    assert_eq!(problems(later).await, []);
    std::fs::remove_file(&heads_file).expect("removed");
    assert_eq!(problems(later).await, [Problem::NoHead { after: 0 }]);
    // Where none are exported none are missed.
    assert_eq!(audit::verify(store.read(), None, later).await.expect("verified").problems, []);
}

/// A chain goes on from a backup, and then from a backup that was made of the chain before that.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_restore_looks_like_no_tampering() {
    let (folder, store) = chain().await;
    let (sealer, heads, _) = exporter(&folder, &store);
    assert_eq!(sealer.export(0).await.expect("exported"), 5);
    let seal = async |sequence| audits::seal_of(store.read(), sequence).await.expect("a seal").expect("a seal");
    let at = SystemClock.now_ms();
    heads.note_restored("default", &seal(2).await, 2, at).expect("noted");
    // Another chain goes on from there, which this database does not have.
    let mut other = seal(4).await;
    other.hash = "00".repeat(32);
    heads.append("default", &other, at + 10).expect("appended");
    assert_eq!(
        verified(&store, &heads.read("default").expect("heads")).await.problems,
        [Problem::Head { sequence: 4 }]
    );
    // The backup of five records is restored: the chain of before, which has no head of the one between.
    let kept = audit::agreement(store.read(), &heads.read("default").expect("heads")).await.expect("compared");
    assert_eq!(kept, 3);
    heads.note_restored("default", &seal(5).await, kept, at + 20).expect("noted");
    let exported = heads.read("default").expect("heads");
    assert_eq!(exported.iter().map(|head| head.sequence).collect::<Vec<_>>(), [2, 5]);
    assert_eq!(verified(&store, &exported).await.problems, []);
}

/// A disk that was full in the middle of a line spoils neither the heads before it nor those after.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_was_cut_off_by_a_full_disk_is_written_again() {
    let (folder, store) = chain().await;
    let (sealer, heads, heads_file) = exporter(&folder, &store);
    assert_eq!(sealer.export(0).await.expect("exported"), 5);
    let whole = std::fs::read_to_string(&heads_file).expect("heads");
    let begun = [1, whole.len() / 2, whole.len() - 2, whole.len() - 1].map(|cut| whole.as_bytes()[..cut].to_vec());
    // In the middle of a letter.
    for begun in begun.into_iter().chain([b"{\"tenant\":\"caf\xc3".to_vec()]) {
        std::fs::write(&heads_file, [whole.as_bytes(), &begun].concat()).expect("written");
        assert_eq!(sealer.export(0).await.expect("exported"), 5);
        let exported = heads.read("default").expect("heads");
        let expected = if begun.len() == whole.len() - 1 { 3 } else { 2 };
        assert_eq!(exported.iter().map(|head| head.sequence).collect::<Vec<_>>(), vec![5; expected], "{begun:?}");
        assert_eq!(verified(&store, &exported).await.problems, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_erased_and_the_chain_still_holds() {
    let (_folder, store) = chain().await;
    let erased = store
        .write::<_, StoreError, _, _>(|tx| async move { audit::erase(&tx, "person-2", SystemClock.now_ms()).await })
        .await;
    assert_eq!(erased.expect("erased"), 1);
    let chain = verified(&store, &[]).await;
    assert_eq!((chain.problems, chain.erased), (Vec::new(), 1));
    let rows = audits::of_event(store.read(), "role-granted", 10).await.expect("rows");
    assert_eq!(rows.len(), 5);
    let told = rows.iter().filter(|row| row.actor.is_some() && row.detail.is_some()).count();
    assert_eq!(told, 4, "what the record says of the person is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_wiped_without_the_command_for_it_is_found() {
    const WIPED: &str = "SET actor = NULL, address = NULL, detail = NULL, salt = NULL WHERE";
    let problems = problems_after(&format!("UPDATE audit {WIPED} sequence = 3")).await;
    assert_eq!(problems, [Problem::Erased { erased: 1, declared: 0 }]);
    // Beside one that was erased in order, or with the record of that.
    for (which, found) in [
        ("sequence = 3", Problem::Erased { erased: 2, declared: 1 }),
        ("sequence = 6", Problem::Erased { erased: 2, declared: 0 }),
    ] {
        let (folder, store) = chain().await;
        let erase = store.write::<_, StoreError, _, _>(|tx| async move {
            audit::erase(&tx, "person-1", SystemClock.now_ms()).await
        });
        assert_eq!(erase.await.expect("erased"), 1);
        change(&folder, &format!("UPDATE audit {WIPED} {which}"));
        assert_eq!(verified(&store, &[]).await.problems, [found]);
    }
}
