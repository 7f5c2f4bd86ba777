//! A PIV card for vpcd: APDUs in, APDUs out, state in a folder.
//!
//! Every power cycle drops and rebuilds the trussed service, its volatile store and the
//! authenticator, as cutting the power of a chip does: PIN, management key authentication and
//! session keys are all gone. (piv-authenticator has no way to clear `administrator_verified`,
//! VERIFY P1=FF only logs the PIN out.)

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use iso7816::command::{CommandView, FromSliceError};
use piv_authenticator::{Authenticator, Options, constants::PIV_AID};
use trussed::{
    ClientImplementation,
    pipe::TrussedChannel,
    virt::{self, Runner, StorageConfig, StoreConfig},
};
use vpicc::{Connection, VSmartCard};

use crate::attestation::Attestor;
use crate::chip::{BACKENDS, CardDispatch, HostPlatform};

type Piv<'a> = Authenticator<virt::Client<'a, CardDispatch>>;

/// Largest command after chaining and largest answer before GET RESPONSE.
const BUFFER: usize = 7609;
const NIST_RID: &[u8] = &[0xA0, 0x00, 0x00, 0x03, 0x08];
const VERSION: [u8; 3] = [5, 4, 3];

const INS_VERIFY: u8 = 0x20;
const INS_GENERATE: u8 = 0x47;
const INS_AUTHENTICATE: u8 = 0x87;
const INS_GET_DATA: u8 = 0xCB;
const INS_PUT_DATA: u8 = 0xDB;
const INS_ATTEST: u8 = 0xF9;
const INS_SELECT: u8 = 0xA4;
const INS_GET_RESPONSE: u8 = 0xC0;
const INS_GET_SERIAL: u8 = 0xF8;
const INS_FACTORY_RESET: u8 = 0xFB;
const INS_GET_VERSION: u8 = 0xFD;

const ECC_P256: u8 = 0x11;
const ECC_P384: u8 = 0x14;
const KEY_MANAGEMENT: u8 = 0x9D;
/// The tag list that asks for the object of the attestation key's certificate.
const ATTESTATION_CERTIFICATE: &[u8] = &[0x5C, 0x03, 0x5F, 0xFF, 0x01];

/// The tag list of the key history, which cards of this make keep as it is written.
const KEY_HISTORY: &[u8] = &[0x5C, 0x03, 0x5F, 0xC1, 0x0C];

/// What kind of card it is.
pub struct Make {
    pub serial: u32,
    /// It does not know GET SERIAL.
    pub unnumbered: bool,
    /// Where the authority of its attestations is.
    pub attestation: Option<PathBuf>,
    /// It does not sign with the key of key management.
    pub strict: bool,
    /// How it does not work.
    pub fault: Option<Fault>,
}

/// How a card does not work.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// There is no PIV application on it.
    NoApplication,
    /// What it answers to a reset is no answer (ISO 7816-3 section 8.2).
    Mute,
    /// What it answers to a question for data is none of what is asked for.
    Gibberish,
}

struct Card<'a> {
    piv: Piv<'a>,
    serial: u32,
    unnumbered: bool,
    strict: bool,
    fault: Option<Fault>,
    attestor: Option<&'a Attestor>,
    ready: &'a Path,
    /// Header (without the chaining bit) and data of an unfinished command chain.
    chain: Option<([u8; 4], Vec<u8>)>,
    /// Answer data still to be fetched with GET RESPONSE.
    pending: Vec<u8>,
    /// A command ran since the last power cycle.
    used: bool,
    /// The chip must be rebuilt before the next message.
    restart: bool,
}

impl Card<'_> {
    fn piv(&mut self, header: [u8; 4], data: &[u8]) -> (Vec<u8>, u16) {
        let mut apdu = header.to_vec();
        if !data.is_empty() {
            // BUFFER fits in 16 bits
            let length = (data.len() as u16).to_be_bytes();
            apdu.extend_from_slice(&[0, length[0], length[1]]);
            apdu.extend_from_slice(data);
        }
        let Ok(command) = CommandView::try_from(apdu.as_slice()) else {
            return (Vec::new(), 0x6700);
        };
        let mut reply: heapless::Vec<u8, BUFFER> = heapless::Vec::new();
        match self.piv.respond(command, reply.as_mut_view()) {
            Ok(()) => (reply.as_slice().to_vec(), 0x9000),
            Err(status) => (Vec::new(), status.to_u16()),
        }
    }

    fn history(&self) -> PathBuf {
        self.ready.with_file_name("key-history")
    }

    /// Creates PINs, keys and files of a new card; false if the card's state is broken.
    fn warm_up(&mut self) -> bool {
        let (_, status) = self.piv([0x00, INS_VERIFY, 0x00, 0x80], &[]);
        status == 0x9000 || status & 0xFFF0 == 0x63C0
    }

    fn run(&mut self, header: [u8; 4], data: &[u8]) -> (Vec<u8>, u16) {
        match header {
            [0x00, INS_ATTEST, slot, 0x00] => self
                .attestor
                .and_then(|attestor| attestor.attest(slot))
                .map_or((Vec::new(), 0x6D00), |der| (der, 0x9000)),
            [0x00, INS_GET_DATA, 0x3F, 0xFF] if data == ATTESTATION_CERTIFICATE => {
                self.attestor.map_or((Vec::new(), 0x6A82), |attestor| (attestor.object(), 0x9000))
            }
            [0x00, INS_GET_DATA, 0x3F, 0xFF] if data == KEY_HISTORY => {
                fs::read(self.history()).map_or((Vec::new(), 0x6A82), |object| (object, 0x9000))
            }
            [0x00, INS_PUT_DATA, 0x3F, 0xFF] if data.starts_with(KEY_HISTORY) => {
                // It says whether somebody may write; what it counts by itself is not asked for.
                let answer = self.piv(header, data);
                if answer.1 == 0x9000 && fs::write(self.history(), &data[KEY_HISTORY.len()..]).is_err() {
                    return (Vec::new(), 0x6581);
                }
                answer
            }
            [0x00, INS_GENERATE, 0x00, slot] => {
                let answer = self.piv(header, data);
                if let Some(attestor) = self.attestor.filter(|_| answer.1 == 0x9000) {
                    attestor.made(slot, data, &answer.0);
                }
                answer
            }
            // 7C with a challenge (81) is to be signed; what is to be deciphered by RSA looks the same.
            [0x00, INS_AUTHENTICATE, ECC_P256 | ECC_P384, KEY_MANAGEMENT] if self.strict && has_challenge(data) => {
                (Vec::new(), 0x6985)
            }
            [0x00, INS_GET_SERIAL, ..] if self.unnumbered => (Vec::new(), 0x6D00),
            [0x00, INS_GET_SERIAL, ..] => (self.serial.to_be_bytes().to_vec(), 0x9000),
            [0x00, INS_GET_VERSION, ..] => (VERSION.to_vec(), 0x9000),
            [0x00, INS_SELECT, 0x04, 0x00] if data == NIST_RID => self.piv(header, PIV_AID.as_bytes()),
            [0x00, INS_FACTORY_RESET, ..] => {
                let answer = self.piv(header, data);
                if answer.1 == 0x9000 {
                    // Until the new state is complete, a restart begins with an empty card.
                    let _ = fs::remove_file(self.ready);
                    let _ = fs::remove_file(self.history());
                    self.restart = true;
                }
                answer
            }
            _ => self.piv(header, data),
        }
    }

    /// At most `limit` bytes of the pending answer and its status.
    fn take(&mut self, limit: usize) -> Vec<u8> {
        let mut out: Vec<u8> = self.pending.drain(..limit.min(self.pending.len())).collect();
        let status = match self.pending.len() {
            0 => 0x9000,
            n @ 1..=255 => 0x6100 | n as u16,
            _ => 0x6100,
        };
        out.extend_from_slice(&u16::to_be_bytes(status));
        out
    }

    fn power_cycle(&mut self) {
        self.chain = None;
        self.pending.clear();
        self.restart |= self.used;
    }
}

impl VSmartCard for Card<'_> {
    fn atr(&self) -> &[u8] {
        if self.fault == Some(Fault::Mute) { &[0x00] } else { vpicc::DEFAULT_ATR }
    }

    fn power_off(&mut self) {
        self.power_cycle();
    }

    fn reset(&mut self) {
        self.power_cycle();
    }

    fn execute(&mut self, msg: &[u8]) -> Vec<u8> {
        self.used = true;
        match (self.fault, msg.get(1)) {
            (Some(Fault::NoApplication), Some(&INS_SELECT)) => return vec![0x6A, 0x82],
            (Some(Fault::NoApplication), _) => return vec![0x6D, 0x00],
            (Some(Fault::Gibberish), Some(&(INS_GET_DATA | INS_GET_SERIAL | INS_AUTHENTICATE))) => {
                return vec![0x53, 0x82, 0xFF, 0xFF, 0x7C, 0x81, 0x90, 0x00];
            }
            _ => {}
        }
        let command = match CommandView::try_from(msg) {
            Ok(command) => command,
            Err(FromSliceError::InvalidClass) => return vec![0x6E, 0x00],
            Err(_) => return vec![0x67, 0x00],
        };
        // Without Le a T=1 card still returns its data; clients then have room for 256 bytes.
        let limit = match (command.expected(), command.extended) {
            (0, false) => 256,
            (0, true) => 65536,
            (le, _) => le,
        };

        if msg[1] == INS_GET_RESPONSE {
            if self.pending.is_empty() {
                return vec![0x69, 0x85];
            }
            return self.take(limit);
        }
        self.pending.clear();

        // CLA 000x xxxx: bit 5 says that more of the command follows
        let chained = msg[0] & 0xF0 == 0x10;
        let header = [if chained { msg[0] & 0x0F } else { msg[0] }, msg[1], msg[2], msg[3]];
        let mut data = match self.chain.take() {
            Some((first, data)) if first == header => data,
            _ => Vec::new(),
        };
        data.extend_from_slice(command.data());
        if data.len() > BUFFER {
            return vec![0x67, 0x00];
        }
        if chained {
            self.chain = Some((header, data));
            return vec![0x90, 0x00];
        }

        let (answer, status) = self.run(header, &data);
        if status != 0x9000 {
            return status.to_be_bytes().to_vec();
        }
        self.pending = answer;
        self.take(limit)
    }
}

/// Whether a dynamic authentication template has a challenge in it.
fn has_challenge(data: &[u8]) -> bool {
    crate::attestation::tlv::find(data, 0x7C)
        .is_some_and(|inner| crate::attestation::tlv::find(&inner, 0x81).is_some_and(|challenge| !challenge.is_empty()))
}

/// Runs the card from power-on until it must be rebuilt (Ok) or vpcd goes away (Err).
fn session(
    store: &mut StoreConfig<'_>,
    vpcd: &mut Option<Connection>,
    address: &str,
    make: &Make,
    attestor: Option<&Attestor>,
    ready: &Path,
) -> io::Result<()> {
    let serial = make.serial;
    let mut guid = *b"virtual-card\0\0\0\0";
    guid[12..].copy_from_slice(&serial.to_be_bytes());
    guid[6] = (guid[6] & 0x0F) | 0x40; // UUID version 4
    guid[8] = (guid[8] & 0x3F) | 0x80;
    let options = Options::new().uuid(Some(guid));

    store.with_store(|store| {
        let platform = HostPlatform::new(store);
        let channel = TrussedChannel::new();
        let (requester, responder) = channel.split().expect("a new channel can be split");
        let mut runner = Runner::new();
        runner.add_endpoint(responder, "piv", BACKENDS);
        let client: virt::Client<'_, CardDispatch> = ClientImplementation::new(requester, runner.syscall(), None);
        runner.run(platform, CardDispatch::new(), move || {
            let mut card = Card {
                piv: Authenticator::new(client, options),
                serial,
                unnumbered: make.unnumbered,
                strict: make.strict,
                fault: make.fault,
                attestor,
                ready,
                chain: None,
                pending: Vec::new(),
                used: false,
                restart: false,
            };
            if !card.warm_up() {
                return Err(io::Error::other("the card's state cannot be loaded"));
            }
            File::create(ready)?;
            // Only a finished card is put into the reader.
            if vpcd.is_none() {
                *vpcd = Some(connect(address)?);
            }
            let vpcd = vpcd.as_mut().expect("connected above");
            while !card.restart {
                vpcd.poll(&mut card)?;
            }
            Ok(())
        })
    })
}

fn connect(address: &str) -> io::Result<Connection> {
    let start = Instant::now();
    loop {
        match vpicc::connect_socket(address) {
            Err(_) if start.elapsed() < Duration::from_secs(30) => {
                thread::sleep(Duration::from_millis(50));
            }
            result => return result,
        }
    }
}

/// Runs the card until its reader goes away.
pub fn run(address: &str, dir: &Path, make: Make) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let lock = File::create(dir.join("lock"))?;
    lock.try_lock().map_err(|_| io::Error::other("another virtual card uses this state directory"))?;

    let attestor = make.attestation.as_deref().map(|folder| Attestor::open(folder, dir, make.serial)).transpose()?;
    let (internal, external) = (dir.join("internal.lfs"), dir.join("external.lfs"));
    let ready = dir.join("ready");
    if !ready.exists() {
        // new card, or a process that died while it made one
        for image in [&internal, &external] {
            match fs::remove_file(image) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    let mut store = StoreConfig {
        internal: StorageConfig::filesystem(internal), // format = true if the file is new
        external: StorageConfig::filesystem(external),
        volatile: StorageConfig::ram(), // format = true: empty again in each session
    };

    let mut vpcd = None;
    loop {
        match session(&mut store, &mut vpcd, address, &make, attestor.as_ref(), &ready) {
            Ok(()) => {}
            Err(error) => {
                return match error.kind() {
                    // pcscd has gone
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Ok(()),
                    _ => Err(error),
                };
            }
        }
        store.internal.format = false;
        store.external.format = false;
    }
}
