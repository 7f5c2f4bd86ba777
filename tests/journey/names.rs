//! Names, addresses and other attributes of people, of any kind: certified, kept and shown as they are, or not at all.

use sealwright_world::journey;
use serde_json::{Value, json};

use super::directory::{self, set};
use crate::on_either_database;
use crate::support::Database;
use crate::support::client::Client;
use crate::support::slapd::BASE;

on_either_database! {
    names_of_any_kind_are_kept_and_shown_as_they_are,
    an_address_that_is_none_is_certified_nowhere,
    a_certificate_has_a_name_as_it_is_or_is_not_made,
}

/// Base64, as LDIF has values of any kind.
pub fn encode(value: &str) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, value)
}

/// A mail address or a principal's name that is none is in no certificate, and nothing of it is repaired.
async fn an_address_that_is_none_is_certified_nowhere(database: Database) {
    let mail = ["alice@example.test, bob@example.test", "<b>@example.test", "alice"];
    let upn = ["alice@corp.test\u{202e}", "alice", "a@b@corp.test"];
    for (attribute, values) in [("mail", mail), ("userPrincipalName", upn)] {
        let (test, slapd, _folder) = directory::start(database).await;
        for (tried, value) in values.into_iter().enumerate() {
            set(&slapd, &format!("replace: {attribute}\n{attribute}:: {}", encode(value)));
            let mut begun = test.alice().await;
            let code = journey::offer(&mut begun).await.expect("a code");
            assert!(!test.agent(&code).converse(&mut begun).await.expect("a conversation").success(), "{value}");
            assert_eq!(crate::support::ended(&mut begun).await["status"], "failure", "{value}");
            let refused = test.audited("request-refused").await;
            assert_eq!(refused.len(), tried + 1, "{value}");
            assert_eq!(refused[tried].detail, Some(json!({ "why": "alternative-name" })), "{value}");
        }
        // The other certificate, which says nothing of it, was made once.
        assert_eq!(test.audited("certificate-issued").await.len(), 1);
    }
}

/// What must come out as it went in, on every page and in every record, or be refused as a whole.
async fn names_of_any_kind_are_kept_and_shown_as_they_are(database: Database) {
    let (test, slapd, _folder) = directory::start(database).await;
    let names = [
        ("h1", "<script>alert(1)</script>"),
        ("h2", "{{ 7 * 7 }} {person.mail} %n %s ${jndi:ldap://x}"),
        ("h3", "=cmd|' /C calc'!A0, \"x\"; DROP TABLE card; --"),
        ("h4", "\u{5d3}\u{5d5}\u{5d3} \u{202e}evil \u{1f600} \u{e9}\u{65}\u{301}"),
        ("h5", "*)(uid=*))(|(uid=* \\2a + , # < > = ; \\"),
    ];
    for (login, name) in names {
        let encoded = encode(name);
        // A mail address is of ASCII in a directory (RFC 4524 section 2.16).
        let mail = if name.is_ascii() { encoded.clone() } else { encode("x@example.test") };
        slapd.add(&format!(
            "dn: uid={login},ou=people,{BASE}\nobjectClass: inetOrgPerson\nobjectClass: activeDirectoryPerson\nuid: {login}\nsn: x\ncn:: {encoded}\nmail:: {mail}\nemployeeNumber:: {encoded}\nuserPrincipalName:: {encoded}\nobjectSid:: AQUAAAAAAAUVAAAAAQAAAAIAAAADAAAAUAQAAA==\n"
        ));
        let client = Client::sign_in(&test, login, "user").await;
        let (status, started) = client.post("/api/v1/instances", "{\"workflow\":\"personalize\"}").await;
        assert_eq!(status, 201, "{started}");
        let id = started["id"].as_str().expect("an id");
        let view = client.until(&format!("/api/v1/instances/{id}"), |view| view["state"] == "insert-card").await;
        for attribute in ["name", "employee_number", "upn"] {
            assert_eq!(view["data"]["person"][attribute], name, "{attribute}");
        }
        if name.is_ascii() {
            assert_eq!(view["data"]["person"]["mail"], name);
        }
        let page = client.request(reqwest::Method::GET, &format!("/instances/{id}")).send().await.expect("a page");
        let page = page.text().await.expect("a page");
        let escaped = sealwright_protocol::visible(name)
            .replace('&', "&#38;")
            .replace('<', "&#60;")
            .replace('>', "&#62;")
            .replace('"', "&#34;")
            .replace('\'', "&#39;");
        assert!(page.contains(&escaped), "{name}: {page}");
        assert!(name == escaped || !page.contains(name), "{name}");
        assert!(!page.contains('\u{202e}'), "{name}");
    }
    // A line's end in a name would be another line of a log or a header: such an entry is not used.
    let two_lines = encode("Alice\r\nSet-Cookie: x=y");
    slapd.add(&format!("dn: uid=h6,ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: h6\nsn: x\ncn:: {two_lines}\n"));
    let client = Client::sign_in(&test, "h6", "user").await;
    let (_, started) = client.post("/api/v1/instances", "{\"workflow\":\"personalize\"}").await;
    let path = format!("/api/v1/instances/{}", started["id"].as_str().expect("an id"));
    assert_eq!(client.until(&path, |view| view["status"] != "running").await["state"], "incomplete-person");
    // Whatever was in them, a line of the log is one record.
    for line in test.log().lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

/// A name that means something to a shell, a directory, a template, a spreadsheet and a page, as long as a common name may be (RFC 5280 appendix
/// A.1, `ub-common-name`), comes out of the certificate as it went in. A letter more is refused and never cut.
async fn a_certificate_has_a_name_as_it_is_or_is_not_made(database: Database) {
    const STRANGE: &str =
        "#=cmd|' /C'!A0 *)(uid=*,+;<b>\"\\& \u{5d3}\u{5d5}\u{202e}x\u{1f600}\u{e9}e\u{301} {mail} ${j:l}%s";
    let (test, slapd, _folder) = directory::start(database).await;
    let name = STRANGE.chars().chain("x".repeat(64).chars()).take(64).collect::<String>();
    let call = |login: &str, name: &str| {
        let name = encode(name);
        slapd.modify(&format!("dn: uid={login},ou=people,{BASE}\nchangetype: modify\nreplace: cn\ncn:: {name}\n"));
    };
    call("alice", &name);
    let mut begun = directory::personalized(&test).await;
    super::assert_personalized(&test, &mut begun).await;
    for slot in ["9a", "9c"] {
        let pem = std::fs::read_to_string(test.path("out").join(format!("{slot}.pem"))).expect("a certificate");
        let der = sealwright_pki::certificate::from_pem("CERTIFICATE", &pem).remove(0);
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).expect("a certificate");
        let names: Vec<_> = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok()).collect();
        assert_eq!(names, [name.as_str()], "{slot}");
    }
    let intended = test.audited("certificate-intended").await;
    assert_eq!(intended.len(), 2);
    for row in intended {
        let subject = row.detail.expect("a detail")["subject"].as_str().expect("a subject").to_owned();
        assert_eq!(common_name(&subject), name, "{subject}");
    }
    let entry = format!("uid=bob,ou=people,{BASE}");
    let login = "userPrincipalName: bob@corp.example.test\nmail: bob@example.test\nemployeeNumber: 18";
    let classes = "objectClass: inetOrgPerson\nobjectClass: activeDirectoryPerson";
    let sid = "objectSid:: AQUAAAAAAAUVAAAAAQAAAAIAAAADAAAAVQQAAA==";
    slapd.add(&format!("dn: {entry}\n{classes}\nuid: bob\ncn: {}\nsn: x\n{login}\n{sid}\n", "x".repeat(65)));
    let mut bob = journey::begin(&test.world, "bob").await.expect("begun");
    // Before the card is asked for.
    assert_eq!(crate::support::ended(&mut bob).await["state"], "refused");
    super::assert_nothing_issued(&mut bob, "failure").await;
    let refused: Vec<_> = test.audited("request-refused").await.into_iter().map(|row| row.detail).collect();
    assert_eq!(refused, [Some(json!({ "why": "profile" }))]);
}

/// The common name that a name begins with (RFC 4514 section 2.4), as it was before it was escaped.
fn common_name(subject: &str) -> String {
    let (mut rest, mut bytes) = (subject.strip_prefix("CN=").expect("a common name").as_bytes(), Vec::new());
    loop {
        rest = match rest {
            [b'\\', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let pair = String::from_utf8_lossy(&[*high, *low]).into_owned();
                bytes.push(u8::from_str_radix(&pair, 16).expect("a byte"));
                after
            }
            [b'\\', escaped, after @ ..] => {
                bytes.push(*escaped);
                after
            }
            [] | [b',' | b'+', ..] => return String::from_utf8(bytes).expect("text"),
            [plain, after @ ..] => {
                bytes.push(*plain);
                after
            }
        }
    }
}
