//! The directory room against a real OpenLDAP server.

use std::path::Path;

use sealwright::directory::{
    Attribute, Directory, DirectoryError, DirectoryOptions, Encryption, Lookup, Mapping, Published,
};

use crate::support::slapd::{ADMIN, BASE, Slapd};

fn directory(slapd: &Slapd, ca_file: &Path) -> Directory {
    let options = DirectoryOptions {
        url: slapd.url.clone(),
        encryption: Encryption::StartTls,
        ca_file: Some(ca_file.to_owned()),
        bind_dn: ADMIN.to_owned(),
        bind_password_file: slapd.password_file.clone(),
        base: BASE.to_owned(),
        filter: "(&(objectClass=inetOrgPerson)(uid={login}))".to_owned(),
        attributes: Mapping::default(),
        connections: 2,
    };
    Directory::new(&options).expect("a directory")
}

const ALL: [Attribute; 4] = [Attribute::Mail, Attribute::EmployeeNumber, Attribute::Upn, Attribute::ObjectSid];

#[tokio::test(flavor = "multi_thread")]
async fn people_are_found_missed_doubled_and_incomplete() {
    let folder = tempfile::tempdir().expect("a folder");
    let slapd = Slapd::start(folder.path()).await;
    let directory = directory(&slapd, &slapd.ca_file);
    let Lookup::Found(alice) = directory.find("alice", &ALL).await.expect("an answer") else { panic!("not found") };
    assert_eq!(alice.name, "Alice (Ops) *, O'Neil; \"x\"");
    assert_eq!(alice.object_sid.as_deref(), Some("S-1-5-21-1-2-3-1104"));
    assert_eq!(alice.upn.as_deref(), Some("alice@corp.example.test"));
    assert_eq!(alice.id.len(), 36, "entryUUID: {}", alice.id);
    assert_eq!(directory.find("nobody", &[]).await, Ok(Lookup::NotFound));
    assert_eq!(directory.find("twin", &[]).await, Ok(Lookup::Ambiguous));
    let incomplete = Lookup::Incomplete { missing: vec![Attribute::Mail] };
    assert_eq!(directory.find("ida", &[Attribute::Mail]).await, Ok(incomplete));
    // A login is a value, never a part of the filter.
    for hostile in ["*", "al*", "alice)(uid=*", "\\2a", "alice\0"] {
        assert_eq!(directory.find(hostile, &[]).await, Ok(Lookup::NotFound), "{hostile:?}");
    }
    assert_eq!(directory.is_member("cn=no-such-group,dc=example,dc=test", &alice).await, Ok(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_published_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let slapd = Slapd::start(folder.path()).await;
    let directory = directory(&slapd, &slapd.ca_file);
    let Lookup::Found(alice) = directory.find("alice", &[]).await.expect("an answer") else { panic!("not found") };
    let key = rcgen::generate_simple_self_signed(vec!["alice".to_owned()]).expect("a certificate");
    let certificate = key.cert.der().to_vec();
    assert_eq!(directory.publish(&alice, std::slice::from_ref(&certificate)).await, Ok(Published::Added));
    assert_eq!(directory.publish(&alice, std::slice::from_ref(&certificate)).await, Ok(Published::AlreadyThere));
    assert!(slapd.search("(uid=alice)", "userCertificate").contains("userCertificate;binary:: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_and_comes_back_is_used_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut slapd = Slapd::start(folder.path()).await;
    let directory = directory(&slapd, &slapd.ca_file);
    assert!(matches!(directory.find("alice", &[]).await, Ok(Lookup::Found(_))));
    slapd.stop();
    assert_eq!(directory.find("alice", &[]).await, Err(DirectoryError::Unavailable));
    slapd.restart().await;
    assert!(matches!(directory.find("alice", &[]).await, Ok(Lookup::Found(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_another_certificate_is_not_talked_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let slapd = Slapd::start(folder.path()).await;
    let directory = directory(&slapd, &slapd.other_ca_file);
    assert_eq!(directory.find("alice", &[]).await, Err(DirectoryError::Unavailable));
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_groups_within_groups_are_members() {
    let folder = tempfile::tempdir().expect("a folder");
    let slapd = Slapd::start(folder.path()).await;
    let directory = directory(&slapd, &slapd.ca_file);
    let find = async |login: &str| match directory.find(login, &[]).await {
        Ok(Lookup::Found(person)) => person,
        other => panic!("{login}: {other:?}"),
    };
    let (alice, carl) = (find("alice").await, find("carl").await);
    // alice is in `operators`, which is in `night shift`, which is in `everybody`, which is in `night shift` again.
    for group in ["cn=operators", "cn=night shift", "CN=Everybody"] {
        let group = format!("{group},ou=groups,{BASE}");
        assert_eq!(directory.is_member(&group, &alice).await, Ok(true), "{group}");
        assert_eq!(directory.is_member(&group, &carl).await, Ok(false), "{group}");
    }
}
