//! What a process holds in memory, and a search for many things at once.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};

/// A mapping larger than this is reserved address space, not memory.
const MAX_MAPPING: u64 = 1 << 30;
const PIECE: u64 = 1 << 20;

/// All readable memory of a process, one mapping after the other. What cannot be read now is left out.
///
/// # Panics
/// When the process is gone, or this one may not look.
pub fn memory_of(pid: u32) -> Vec<u8> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("read the maps (as root)");
    let memory = File::open(format!("/proc/{pid}/mem")).expect("open the memory (as root)");
    let mut all = Vec::new();
    for (from, to) in maps.lines().filter_map(readable) {
        for at in (from..to).step_by(usize::try_from(PIECE).expect("it is small")) {
            let length = usize::try_from(PIECE.min(to - at)).expect("it is small");
            let mut piece = vec![0; length];
            if memory.read_exact_at(&mut piece, at).is_ok() {
                all.extend_from_slice(&piece);
            }
        }
    }
    all
}

fn readable(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    let (from, to) = (u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?);
    let wanted = words.next()?.starts_with('r') && to - from <= MAX_MAPPING;
    (wanted && !line.ends_with("[vvar]") && !line.ends_with("[vsyscall]")).then_some((from, to))
}

/// Things to look for, each in every spelling in which it might lie about.
#[derive(Default)]
pub struct Needles {
    by_start: BTreeMap<[u8; 4], Vec<(String, Vec<u8>)>>,
}

impl Needles {
    /// Looks for `bytes` as they are, in hexadecimal and in base64.
    ///
    /// # Panics
    /// When it is so short that chance would find it.
    pub fn add(&mut self, name: &str, bytes: &[u8]) {
        assert!(bytes.len() >= 8, "`{name}` is too short to be looked for");
        self.insert(name, "raw", bytes.to_vec());
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.insert(name, "hex", hex.to_uppercase().into_bytes());
        self.insert(name, "hex", hex.into_bytes());
        for shift in 0..3 {
            self.insert(name, "base64", inner(&BASE64_STANDARD_NO_PAD, bytes, shift));
            self.insert(name, "base64url", inner(&BASE64_URL_SAFE_NO_PAD, bytes, shift));
        }
    }

    /// Looks for any part of `text` that is `window` characters long and begins at a multiple of that.
    pub fn add_parts(&mut self, name: &str, text: &[u8], window: usize) {
        for (number, part) in text.chunks_exact(window).enumerate() {
            self.insert(&format!("{name}, part {number}"), "raw", part.to_vec());
        }
    }

    fn insert(&mut self, name: &str, spelling: &str, bytes: Vec<u8>) {
        let start = *bytes.first_chunk().expect("it is long enough");
        self.by_start.entry(start).or_default().push((format!("{name} ({spelling})"), bytes));
    }

    /// The names of those that are in `hay`.
    pub fn found_in(&self, hay: &[u8]) -> Vec<String> {
        let mut first_two = vec![false; 1 << 16];
        for start in self.by_start.keys() {
            first_two[usize::from(u16::from_be_bytes([start[0], start[1]]))] = true;
        }
        let mut found = Vec::new();
        for at in 0..hay.len().saturating_sub(4) {
            if first_two[usize::from(u16::from_be_bytes([hay[at], hay[at + 1]]))] {
                let here = self.by_start.get(&hay[at..at + 4]).into_iter().flatten();
                let here = here.filter(|(_, needle)| hay[at..].starts_with(needle));
                found.extend(here.map(|(name, _)| name.clone()));
            }
        }
        found.sort();
        found.dedup();
        found
    }
}

/// The characters of an encoding that depend on `bytes` alone, when `shift` unknown bytes precede them.
fn inner(encoding: &impl base64::Engine, bytes: &[u8], shift: usize) -> Vec<u8> {
    let mut shifted = vec![0; shift];
    shifted.extend_from_slice(bytes);
    let whole = shifted.len() / 3 * 3;
    let text = encoding.encode(&shifted[..whole]).into_bytes();
    text[if shift == 0 { 0 } else { 4 }..].to_vec()
}
