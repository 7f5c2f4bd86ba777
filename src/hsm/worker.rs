//! The worker: loads the vendor's module and does what the lines ask. It ends with its input, with its parent, and with any error of the module
//! that another try may mend.

use std::fs::File;
use std::io::{BufRead, Read, Write};
use std::os::fd::AsFd;

use aws_lc_rs::digest::{self, SHA256, SHA384};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use data_encoding::BASE64;
use der::Encode;
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetString, UintRef};
use sealwright_pki::key::{KeyAlgorithm, RsaPublicKey};
use x509_cert::spki::{AlgorithmIdentifier, SubjectPublicKeyInfo, SubjectPublicKeyInfoRef};
use zeroize::Zeroizing;

use super::protocol::{Algorithm, Answer, LONGEST, Request};
use super::{HsmOptions, refusal};

pub use super::process::COMMAND;

/// Answers lines until there are none.
pub fn run() -> std::process::ExitCode {
    // Whatever the module does, it does not outlive the portal, nor the thread that reads its answers.
    let _kept = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
    let mut input = std::io::stdin().lock();
    // A module that prints something prints it to the log, and not between the answers.
    let Ok(mut output) = std::io::stdout().as_fd().try_clone_to_owned().map(File::from) else {
        return std::process::ExitCode::FAILURE;
    };
    if nix::unistd::dup2_stdout(std::io::stderr()).is_err() {
        return std::process::ExitCode::FAILURE;
    }
    let mut state = State::default();
    loop {
        let mut line = Zeroizing::new(String::new());
        let longest = u64::try_from(LONGEST).unwrap_or(u64::MAX);
        match input.by_ref().take(longest).read_line(&mut line) {
            Ok(1..) if line.ends_with('\n') => {}
            _ => return std::process::ExitCode::SUCCESS,
        }
        let answer = match serde_json::from_str(&line) {
            Ok(request) => answer(&mut state, request),
            Err(error) => Answer::Refused { why: error.to_string() },
        };
        let ends = matches!(answer, Answer::Offline { .. } | Answer::PinRefused | Answer::PinUnanswered { .. });
        let Ok(mut text) = serde_json::to_string(&answer) else { return std::process::ExitCode::FAILURE };
        text.push('\n');
        if output.write_all(text.as_bytes()).and_then(|()| output.flush()).is_err() || ends {
            return std::process::ExitCode::FAILURE;
        }
    }
}

/// How far it has come: a token is found first, and then signed in to.
#[derive(Default)]
struct State {
    found: Option<Found>,
    token: Option<Token>,
}

impl State {
    fn open(&self) -> Result<&Token, Failed> {
        self.token.as_ref().ok_or_else(|| refused("not open"))
    }
}

/// A token that may be signed in to.
struct Found {
    module: Pkcs11,
    slot: Slot,
    label: String,
    pin: Zeroizing<String>,
}

/// A token that is signed in to.
struct Token {
    session: Session,
    /// Keeps the module loaded.
    _module: Pkcs11,
    label: String,
    /// The private key, where one was asked for.
    key: Option<ObjectHandle>,
}

/// Why something was not done.
enum Failed {
    Offline(String),
    Refused(String),
    Pin,
    PinUnanswered(String),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Offline(error.to_string())
    }
}

impl From<Failed> for Answer {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Offline(why) => Self::Offline { why },
            Failed::Refused(why) => Self::Refused { why },
            Failed::Pin => Self::PinRefused,
            Failed::PinUnanswered(why) => Self::PinUnanswered { why },
        }
    }
}

fn refused(why: &str) -> Failed {
    Failed::Refused(why.to_owned())
}

/// What may be there later: a token whose objects are not there yet, or one that was initialized anew.
fn offline(why: &str) -> Failed {
    Failed::Offline(why.to_owned())
}

fn answer(state: &mut State, request: Request) -> Answer {
    let result = match request {
        Request::Find { options, refused_pin } => find(&options, refused_pin.as_deref()).map(|(found, stamp)| {
            state.found = Some(found);
            Answer::Found { stamp }
        }),
        Request::SignIn { public_key } => {
            let found = state.found.take().ok_or_else(|| refused("no token was looked for"));
            found.and_then(|found| sign_in(found, public_key.as_deref())).map(|token| {
                state.token = Some(token);
                Answer::Opened
            })
        }
        Request::Sign { message, algorithm } => {
            let signed = state.open().and_then(|token| {
                let message = BASE64.decode(message.as_bytes()).map_err(|error| refused(&error.to_string()))?;
                sign(token, &message, algorithm)
            });
            signed.map(|signature| Answer::Signed { signature: BASE64.encode(&signature) })
        }
        Request::Generate { algorithm } => {
            let made = state.open().and_then(|token| generate(token, algorithm));
            made.map(|public_key| Answer::Generated { public_key: BASE64.encode(&public_key) })
        }
    };
    result.unwrap_or_else(Answer::from)
}

fn find(options: &HsmOptions, refused_pin: Option<&str>) -> Result<(Found, String), Failed> {
    let (pin, stamp) = read_pin(options).map_err(|error| Failed::Offline(error.to_string()))?;
    if refused_pin.is_some_and(|refused| refused == stamp) {
        return Err(offline("the token has refused this PIN, and it is not tried again"));
    }
    let module = Pkcs11::new(&options.module)?;
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
    let mut found = None;
    for slot in module.get_slots_with_initialized_token()? {
        // Another token in the machine that does not answer is no reason to do without ours.
        let Ok(info) = module.get_token_info(slot) else { continue };
        if info.label().trim_end() == options.token {
            if found.is_some() {
                return Err(refused("two tokens have this label"));
            }
            found = Some((slot, info));
        }
    }
    let (slot, info) = found.ok_or_else(|| offline("no token of this label is there"))?;
    // The tries that are left are not ours to spend. After a wrong PIN of ours, another one in the file is somebody's correction of it.
    let counts = info.user_pin_count_low() && refused_pin.is_none();
    if info.user_pin_locked() || info.user_pin_final_try() || counts {
        return Err(offline("the token counts wrong PINs; sign in to it by hand once, then it goes on"));
    }
    Ok((Found { module, slot, label: options.key.clone(), pin }, stamp))
}

fn sign_in(found: Found, public_key: Option<&str>) -> Result<Token, Failed> {
    let session = found.module.open_rw_session(found.slot)?;
    match session.login(UserType::User, Some(&AuthPin::from(found.pin.trim_end_matches(['\r', '\n'])))) {
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
        Err(Error::Pkcs11(
            RvError::PinIncorrect
            | RvError::PinInvalid
            | RvError::PinLenRange
            | RvError::PinLocked
            | RvError::PinExpired,
            _,
        )) => return Err(Failed::Pin),
        // The token is not there: it has not seen the PIN.
        Err(
            error @ Error::Pkcs11(
                RvError::DeviceRemoved
                | RvError::TokenNotPresent
                | RvError::TokenNotRecognized
                | RvError::SessionClosed
                | RvError::SessionHandleInvalid
                | RvError::HostMemory,
                _,
            ),
        ) => return Err(error.into()),
        Err(error) => return Err(Failed::PinUnanswered(error.to_string())),
    }
    let mut token = Token { session, _module: found.module, label: found.label, key: None };
    if let Some(public_key) = public_key {
        let public_key = BASE64.decode(public_key.as_bytes()).map_err(|error| refused(&error.to_string()))?;
        token.key = Some(private_key(&token, &public_key)?);
    }
    Ok(token)
}

/// The PIN file's text, and which state of the file that was.
fn read_pin(options: &HsmOptions) -> std::io::Result<(Zeroizing<String>, String)> {
    let mut file = File::open(&options.pin_file)?;
    let stamp = refusal::stamp(&file)?;
    let mut pin = Zeroizing::new(String::new());
    file.read_to_string(&mut pin)?;
    Ok((pin, stamp))
}

/// The one private key of the label, which nothing can read out, and which belongs to the certificate.
fn private_key(token: &Token, public_key: &[u8]) -> Result<ObjectHandle, Failed> {
    let of = |class| vec![Attribute::Class(class), Attribute::Label(token.label.clone().into_bytes())];
    let found = token.session.find_objects(&of(ObjectClass::PRIVATE_KEY))?;
    let key = match found.as_slice() {
        [key] => key,
        [] => return Err(offline("the token has no private key of this label")),
        [..] => return Err(refused(&format!("{} private keys have the label `{}`", found.len(), token.label))),
    };
    let asked = [AttributeType::Sensitive, AttributeType::AlwaysSensitive, AttributeType::NeverExtractable];
    let attributes = token.session.get_attributes(*key, &asked)?;
    for wanted in [Attribute::Sensitive(true), Attribute::AlwaysSensitive(true), Attribute::NeverExtractable(true)] {
        if !attributes.contains(&wanted) {
            return Err(refused(&format!("the key could be read out, or could be once: {wanted:?} is not so")));
        }
    }
    let [public] = token.session.find_objects(&of(ObjectClass::PUBLIC_KEY))?[..] else {
        return Err(offline("the token has no public key of this label"));
    };
    if subject_public_key_info(token, public)? != public_key {
        return Err(offline("the key is not the one of the authority's certificate"));
    }
    Ok(*key)
}

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// A public key object as SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).
fn subject_public_key_info(token: &Token, public: ObjectHandle) -> Result<Vec<u8>, Failed> {
    let wanted =
        [AttributeType::EcParams, AttributeType::EcPoint, AttributeType::Modulus, AttributeType::PublicExponent];
    let (mut parameters, mut point, mut modulus, mut exponent) = (None, None, None, None);
    for attribute in token.session.get_attributes(public, &wanted)? {
        match attribute {
            Attribute::EcParams(value) if !value.is_empty() => parameters = Some(value),
            Attribute::EcPoint(value) if !value.is_empty() => point = Some(value),
            Attribute::Modulus(value) if !value.is_empty() => modulus = Some(value),
            Attribute::PublicExponent(value) if !value.is_empty() => exponent = Some(value),
            _ => {}
        }
    }
    let unreadable = |_| refused("the public key cannot be read");
    let (algorithm, bits) = match (&parameters, &point, &modulus, &exponent) {
        (Some(parameters), Some(point), ..) => {
            // CKA_EC_POINT is an OCTET STRING around the point (PKCS#11 v2.40 section 2.3.3).
            let point = <OctetString as der::Decode>::from_der(point).map_err(unreadable)?;
            let parameters = <AnyRef<'_> as der::Decode>::from_der(parameters).map_err(unreadable)?;
            (AlgorithmIdentifier { oid: EC_PUBLIC_KEY, parameters: Some(parameters) }, point.as_bytes().to_vec())
        }
        (_, _, Some(modulus), Some(exponent)) => {
            let key = RsaPublicKey {
                modulus: UintRef::new(modulus).map_err(unreadable)?,
                public_exponent: UintRef::new(exponent).map_err(unreadable)?,
            };
            let bits = key.to_der().map_err(unreadable)?;
            (AlgorithmIdentifier { oid: RSA_ENCRYPTION, parameters: Some(AnyRef::NULL) }, bits)
        }
        _ => return Err(refused("the public key is of no kind that signs here")),
    };
    let bits = BitStringRef::from_bytes(&bits).map_err(unreadable)?;
    let info: SubjectPublicKeyInfoRef<'_> = SubjectPublicKeyInfo { algorithm, subject_public_key: bits };
    info.to_der().map_err(unreadable)
}

/// RFC 3279 section 2.2.3.
#[derive(der::Sequence)]
struct EcdsaSignature<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

fn sign(token: &Token, message: &[u8], algorithm: Algorithm) -> Result<Vec<u8>, Failed> {
    let key = token.key.ok_or_else(|| refused("no key was asked for"))?;
    let hash = match algorithm {
        Algorithm::EcdsaSha256 => digest::digest(&SHA256, message),
        Algorithm::EcdsaSha384 => digest::digest(&SHA384, message),
        Algorithm::RsaSha256 => return Ok(token.session.sign(&Mechanism::Sha256RsaPkcs, key, message)?),
    };
    // The token gives r and s side by side.
    let raw = token.session.sign(&Mechanism::Ecdsa, key, hash.as_ref())?;
    let (r, s) = raw.split_at_checked(raw.len() / 2).ok_or_else(|| refused("no signature"))?;
    let encoded = UintRef::new(r).and_then(|r| EcdsaSignature { r, s: UintRef::new(s)? }.to_der());
    encoded.map_err(|_| refused("the signature cannot be read"))
}

fn generate(token: &Token, algorithm: KeyAlgorithm) -> Result<Vec<u8>, Failed> {
    let label = Attribute::Label(token.label.clone().into_bytes());
    if !token.session.find_objects(std::slice::from_ref(&label))?.is_empty() {
        return Err(refused("the token has an object of this label already"));
    }
    let curve = |oid: ObjectIdentifier| oid.to_der().map(Attribute::EcParams).map_err(|_| refused("the curve"));
    let (mechanism, mut public) = match algorithm {
        KeyAlgorithm::P256 => (Mechanism::EccKeyPairGen, vec![curve(P256)?]),
        KeyAlgorithm::P384 => (Mechanism::EccKeyPairGen, vec![curve(P384)?]),
        KeyAlgorithm::Rsa2048 => (Mechanism::RsaPkcsKeyPairGen, rsa(2048)),
        KeyAlgorithm::Rsa3072 => (Mechanism::RsaPkcsKeyPairGen, rsa(3072)),
        KeyAlgorithm::Rsa4096 => (Mechanism::RsaPkcsKeyPairGen, rsa(4096)),
    };
    public.extend([label.clone(), Attribute::Token(true), Attribute::Private(false), Attribute::Verify(true)]);
    let private = [
        label,
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        Attribute::Decrypt(false),
        Attribute::Unwrap(false),
    ];
    let (public, _) = token.session.generate_key_pair(&mechanism, &public, &private)?;
    subject_public_key_info(token, public)
}

fn rsa(bits: u64) -> Vec<Attribute> {
    vec![Attribute::ModulusBits(bits.into()), Attribute::PublicExponent(vec![1, 0, 1])]
}
