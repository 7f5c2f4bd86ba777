//! What a process has used, by /proc.

use std::time::Duration;

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
