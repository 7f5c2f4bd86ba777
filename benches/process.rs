//! What a process has used, by /proc, and how fast the machine is that it runs on.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};

use crate::figures::median;

pub struct Process(u32);

impl Process {
    pub fn new(id: u32) -> Self {
        Self(id)
    }

    /// Resident memory in megabytes.
    pub fn memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0)).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("resident memory");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
    }

    /// Processor time of all its threads, in the kernel too.
    pub fn processor(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).expect("a process");
        // The name, which may hold blanks, ends with the last parenthesis.
        let (_, fields) = stat.rsplit_once(')').expect("a name");
        let fields: Vec<u64> =
            fields.split_whitespace().skip(11).take(2).map(|field| field.parse().expect("ticks")).collect();
        // A tick is ten milliseconds on Linux (USER_HZ).
        Duration::from_millis(fields.iter().sum::<u64>() * 10)
    }
}

/// How many signatures of P-256 one core makes in a second, the median: how fast the machine computes now. Figures of two runs are compared beside it.
pub fn signatures() -> f64 {
    const EACH: u32 = 200;
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
    let mut rates: Vec<f64> = (0..15)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..EACH {
                std::hint::black_box(key.sign(&random, b"to be signed").expect("a signature"));
            }
            f64::from(EACH) / began.elapsed().as_secs_f64()
        })
        .collect();
    median(&mut rates)
}

/// How long a thread waits for the answer of another one that sleeps, in microseconds, the median: what a virtual machine makes dear.
pub fn hand_over() -> f64 {
    let (ask, asked) = mpsc::sync_channel(1);
    let (answer, answered) = mpsc::sync_channel(1);
    let other = std::thread::spawn(move || {
        while asked.recv().is_ok() {
            answer.send(()).expect("somebody asks");
        }
    });
    let mut times: Vec<f64> = (0..2_000)
        .map(|_| {
            std::thread::sleep(Duration::from_micros(50));
            let began = Instant::now();
            ask.send(()).expect("somebody answers");
            answered.recv().expect("an answer");
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    drop(ask);
    other.join().expect("ended");
    median(&mut times)
}
