//! The directory as a client meets it, also when it misbehaves because it was told to.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use ldap3_proto::LdapCodec;
use ldap3_proto::proto::{
    LdapBindCred, LdapBindRequest, LdapDerefAliases, LdapFilter, LdapMsg, LdapOp, LdapSearchRequest, LdapSearchScope,
};
use tokio::net::TcpStream;
use tokio_util::codec::Framed;

use super::{Directory, LdapResultCode};

const BIND_DN: &str = "cn=sealwright,dc=demo,dc=test";
const PASSWORD: &str = "of the test";
const ALICE: &str = "uid=alice,ou=people,dc=demo,dc=test";

/// A client with one connection, which asks one thing after another.
struct Client {
    framed: Framed<TcpStream, LdapCodec>,
    asked: i32,
}

impl Client {
    async fn connect(directory: &Directory) -> Self {
        let stream = TcpStream::connect(directory.address()).await.expect("a connection");
        Self { framed: Framed::new(stream, LdapCodec::default()), asked: 0 }
    }

    async fn ask(&mut self, op: LdapOp) {
        self.asked += 1;
        self.framed.send(LdapMsg::new(self.asked, op)).await.expect("sent");
    }

    /// The code of the answer to what was asked last, and how many entries came with it.
    async fn answer(&mut self) -> (LdapResultCode, usize) {
        let mut entries = 0;
        loop {
            let LdapMsg { msgid, op, .. } = self.framed.next().await.expect("an answer").expect("LDAP");
            assert_eq!(msgid, self.asked);
            match op {
                LdapOp::SearchResultEntry(_) => entries += 1,
                LdapOp::SearchResultDone(result) => return (result.code, entries),
                LdapOp::BindResponse(response) => return (response.res.code, entries),
                other => panic!("{other:?}"),
            }
        }
    }

    async fn bind(&mut self, password: &str) -> LdapResultCode {
        let cred = LdapBindCred::Simple(password.to_owned());
        self.ask(LdapOp::BindRequest(LdapBindRequest { version: 3, dn: BIND_DN.to_owned(), cred })).await;
        self.answer().await.0
    }

    async fn ask_for(&mut self, login: &str) {
        let request = LdapSearchRequest {
            base: "dc=demo,dc=test".to_owned(),
            scope: LdapSearchScope::Subtree,
            aliases: LdapDerefAliases::Never,
            sizelimit: 0,
            timelimit: 0,
            typesonly: false,
            filter: LdapFilter::Equality("uid".to_owned(), login.to_owned()),
            attrs: Vec::new(),
        };
        self.ask(LdapOp::SearchRequest(request)).await;
    }

    async fn find(&mut self, login: &str) -> (LdapResultCode, usize) {
        self.ask_for(login).await;
        self.answer().await
    }
}

#[tokio::test]
async fn it_refuses_and_hangs_as_long_as_it_is_told_to() {
    let directory = Directory::start(BIND_DN, PASSWORD, 0).await.expect("a directory");
    let mut client = Client::connect(&directory).await;
    assert_eq!(client.find("alice").await, (LdapResultCode::InsufficentAccessRights, 0));
    assert_eq!(client.bind("another").await, LdapResultCode::InvalidCredentials);
    assert_eq!(client.bind(PASSWORD).await, LdapResultCode::Success);
    assert_eq!(client.find("alice").await, (LdapResultCode::Success, 1));

    directory.refuse_after_bind(LdapResultCode::Busy);
    assert_eq!(client.find("alice").await, (LdapResultCode::Busy, 0));
    assert_eq!(client.bind(PASSWORD).await, LdapResultCode::Success);

    directory.refuse(LdapResultCode::Unavailable);
    assert_eq!(client.find("alice").await, (LdapResultCode::Unavailable, 0));
    assert_eq!(client.bind(PASSWORD).await, LdapResultCode::Unavailable);

    directory.answer();
    assert_eq!(client.find("alice").await.0, LdapResultCode::InsufficentAccessRights);
    assert_eq!(client.bind(PASSWORD).await, LdapResultCode::Success);

    directory.hang();
    client.ask_for("alice").await;
    assert!(tokio::time::timeout(Duration::from_millis(100), client.answer()).await.is_err());
    directory.answer();
    assert_eq!(client.answer().await, (LdapResultCode::Success, 1));

    drop(directory);
    assert!(client.framed.next().await.is_none_or(|message| message.is_err()));
}

#[tokio::test]
async fn people_are_listed_with_their_groups() {
    let directory = Directory::start(BIND_DN, PASSWORD, 1).await.expect("a directory");
    let people = directory.people();
    let groups = |login: &str| people.iter().find(|person| person.login == login).expect(login).groups.clone();
    assert_eq!(groups("rita"), ["ra-operators"]);
    assert_eq!(groups("carl"), ["ca-operators", "auditors"]);
    assert_eq!(groups("alice"), [""; 0]);
    assert_eq!(groups("person-0"), [""; 0]);
}

#[tokio::test]
async fn its_entries_change_while_it_runs() {
    let directory = Directory::start(BIND_DN, PASSWORD, 2).await.expect("a directory");
    let mut client = Client::connect(&directory).await;
    assert_eq!(client.bind(PASSWORD).await, LdapResultCode::Success);
    assert_eq!(client.find("person-1").await, (LdapResultCode::Success, 1));

    let erin = "dn: uid=erin,ou=people,dc=demo,dc=test\nuid: erin\ncn: Erin\n";
    directory.add(erin).expect("added");
    assert!(directory.add(erin).is_err());
    assert!(directory.add("uid: nobody").is_err());
    assert_eq!(client.find("erin").await, (LdapResultCode::Success, 1));

    directory.set(ALICE, "uid", &["alice-new"]).expect("changed");
    assert_eq!(client.find("alice").await, (LdapResultCode::Success, 0));
    assert_eq!(client.find("alice-new").await, (LdapResultCode::Success, 1));
    directory.set(ALICE, "mail", &[]).expect("changed");
    assert_eq!(directory.values(ALICE, "mail"), [[0_u8; 0]; 0]);
    assert_eq!(directory.values(ALICE, "uid"), [b"alice-new"]);

    directory.remove(ALICE).expect("removed");
    assert!(directory.remove(ALICE).is_err());
    assert!(directory.set(ALICE, "uid", &["alice"]).is_err());
    assert_eq!(client.find("alice-new").await, (LdapResultCode::Success, 0));
}
