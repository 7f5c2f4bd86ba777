//! Who the headers of a request say that it is from, with each kind of proof; a signed assertion's claims are bytes of the input too.
#![no_main]
#![expect(dead_code, reason = "the files of the portal hold more than what reads headers")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;

#[path = "../../src/auth/assertion.rs"]
mod assertion;
#[path = "../../src/auth/header/mod.rs"]
mod header;
#[path = "../../src/auth/mutual_tls.rs"]
mod mutual_tls;
#[path = "../../src/tls.rs"]
mod tls;

use assertion::AssertionOptions;
use header::{HeaderSignIn, ProofOptions};

const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// Seconds since 1970.
const NOW: i64 = 1_800_000_000;

struct Portal {
    by_secret: HeaderSignIn,
    by_assertion: HeaderSignIn,
    key: Ed25519KeyPair,
}

static PORTAL: LazyLock<Portal> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("sealwright-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let key = Ed25519KeyPair::generate().expect("a key");
    let public = URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
    let keys = serde_json::json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": public }] });
    let (keys_file, file) = (folder.join("keys.json"), folder.join("secret"));
    std::fs::write(&keys_file, keys.to_string()).expect("written");
    std::fs::write(&file, SECRET).expect("written");
    let [issuer, audience, claim] = ["proxy", "portal", "sub"].map(str::to_owned);
    let assertion = ProofOptions::Assertion(AssertionOptions { keys_file, issuer, audience, claim });
    let secret = ProofOptions::Secret { header: "X-Proof".to_owned(), file };
    let new = |proof| HeaderSignIn::new("X-User", proof, vec![PROXY]).expect("a sign-in");
    let portal = Portal { by_secret: new(&secret), by_assertion: new(&assertion), key };
    std::fs::remove_dir_all(&folder).expect("removed");
    portal
});

/// A token (RFC 7515 section 3.1) of whatever claims, rightly signed.
fn signed(claims: &[u8]) -> Vec<u8> {
    let parts = [br#"{"alg":"EdDSA","kid":"k"}"#, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    let text = parts.join(".");
    let signature = URL_SAFE_NO_PAD.encode(PORTAL.key.sign(text.as_bytes()));
    format!("{text}.{signature}").into_bytes()
}

fuzz_target!(|input: &[u8]| {
    let headers = || {
        let lines = input.split(|byte| *byte == b'\n').take(16);
        lines.filter_map(|line| {
            let at = line.iter().position(|byte| *byte == b':')?;
            Some((std::str::from_utf8(&line[..at]).ok()?, &line[at + 1..]))
        })
    };
    let proof = [("x-proof", SECRET.as_bytes())];
    for (sign_in, peer) in
        [(&PORTAL.by_secret, Some(PROXY)), (&PORTAL.by_assertion, Some(PROXY)), (&PORTAL.by_secret, None)]
    {
        if let Ok(login) = sign_in.login(peer, headers().chain(proof), NOW) {
            // Nobody is believed twice, under two spellings, or without the proof; nobody has made a signature.
            assert!(peer.is_some() && std::ptr::eq(sign_in, &PORTAL.by_secret));
            assert_eq!(headers().filter(|(name, _)| *name == "x-user").count(), 1);
            assert_eq!(login, login.to_ascii_lowercase());
        }
        let _present = sign_in.is_present(headers().map(|(name, _)| name));
    }
    let token = signed(input);
    if let Ok(login) = PORTAL.by_assertion.login(Some(PROXY), [("x-user", token.as_slice())].into_iter(), NOW) {
        let claims: serde_json::Value = serde_json::from_slice(input).expect("claims that were believed");
        assert_eq!(claims["iss"], "proxy");
        assert!(claims["exp"].as_i64().is_some_and(|end| end > NOW - 31));
        assert_eq!(claims["sub"].as_str().map(str::to_ascii_lowercase), Some(login));
    }
});
