//! The disk that everything here writes to.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// A folder on the same disk for everything, gone afterwards.
pub fn folder(name: &str) -> tempfile::TempDir {
    let var = Path::new(env!("CARGO_MANIFEST_DIR")).join("var/bench");
    std::fs::create_dir_all(&var).expect("a folder");
    tempfile::Builder::new().prefix(name).tempdir_in(var).expect("a folder")
}

/// How long it takes until 8 KiB are on the disk, the median.
pub fn flush() -> Duration {
    let folder = folder("flush");
    let mut file = File::create(folder.path().join("file")).expect("a file");
    let mut times = Vec::new();
    for _ in 0..200 {
        file.seek(SeekFrom::Start(0)).expect("sought");
        file.write_all(&[7; 8192]).expect("written");
        let began = Instant::now();
        file.sync_data().expect("flushed");
        times.push(began.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

/// The write transactions that SQLite has committed: `iChange` of its WAL index.
pub fn commits(world: &Path) -> u32 {
    let index = std::fs::read(world.join("sealwright.db-shm")).expect("a WAL index");
    u32::from_ne_bytes(index[8..12].try_into().expect("four bytes"))
}
