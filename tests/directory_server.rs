//! The directory room against a real OpenLDAP server.

use std::path::Path;
use std::time::{Duration, Instant};

use sealwright::directory::{
    Attribute, Directory, DirectoryError, DirectoryOptions, Encryption, Kind, Lookup, MappingOptions, Person, Present,
    Published,
};
use sealwright_world::directory as simulated;

use crate::support::slapd::{ADMIN, BASE, PASSWORD, Slapd};

fn options(slapd: &Slapd) -> DirectoryOptions {
    DirectoryOptions {
        servers: vec![slapd.url.clone()],
        kind: Kind::OpenLdap,
        encryption: Encryption::StartTls,
        ca_file: Some(slapd.ca_file.clone()),
        bind_dn: ADMIN.to_owned(),
        bind_password_file: slapd.password_file.clone(),
        base: BASE.to_owned(),
        groups_base: None,
        filter: None,
        attributes: MappingOptions::default(),
        connections: 2,
    }
}

fn directory(slapd: &Slapd, ca_file: &Path) -> Directory {
    let options = DirectoryOptions { ca_file: Some(ca_file.to_owned()), ..options(slapd) };
    Directory::new(&options).expect("a directory")
}

/// Somebody whom the directory knows.
async fn found(directory: &Directory, login: &str, require: &[Attribute]) -> Person {
    match directory.find(login, require).await {
        Ok(Lookup::Found(person)) => person,
        other => panic!("{login}: {other:?}"),
    }
}

const ALL: [Attribute; 4] = [Attribute::Mail, Attribute::EmployeeNumber, Attribute::Upn, Attribute::ObjectSid];

#[tokio::test(flavor = "multi_thread")]
async fn people_are_found_missed_doubled_and_incomplete() {
    let folder = tempfile::tempdir().expect("a folder");
    let slapd = Slapd::start(folder.path()).await;
    let directory = directory(&slapd, &slapd.ca_file);
    let alice = found(&directory, "alice", &ALL).await;
    assert_eq!(alice.name, "Alice (Ops) *, O'Neil; \"x\"");
    assert_eq!(alice.object_sid.as_deref(), Some("S-1-5-21-1-2-3-1104"));
    assert_eq!(alice.upn.as_deref(), Some("alice@corp.example.test"));
    assert_eq!(alice.id.len(), 36, "entryUUID: {}", alice.id);
    assert_eq!(directory.find("nobody", &[]).await, Ok(Lookup::NotFound));
    assert_eq!(directory.find("twin", &[]).await, Ok(Lookup::Ambiguous));
    let incomplete = directory.find("ida", &[Attribute::Mail]).await;
    assert!(
        matches!(&incomplete, Ok(Lookup::Incomplete { id: Some(_), missing }) if *missing == [Attribute::Mail]),
        "{incomplete:?}"
    );
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
    let alice = found(&directory, "alice", &[]).await;
    let key = rcgen::generate_simple_self_signed(vec!["alice".to_owned()]).expect("a certificate");
    let certificate = key.cert.der().to_vec();
    assert_eq!(directory.publish(&alice, std::slice::from_ref(&certificate)).await, Ok(Published::Changed));
    assert_eq!(directory.publish(&alice, std::slice::from_ref(&certificate)).await, Ok(Published::AsBefore));
    assert!(slapd.search("(uid=alice)", "userCertificate").contains("userCertificate;binary:: "));
    assert_eq!(directory.unpublish(&alice, std::slice::from_ref(&certificate)).await, Ok(Published::Changed));
    assert_eq!(directory.unpublish(&alice, std::slice::from_ref(&certificate)).await, Ok(Published::AsBefore));
    assert!(!slapd.search("(uid=alice)", "userCertificate").contains("userCertificate;binary:: "));
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
    // `plant` has a group of another part of the tree within it, which has `operators` within it.
    let plant = format!("cn=plant,ou=groups,{BASE}");
    assert_eq!(directory.is_member(&plant, &alice).await, Ok(true));
    assert_eq!(directory.is_member(&plant, &carl).await, Ok(false));
    let beside = DirectoryOptions { groups_base: Some(format!("ou=groups,{BASE}")), ..options(&slapd) };
    let beside = Directory::new(&beside).expect("a directory");
    assert_eq!(beside.is_member(&plant, &alice).await, Ok(false));
}

/// A directory of two servers.
fn both(slapd: &Slapd, other: &Slapd, attributes: MappingOptions) -> Directory {
    let ca_file = slapd.ca_file.with_file_name("both.pem");
    let read = |path: &Path| std::fs::read_to_string(path).expect("a file");
    std::fs::write(&ca_file, read(&slapd.ca_file) + &read(&other.ca_file)).expect("written");
    let servers = vec![slapd.url.clone(), other.url.clone()];
    let options = DirectoryOptions { servers, ca_file: Some(ca_file), attributes, ..options(slapd) };
    Directory::new(&options).expect("a directory")
}

/// Its connections are there already: each of them would take its time to be found out.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_server_is_asked_when_one_stops_after_it_was_connected_to() {
    let (folder, other_folder) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (slapd, other) = tokio::join!(Slapd::start(folder.path()), Slapd::start(other_folder.path()));
    let directory = both(&slapd, &other, MappingOptions::default());
    let find = || found(&directory, "alice", &[]);
    let alice = tokio::join!(find(), find()).0;
    slapd.stand_still().await;
    let elsewhere = find().await;
    assert_ne!(elsewhere.id, alice.id, "the second server has an entry of its own");
    let begun = Instant::now();
    for _ in 0..4 {
        assert_eq!(find().await, elsewhere);
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    slapd.go_on();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_server_is_asked_when_one_is_busy() {
    const BIND_DN: &str = "cn=sealwright,dc=demo,dc=test";
    let folder = tempfile::tempdir().expect("a folder");
    let bind_password_file = folder.path().join("password");
    std::fs::write(&bind_password_file, PASSWORD).expect("written");
    let started = async || simulated::Directory::start(BIND_DN, PASSWORD, 0).await.expect("a directory");
    let (idle_server, busy_server) = (started().await, started().await);
    busy_server.refuse_after_bind(simulated::LdapResultCode::Busy);
    let (idle, busy) = (idle_server.url(), busy_server.url());
    let directory = |servers: &[&String]| {
        let options = DirectoryOptions {
            servers: servers.iter().map(ToString::to_string).collect(),
            kind: Kind::OpenLdap,
            encryption: Encryption::None,
            ca_file: None,
            bind_dn: BIND_DN.to_owned(),
            bind_password_file: bind_password_file.clone(),
            base: "dc=demo,dc=test".to_owned(),
            groups_base: None,
            filter: None,
            attributes: MappingOptions::default(),
            connections: 2,
        };
        Directory::new(&options).expect("a directory")
    };
    assert_eq!(directory(&[&busy]).find("alice", &[]).await, Err(DirectoryError::Unavailable));
    let alice = found(&directory(&[&busy, &idle]), "alice", &[]).await;
    let certificates = [vec![1]];
    // Nothing is known yet of the servers that these ask.
    assert_eq!(directory(&[&busy, &idle]).publish(&alice, &certificates).await, Ok(Published::Changed));
    assert_eq!(directory(&[&busy, &idle]).publish(&alice, &certificates).await, Ok(Published::AsBefore));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_gone_whom_a_server_that_answers_has() {
    let (folder, other_folder) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (mut slapd, mut other) = tokio::join!(Slapd::start(folder.path()), Slapd::start(other_folder.path()));
    // Copies of each other have the same ids; these two have the same logins.
    let id = Some("uid".to_owned());
    let directory = both(&slapd, &other, MappingOptions { id, ..MappingOptions::default() });
    slapd.remove(&format!("uid=alice,ou=people,{BASE}"));
    assert_eq!(directory.find_by_id("alice").await, Ok(None));
    let found = directory.find_by_id_everywhere("alice").await.expect("an answer");
    let logins: Vec<_> = found.into_iter().map(|found| found.map(|present| present.logins)).collect();
    assert_eq!(logins, [None, Some(vec!["alice".to_owned()])]);
    assert_eq!(directory.find_by_id_everywhere("nobody").await, Ok(vec![None, None]));
    // A server that is down keeps nobody, whoever is left has the word.
    other.stop();
    assert_eq!(directory.find_by_id_everywhere("alice").await, Ok(vec![None]));
    slapd.stop();
    assert_eq!(directory.find_by_id_everywhere("alice").await, Err(DirectoryError::Unavailable));
    other.restart().await;
    assert!(matches!(directory.find_by_id_everywhere("alice").await.as_deref(), Ok([Some(_)])));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_server_is_asked_when_one_stands_still_or_is_gone() {
    let (folder, other_folder) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (mut slapd, mut other) = tokio::join!(Slapd::start(folder.path()), Slapd::start(other_folder.path()));
    let directory = both(&slapd, &other, MappingOptions::default());
    // It takes connections and says nothing.
    slapd.stand_still().await;
    assert!(matches!(directory.find("alice", &[]).await, Ok(Lookup::Found(_))));
    other.stop();
    slapd.go_on();
    assert!(matches!(directory.find("alice", &[]).await, Ok(Lookup::Found(_))));
    slapd.stop();
    assert_eq!(directory.find("alice", &[]).await, Err(DirectoryError::Unavailable));
    other.restart().await;
    assert!(matches!(directory.find("alice", &[]).await, Ok(Lookup::Found(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_stands_still_in_the_middle_is_waited_for_no_longer_than_its_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    let slapd = Slapd::start(folder.path()).await;
    let directory = directory(&slapd, &slapd.ca_file);
    let alice = found(&directory, "alice", &[]).await;
    let (group, certificates) = (format!("cn=operators,ou=groups,{BASE}"), [vec![1]]);
    slapd.stand_still().await;
    let (person, member, published) = tokio::join!(
        directory.find("alice", &[]),
        directory.is_member(&group, &alice),
        directory.publish(&alice, &certificates)
    );
    slapd.go_on();
    assert_eq!(person, Err(DirectoryError::Timeout));
    assert_eq!(member, Err(DirectoryError::Timeout));
    assert_eq!(published, Err(DirectoryError::Timeout));
    assert_eq!(found(&directory, "alice", &[]).await, alice);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_asked_over_ldaps() {
    let folder = tempfile::tempdir().expect("a folder");
    let slapd = Slapd::start(folder.path()).await;
    let over = |server: &str, encryption, ca_file: &Path| {
        let servers = vec![server.to_owned()];
        Directory::new(&DirectoryOptions { servers, encryption, ca_file: Some(ca_file.to_owned()), ..options(&slapd) })
    };
    let directory = over(&slapd.ldaps_url, Encryption::Tls, &slapd.ca_file).expect("a directory");
    assert!(matches!(directory.find("alice", &[]).await, Ok(Lookup::Found(_))));
    let distrustful = over(&slapd.ldaps_url, Encryption::Tls, &slapd.other_ca_file).expect("a directory");
    assert_eq!(distrustful.find("alice", &[]).await, Err(DirectoryError::Unavailable));
    // The same server under a name that its certificate does not have.
    let misnamed = slapd.ldaps_url.replace("127.0.0.1", "localhost");
    let misnamed = over(&misnamed, Encryption::Tls, &slapd.ca_file).expect("a directory");
    assert_eq!(misnamed.find("alice", &[]).await, Err(DirectoryError::Unavailable));
    let misnamed = slapd.url.replace("127.0.0.1", "localhost");
    let misnamed = over(&misnamed, Encryption::StartTls, &slapd.ca_file).expect("a directory");
    assert_eq!(misnamed.find("alice", &[]).await, Err(DirectoryError::Unavailable));
    // Names that do not say what is meant are refused before anything is sent.
    for (server, encryption) in [
        (slapd.url.as_str(), Encryption::Tls),
        (slapd.ldaps_url.as_str(), Encryption::StartTls),
        ("ldap://directory.example.test", Encryption::None),
        ("http://127.0.0.1", Encryption::StartTls),
        ("ldap://", Encryption::StartTls),
    ] {
        assert!(over(server, encryption, &slapd.ca_file).is_err(), "{server}");
    }
}

/// The entries of so many further people.
fn crowd(count: usize) -> String {
    let entry = |number| {
        format!(
            "dn: uid=person-{number},ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: person-{number}\ncn: Person {number}\nsn: Person\n\n"
        )
    };
    (0..count).map(entry).collect()
}

const READER: &str = "cn=reader,dc=example,dc=test";

fn reader(slapd: &Slapd) -> DirectoryOptions {
    slapd.add(&format!(
        "dn: {READER}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: reader\nuserPassword: {PASSWORD}\n"
    ));
    DirectoryOptions { bind_dn: READER.to_owned(), ..options(slapd) }
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_read_page_by_page() {
    let folder = tempfile::tempdir().expect("a folder");
    // Without pages nobody gets more than ten.
    let limits = format!("limits dn.exact=\"{READER}\" size.soft=10 size.hard=10 size.pr=500 size.prtotal=unlimited");
    let slapd = Slapd::start_with(folder.path(), &limits).await;
    slapd.add(&crowd(1_100));
    let directory = Directory::new(&reader(&slapd)).expect("a directory");
    let everybody = directory.everybody(&|_| true).await.expect("everybody");
    assert_eq!(everybody.len(), 1_100 + 6);
    let alice = found(&directory, "alice", &[]).await;
    let only = directory.everybody(&|id| id == alice.id).await.expect("everybody");
    let id = alice.id.clone();
    let alice =
        Present { id: alice.id.clone(), logins: vec!["alice".to_owned()], person: Some(alice), disabled: false };
    assert_eq!(only, std::slice::from_ref(&alice));
    assert_eq!(directory.find_by_id(&id).await, Ok(Some(alice)));
    assert_eq!(directory.find_by_id("*").await, Ok(None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_answer_is_no_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = format!("limits dn.exact=\"{READER}\" size.soft=10 size.hard=10 size.pr=500 size.prtotal=600");
    let slapd = Slapd::start_with(folder.path(), &limits).await;
    slapd.add(&crowd(700));
    let directory = Directory::new(&reader(&slapd)).expect("a directory");
    assert_eq!(directory.everybody(&|_| true).await, Err(DirectoryError::Partial));
    // A part of the tree lies on another server.
    let elsewhere = Directory::new(&options(&slapd)).expect("a directory");
    assert_eq!(elsewhere.everybody(&|_| true).await.map(|found| found.len()), Ok(706));
    slapd.add(&format!(
        "dn: ou=branch,{BASE}\nobjectClass: referral\nobjectClass: extensibleObject\nou: branch\nref: ldap://elsewhere.example.test/ou=branch,{BASE}\n"
    ));
    assert_eq!(elsewhere.everybody(&|_| true).await, Err(DirectoryError::Partial));
    // Nobody at all: a bind account that lost its rights sees that too.
    let nobody = DirectoryOptions { base: format!("ou=groups,{BASE}"), ..options(&slapd) };
    assert_eq!(Directory::new(&nobody).expect("a directory").everybody(&|_| true).await, Err(DirectoryError::Partial));
    // One person is still found: that somebody else lies elsewhere changes nothing.
    assert!(matches!(elsewhere.find("alice", &[]).await, Ok(Lookup::Found(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_lost_in_the_middle_of_everybody_is_no_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let slapd = Slapd::start(folder.path()).await;
    slapd.add(&crowd(1_100));
    // The second page never comes, on any connection.
    let relay = Relay::start(&slapd.url, 90_000).await;
    let servers = vec![relay.url.clone()];
    let directory = Directory::new(&DirectoryOptions { servers, ..options(&slapd) }).expect("a directory");
    assert!(matches!(directory.find("alice", &[]).await, Ok(Lookup::Found(_))));
    assert_eq!(directory.everybody(&|_| true).await, Err(DirectoryError::Unavailable));
}

/// Passes a server's connections on, and cuts each after so many bytes of answers.
struct Relay {
    url: String,
}

impl Relay {
    async fn start(server: &str, most: u64) -> Self {
        let server = server.trim_start_matches("ldap://").to_owned();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("an address");
        let url = format!("ldap://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = tokio::net::TcpStream::connect(&server).await.expect("the server");
                tokio::spawn(async move {
                    let (mut from_client, mut to_client) = client.into_split();
                    let (from_server, mut to_server) = server.into_split();
                    let mut answers = tokio::io::AsyncReadExt::take(from_server, most);
                    tokio::select! {
                        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
                        _ = tokio::io::copy(&mut answers, &mut to_client) => {}
                    }
                });
            }
        });
        Self { url }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn disabled_accounts_are_known_as_such() {
    let folder = tempfile::tempdir().expect("a folder");
    let slapd = Slapd::start(folder.path()).await;
    let directory = Directory::new(&options(&slapd)).expect("a directory");
    slapd.modify(&format!(
        "dn: uid=carl,ou=people,{BASE}\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n"
    ));
    assert!(matches!(directory.find("carl", &[]).await, Ok(Lookup::Disabled)));
    let everybody = directory.everybody(&|_| true).await.expect("everybody");
    let disabled: Vec<_> = everybody.iter().filter(|of| of.disabled).map(|of| of.logins.concat()).collect();
    assert_eq!(disabled, ["carl"]);
    // Locked for a while after wrong passwords: anybody can bring that about for anybody.
    slapd.modify(&format!(
        "dn: uid=rita,ou=people,{BASE}\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 20261122100000Z\n"
    ));
    assert!(matches!(directory.find("rita", &[]).await, Ok(Lookup::Found(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_read_as_active_directory_keeps_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let slapd = Slapd::start(folder.path()).await;
    let person = |login: &str, flags: u32, guid: &str| {
        format!(
            "dn: cn={login},ou=people,{BASE}\nobjectClass: inetOrgPerson\nobjectClass: user\nobjectCategory: person\nsAMAccountName: {login}\ncn: {login}\nsn: Doe\ndisplayName: Doe, {login}\nmail: {login}@example.test\nemployeeID: 4711\nuserPrincipalName: {login}@corp.example.test\nuserAccountControl: {flags}\nobjectGUID:: {guid}\nobjectSid:: AQUAAAAAAAUVAAAAAQAAAAIAAAADAAAAUAQAAA==\n\n"
        )
    };
    // 512 is a normal account, 514 a disabled one, 66048 one whose password never expires.
    let people = [("jane", 512, "AAECAwQFBgcICQoLDA0ODw=="), ("jim", 514, "AQECAwQFBgcICQoLDA0ODw==")];
    slapd.add(&people.map(|(login, flags, guid)| person(login, flags, guid)).concat());
    slapd.add(&person("joe", 66048, "AgECAwQFBgcICQoLDA0ODw=="));
    let options = DirectoryOptions { kind: Kind::ActiveDirectory, ..options(&slapd) };
    let directory = Directory::new(&options).expect("a directory");
    let jane = found(&directory, "jane", &ALL).await;
    assert_eq!(jane.id, "03020100-0504-0706-0809-0a0b0c0d0e0f");
    assert_eq!((jane.name.as_str(), jane.employee_number.as_deref()), ("Doe, jane", Some("4711")));
    assert_eq!(jane.object_sid.as_deref(), Some("S-1-5-21-1-2-3-1104"));
    assert!(matches!(directory.find("jim", &[]).await, Ok(Lookup::Disabled)));
    assert!(matches!(directory.find("joe", &[]).await, Ok(Lookup::Found(_))));
    // By the id that is binary there, and in the one spelling of logins.
    slapd.modify(&format!(
        "dn: cn=jane,ou=people,{BASE}\nchangetype: modify\nreplace: sAMAccountName\nsAMAccountName: JANE\n"
    ));
    let found = directory.find_by_id(&jane.id).await.expect("an answer").expect("jane");
    assert_eq!((found.logins, found.disabled), (vec!["jane".to_owned()], false));
    // Whose account control cannot be read is nobody, and gone no more than anybody else.
    slapd.modify(&format!("dn: cn=jane,ou=people,{BASE}\nchangetype: modify\ndelete: userAccountControl\n"));
    let unread = directory.find("jane", &[]).await;
    assert!(matches!(&unread, Ok(Lookup::Incomplete { id: None, .. })), "{unread:?}");
    let found = directory.find_by_id(&jane.id).await.expect("an answer").expect("jane");
    assert_eq!((found.person, found.disabled), (None, false));
    // Those of another kind are no people here.
    assert_eq!(directory.find("alice", &[]).await, Ok(Lookup::NotFound));
    assert_eq!(directory.everybody(&|_| true).await.map(|found| found.len()), Ok(3));
}
