use proptest::prelude::*;

use super::*;

const HERE: [u8; 4] = [127, 0, 0, 1];

fn sign_in(proof: &ProofOptions) -> HeaderSignIn {
    HeaderSignIn::new("X-Remote-User", proof, vec![IpAddr::from(HERE)]).expect("a sign-in")
}

fn secret() -> HeaderSignIn {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    std::fs::write(&file, "s".repeat(32)).expect("written");
    sign_in(&ProofOptions::Secret { header: "X-Proxy".to_owned(), file })
}

fn login(sign_in: &HeaderSignIn, peer: [u8; 4], headers: &[(&str, &str)]) -> Result<String, Refusal> {
    let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
    sign_in.login(Some(IpAddr::from(peer)), headers, NOW)
}

#[test]
fn only_the_proxy_is_believed_and_only_what_is_plain() {
    let sign_in = secret();
    let login = |peer, headers: &[(&str, &str)]| login(&sign_in, peer, headers);
    let secret = "s".repeat(32);
    let good = ("x-proxy", secret.as_str());
    assert_eq!(login(HERE, &[("x-remote-user", "Alice"), good]), Ok("alice".to_owned()));
    let refused = [
        (login([10, 0, 0, 1], &[("x-remote-user", "alice"), good]), Refusal::Peer),
        (login(HERE, &[("x-remote-user", "alice")]), Refusal::Secret),
        (login(HERE, &[("x-remote-user", "alice"), ("x-proxy", "wrong")]), Refusal::Secret),
        (login(HERE, &[good]), Refusal::Missing),
        (login(HERE, &[("x-remote-user", ""), good]), Refusal::Missing),
        (login(HERE, &[("x-remote-user", "alice"), ("x-remote-user", "bob"), good]), Refusal::Doubled),
        (login(HERE, &[("x-remote-user", "alice"), good, good]), Refusal::Doubled),
        (login(HERE, &[("x-remote-user", "alice"), ("x_remote_user", "bob"), good]), Refusal::LookAlike),
        (login(HERE, &[("x-remote.user", "bob"), good]), Refusal::LookAlike),
        (login(HERE, &[("x-remote-user", "alice, bob"), good]), Refusal::Login),
        (login(HERE, &[("x-remote-user", "alice "), good]), Refusal::Login),
        (login(HERE, &[("x-remote-user", "аlice"), good]), Refusal::Login),
        (login(HERE, &[("x-remote-user", "al\u{0}ice"), good]), Refusal::Login),
        (login(HERE, &[("x-remote-user", "System"), good]), Refusal::Login),
    ];
    for (found, expected) in refused {
        assert_eq!(found, Err(expected));
    }
}

#[test]
fn a_short_secret_is_no_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    std::fs::write(&file, "short\n").expect("written");
    let proof = ProofOptions::Secret { header: "X-Proxy".to_owned(), file };
    assert!(matches!(HeaderSignIn::new("X-Remote-User", &proof, Vec::new()), Err(ProofError::Secret)));
}

const NOW: i64 = 1_800_000_000;

/// Somebody who signs assertions.
struct Signer {
    key: jsonwebtoken::EncodingKey,
    /// Its public key as a JSON Web Key.
    public: serde_json::Value,
}

impl Signer {
    fn new(id: &str) -> Self {
        use base64::Engine;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
        let public = serde_json::json!({
            "kty": "OKP", "crv": "Ed25519", "kid": id, "x": URL_SAFE_NO_PAD.encode(pair.public_key_raw()),
        });
        Self { key: jsonwebtoken::EncodingKey::from_ed_der(pair.serialized_der()), public }
    }

    fn sign(&self, id: &str, claims: &serde_json::Value) -> String {
        self.sign_critical(id, claims, None)
    }

    /// With extensions that must be understood (RFC 7515 section 4.1.11).
    fn sign_critical(&self, id: &str, claims: &serde_json::Value, critical: Option<&[&str]>) -> String {
        let mut head = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA);
        head.kid = Some(id.to_owned());
        head.crit = critical.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        jsonwebtoken::encode(&head, claims, &self.key).expect("a token")
    }
}

#[test]
fn an_assertion_is_believed_for_its_key_its_audience_and_its_time_alone() {
    let (ours, theirs) = (Signer::new("one"), Signer::new("one"));
    let folder = tempfile::tempdir().expect("a folder");
    let keys_file = folder.path().join("keys.json");
    std::fs::write(&keys_file, serde_json::json!({ "keys": [ours.public] }).to_string()).expect("written");
    let text = |text: &str| text.to_owned();
    let options =
        AssertionOptions { keys_file, issuer: text("proxy"), audience: text("sealwright"), claim: text("name") };
    let sign_in = sign_in(&ProofOptions::Assertion(options));
    let good = serde_json::json!({ "iss": "proxy", "aud": "sealwright", "exp": NOW + 60, "nbf": NOW, "name": "Alice" });
    let with = |name: &str, value: serde_json::Value| {
        let mut claims = good.clone();
        claims[name] = value;
        ours.sign("one", &claims)
    };
    let believe = |token: &str| login(&sign_in, HERE, &[("x-remote-user", token)]);
    assert_eq!(believe(&ours.sign("one", &good)), Ok("alice".to_owned()));
    let (head, rest) = (ours.sign("one", &good), with("name", "bob".into()));
    let spliced = format!("{}.{}", head.rsplit_once('.').expect("parts").0, rest.rsplit_once('.').expect("parts").1);
    let unsigned = {
        use base64::Engine;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let head = URL_SAFE_NO_PAD.encode("{\"alg\":\"none\",\"kid\":\"one\"}");
        format!("{head}.{}.", URL_SAFE_NO_PAD.encode(good.to_string()))
    };
    for token in [
        theirs.sign("one", &good),
        ours.sign("two", &good),
        with("aud", "other".into()),
        with("iss", "other".into()),
        with("exp", (NOW - 31).into()),
        with("exp", serde_json::Value::Null),
        with("nbf", (NOW + 31).into()),
        with("name", serde_json::json!(["alice"])),
        with("name", serde_json::Value::Null),
        spliced,
        unsigned,
        ours.sign_critical("one", &good, Some(&["b64"])),
        ours.sign_critical("one", &good, Some(&["x", "exp"])),
        ours.sign_critical("one", &good, Some(&[])),
        "x".repeat(10_000),
        "a.b.c".to_owned(),
    ] {
        assert_eq!(believe(&token), Err(Refusal::Assertion), "{token}");
    }
    assert_eq!(believe(&with("name", "alice,bob".into())), Err(Refusal::Login));
    let signed = ours.sign("one", &good);
    assert_eq!(login(&sign_in, [10, 0, 0, 1], &[("x-remote-user", &signed)]), Err(Refusal::Peer));
    assert_eq!(login(&sign_in, HERE, &[("x-remote-user", &signed), ("x_remote_user", "b")]), Err(Refusal::LookAlike));
}

#[test]
fn a_set_of_keys_that_anybody_could_sign_with_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys_file = folder.path().join("keys.json");
    let shared = serde_json::json!({ "kty": "oct", "kid": "one", "k": "c2VjcmV0" });
    let unnamed = serde_json::json!({ "kty": "OKP", "crv": "Ed25519", "x": "AAAA" });
    for keys in [serde_json::json!([]), serde_json::json!([shared]), serde_json::json!([unnamed])] {
        std::fs::write(&keys_file, serde_json::json!({ "keys": keys }).to_string()).expect("written");
        let text = String::new;
        let options =
            AssertionOptions { keys_file: keys_file.clone(), issuer: text(), audience: text(), claim: text() };
        let made = HeaderSignIn::new("X-Remote-User", &ProofOptions::Assertion(options), Vec::new());
        assert!(matches!(made, Err(ProofError::Keys(_))));
    }
}

proptest! {
    #[test]
    fn any_header_is_read_or_refused(name in "[ -~]{0,40}", value in proptest::collection::vec(any::<u8>(), 0..100)) {
        let headers = [(name.as_str(), value.as_slice())];
        prop_assert!(secret().login(Some(IpAddr::from(HERE)), headers.into_iter(), NOW).is_err());
    }

    #[test]
    fn a_believed_login_is_what_was_sent_in_small_letters(
        value in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..100),
            "[A-Za-z0-9._@, -]{1,70}".prop_map(String::into_bytes),
        ],
    ) {
        let proof = "s".repeat(32);
        let headers = [("x-remote-user", value.as_slice()), ("x-proxy", proof.as_bytes())];
        if let Ok(login) = secret().login(Some(IpAddr::from(HERE)), headers.into_iter(), NOW) {
            prop_assert_eq!(login.as_bytes(), value.to_ascii_lowercase());
            prop_assert!(login.bytes().all(|byte| byte.is_ascii_graphic() && !b",;\"'\\".contains(&byte)), "{}", login);
        }
    }
}

#[test]
fn the_last_address_that_the_proxy_says_is_where_a_request_comes_from() {
    let silent = secret();
    let sign_in = secret().with_address_header(Some("X-Forwarded-For".to_owned())).expect("a name");
    assert!(secret().with_address_header(Some("X Forwarded".to_owned())).is_err());
    let from = |sign_in: &HeaderSignIn, peer: [u8; 4], said: Option<&'static str>| {
        let address = sign_in.address(Some(IpAddr::from(peer)), |name| said.filter(|_| name == "X-Forwarded-For"));
        address.map(|address| address.to_string()).unwrap_or_default()
    };
    assert_eq!(from(&sign_in, HERE, Some("203.0.113.1, 192.0.2.7")), "192.0.2.7");
    assert_eq!(from(&sign_in, HERE, Some("2001:db8::7")), "2001:db8::7");
    for none in [None, Some(""), Some("192.0.2.7,"), Some("192.0.2.7 (alice)"), Some("192.0.2.300")] {
        assert_eq!(from(&sign_in, HERE, none), "127.0.0.1", "{none:?}");
    }
    assert_eq!(from(&sign_in, [10, 0, 0, 1], Some("192.0.2.7")), "10.0.0.1");
    assert_eq!(from(&silent, HERE, Some("192.0.2.7")), "127.0.0.1");
}
