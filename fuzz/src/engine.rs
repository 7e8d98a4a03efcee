//! Runs a target on changed inputs until it fails or the time is up.
//!
//! Owns the choice of inputs, what is kept of them, and the report of a failure. The same seed and the same corpus give the
//! same inputs.

use std::collections::HashSet;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use fastrand::Rng;

/// Longest input that is made by growing another one.
const INPUT_BYTES_MAX: usize = 64 * 1024;

/// Longest input that is kept in the corpus because it was new.
const KEPT_BYTES_MAX: usize = 2048;

/// Inputs that are kept of one target; those that failed are kept whatever their number.
const KEPT_MAX: usize = 64;

/// Longest time one input may take: thousands of times what a usual one takes, with room for a busy machine.
const CHECK_MAX: Duration = Duration::from_secs(10);

/// Most changes to one input.
const CHANGES_MAX: usize = 8;

/// Numbers at which arithmetic goes wrong.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0xffff_ffff_ffff_ffff,
];

/// Something that must hold for all bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// What it is called.
    pub name: &'static str,
    /// Panics if something does not hold.
    pub check: fn(&[u8], &mut Seen),
    /// Good inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// What a target did with one input, as far as it tells.
#[derive(Debug, Default)]
pub struct Seen {
    features: Vec<u64>,
}

impl Seen {
    /// Notes something that came out. Numbers, ids and what follows a quotation do not count, or every input would be new.
    pub fn note(&mut self, what: impl std::fmt::Display) {
        let text = what.to_string();
        let mut hasher = DefaultHasher::new();
        let own = text.split(['`', '"']).next().unwrap_or_default();
        let words = own.split_whitespace();
        let is_plain = |word: &&str| !word.contains(|letter: char| letter.is_ascii_digit());
        words.filter(is_plain).take(20).for_each(|word| word.hash(&mut hasher));
        self.features.push(hasher.finish());
    }

    /// Notes about how many of something there were.
    pub fn note_count(&mut self, what: &str, count: usize) {
        let mut hasher = DefaultHasher::new();
        (what, usize::BITS - count.leading_zeros()).hash(&mut hasher);
        self.features.push(hasher.finish());
    }
}

/// How long to go on.
#[derive(Debug, Clone, Copy)]
pub enum Budget {
    /// This many inputs.
    Inputs(u64),
    /// This long.
    Time(Duration),
}

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Inputs tried.
    pub inputs: u64,
    /// Inputs that were new.
    pub new: usize,
    /// Features seen in all.
    pub features: usize,
}

/// One target with all that is known of it.
#[derive(Debug)]
pub struct Run {
    target: Target,
    folder: PathBuf,
    inputs: Vec<Vec<u8>>,
    features: HashSet<u64>,
    rng: Rng,
}

impl Run {
    /// A run with the seeds and the corpus in `folder`, all of which are tried.
    pub fn new(target: Target, folder: &Path, seed: u64) -> Result<Self> {
        let mut run = Self {
            target,
            folder: folder.join(target.name),
            inputs: Vec::new(),
            features: HashSet::new(),
            rng: Rng::with_seed(seed),
        };
        let kept = kept(&run.folder)?;
        for input in (target.seeds)().into_iter().chain(kept) {
            run.attempt(&input)?;
            run.inputs.push(input);
        }
        if run.inputs.is_empty() {
            run.inputs.push(Vec::new());
        }
        Ok(run)
    }

    /// Tries changed inputs. Fails at the first that fails, which is then in the corpus.
    pub fn go(&mut self, budget: Budget) -> Result<Tally> {
        let start = Instant::now();
        let mut tally = Tally { inputs: 0, new: 0, features: 0 };
        let mut last = match budget {
            Budget::Time(_) => Some(Last::create(&self.folder)?),
            Budget::Inputs(_) => None,
        };
        loop {
            let is_over = match budget {
                Budget::Inputs(max) => tally.inputs >= max,
                Budget::Time(max) => start.elapsed() >= max,
            };
            if is_over {
                tally.features = self.features.len();
                return Ok(tally);
            }
            let input = self.changed();
            if let Some(last) = &mut last {
                last.note(&input)?;
            }
            tally.inputs += 1;
            if self.attempt(&input)? {
                tally.new += 1;
                self.inputs.push(input);
            }
        }
    }

    /// Writes short inputs that were new into the corpus.
    pub fn keep(&self) -> Result<()> {
        let room = KEPT_MAX.saturating_sub(kept(&self.folder)?.len());
        for input in self.inputs.iter().filter(|input| input.len() <= KEPT_BYTES_MAX).take(room) {
            write(&self.folder, &name_of("new", input), input)?;
        }
        match fs::remove_file(self.folder.join(Last::NAME)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Tries an input; whether it was new.
    fn attempt(&mut self, input: &[u8]) -> Result<bool> {
        let mut seen = Seen::default();
        let start = Instant::now();
        let checked = catch_unwind(AssertUnwindSafe(|| (self.target.check)(input, &mut seen)));
        let took = start.elapsed();
        if checked.is_err() || took > CHECK_MAX {
            let name = name_of("failed", input);
            write(&self.folder, &name, input)?;
            let fault = if checked.is_err() { "panicked".to_owned() } else { format!("took {took:?}") };
            bail!(
                "{} {fault} on an input of {} bytes; it is kept as {}\n{}",
                self.target.name,
                input.len(),
                self.folder.join(name).display(),
                hexadecimal(input.get(..256).unwrap_or(input))
            );
        }
        let known = self.features.len();
        self.features.extend(seen.features);
        Ok(self.features.len() > known)
    }

    fn one(&mut self) -> Vec<u8> {
        // Newer inputs got further.
        let count = self.inputs.len();
        let index = if self.rng.bool() { self.rng.usize(..count) } else { self.rng.usize(count / 2..count) };
        self.inputs.get(index).cloned().unwrap_or_default()
    }

    /// A known input with some changes.
    fn changed(&mut self) -> Vec<u8> {
        let mut input = self.one();
        for _ in 0..self.rng.usize(1..=CHANGES_MAX) {
            self.change(&mut input);
        }
        input.truncate(INPUT_BYTES_MAX);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.rng.usize(..=input.len());
        let end = (at + self.rng.usize(..=16)).min(input.len());
        match self.rng.u32(..10) {
            0 => flip(input, at, 1 << self.rng.u32(..8)),
            1 => flip(input, at, self.rng.u8(1..)),
            2 => insert(input, at, &[self.rng.u8(..)]),
            3 => drop(input.drain(at..end)),
            4 => {
                let copy = input.get(at..end).unwrap_or_default().to_vec();
                let to = self.rng.usize(..=input.len());
                insert(input, to, &copy);
            }
            5 | 6 => {
                let number =
                    self.rng.choice(EDGES).unwrap_or(0).wrapping_add(self.rng.u64(..3)).wrapping_sub(1);
                self.overwrite(input, at, number);
            }
            7 => {
                let number = self.rng.u64(..300);
                self.overwrite(input, at, number);
            }
            8 => input.truncate(at),
            _ => {
                let other = self.one();
                let from = self.rng.usize(..=other.len());
                let until = (from + self.rng.usize(..=64)).min(other.len());
                insert(input, at, other.get(from..until).unwrap_or_default());
            }
        }
    }

    /// Writes a number as formats write them: in either order, of any length, in text, or seven bits a byte.
    fn overwrite(&mut self, input: &mut Vec<u8>, at: usize, number: u64) {
        let length = self.rng.choice([1, 2, 4, 8]).unwrap_or(1);
        let bytes = match self.rng.u32(..5) {
            0 => number.to_le_bytes().into_iter().take(length).collect(),
            1 => number.to_string().into_bytes(),
            2 => varint(number),
            _ => number.to_be_bytes().into_iter().skip(8 - length).collect::<Vec<u8>>(),
        };
        if self.rng.bool() {
            insert(input, at, &bytes);
            return;
        }
        for (place, byte) in input.iter_mut().skip(at).zip(bytes) {
            *place = byte;
        }
    }
}

/// A file with the input that is being tried: what ends the whole process, such as a stack that is full, leaves it there.
#[derive(Debug)]
struct Last(File);

impl Last {
    const NAME: &str = "last";

    fn create(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let path = folder.join(Self::NAME);
        Ok(Self(File::create(&path).with_context(|| format!("cannot create {}", path.display()))?))
    }

    /// Written over what was there: a file system that is told to empty a file first may wait for the disk each time.
    fn note(&mut self, input: &[u8]) -> Result<()> {
        self.0.rewind()?;
        self.0.write_all(input)?;
        Ok(self.0.set_len(input.len() as u64)?)
    }
}

fn flip(input: &mut [u8], at: usize, bits: u8) {
    if let Some(byte) = input.get_mut(at) {
        *byte ^= bits;
    }
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let tail = input.split_off(at.min(input.len()));
    input.extend_from_slice(bytes);
    input.extend(tail);
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push((number as u8) | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// What is kept in a folder, in the order of the names.
fn kept(folder: &Path) -> Result<Vec<Vec<u8>>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", folder.display())),
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    paths.retain(|path| path.file_name().is_some_and(|name| name != Last::NAME));
    paths.sort();
    let read = |path: PathBuf| fs::read(&path).with_context(|| format!("cannot read {}", path.display()));
    paths.into_iter().map(read).collect()
}

fn write(folder: &Path, name: &str, input: &[u8]) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let path = folder.join(name);
    fs::write(&path, input).with_context(|| format!("cannot write {}", path.display()))
}

fn name_of(kind: &str, input: &[u8]) -> String {
    let digest = blake3::hash(input).to_hex();
    format!("{kind}-{}", digest.get(..16).unwrap_or_default())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
