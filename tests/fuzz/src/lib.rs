//! Every parser of what strangers send, on damaged input: files of a corpus, cut, flipped, doubled and spliced as a seed says.
//! Needs: `corpus/PARSER` (ours, small) and the fixtures of the sources.
//! Promises: a run in `make test` replays the corpus and 2,000 damaged inputs a parser, always the same; `make fuzz MINUTES=10` goes
//! on with new seeds, PARSER=feed for one parser. No panic, the same answer twice, at most `SECS_MAX` seconds an input.
//! Leaves out: which lines were reached.
//!
//! An input that fails is written to `corpus/PARSER/`, and its seed is printed: it stays there, and is replayed for ever.
#![cfg(test)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests panic, and say what they did"
)]

mod parsers;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hostread_connectors_kit::conformance::damage;

use crate::parsers::{PARSERS, Parser};

/// Far above what any input here takes in a build without optimisation.
const SECS_MAX: u64 = 5;
/// Damaged inputs a parser in `make test`.
const INPUTS: u64 = 2_000;
/// Longer seeds grow no further.
const INPUT_BYTES_MAX: usize = 256 << 10;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files of a folder, by name.
fn files(dir: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let files = paths.iter().filter(|path| path.is_file());
    files.map(|path| std::fs::read(path).unwrap()).collect()
}

/// What a parser is fed with at first.
fn seeds(parser: &Parser) -> Vec<Vec<u8>> {
    let mut seeds = files(&root().join("tests/fuzz/corpus").join(parser.name));
    for fixture in parser.fixtures {
        let path = root().join("connectors/sources/src").join(fixture);
        let whole =
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // Also each line alone: a short input is damaged all over.
        let lines = whole.split(|byte| *byte == b'\n').map(<[u8]>::to_vec);
        seeds.extend(lines.filter(|line| !line.is_empty()));
        seeds.push(whole);
    }
    seeds.extend((parser.made)());
    assert!(!seeds.is_empty(), "{} has no seeds", parser.name);
    seeds
}

/// One input of a seed: a part of the corpus, or two parts as one, damaged up to four times.
fn input(seeds: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mixed = |salt: u64| {
        let mut state = (seed ^ salt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        state ^= state >> 29;
        state.wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 33
    };
    let pick = |salt| &seeds[(mixed(salt) % seeds.len() as u64) as usize];
    let mut bytes = pick(1).clone();
    if mixed(2) % 4 == 0 {
        let (other, at) = (pick(3), mixed(4) as usize % (bytes.len() + 1));
        let from = mixed(5) as usize % (other.len() + 1);
        bytes.truncate(at);
        bytes.extend_from_slice(&other[from..]);
    }
    for round in 0..=mixed(6) % 4 {
        bytes = damage(&bytes, seed.wrapping_mul(4).wrapping_add(round));
        bytes.truncate(INPUT_BYTES_MAX);
    }
    bytes
}

/// Parses an input twice, and keeps it when that goes wrong.
fn check(parser: &Parser, bytes: &[u8], what: &str) {
    let began = Instant::now();
    let answers = catch_unwind(AssertUnwindSafe(|| {
        ((parser.parse)(bytes), (parser.parse)(bytes))
    }));
    let took = began.elapsed();
    let wrong = match answers {
        Err(_) => "panicked",
        Ok((one, two)) if one != two => "answered twice in two ways",
        Ok(_) if took > Duration::from_secs(2 * SECS_MAX) => "took too long",
        Ok(_) => return,
    };
    let dir = root().join("tests/fuzz/corpus").join(parser.name);
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join(format!("found-{:08x}", crc(bytes)));
    std::fs::write(&path, bytes).unwrap();
    panic!(
        "{} {wrong} on {what}; the input is kept as {}",
        parser.name,
        path.display()
    );
}

/// Names a kept input.
fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811C_9DC5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[test]
fn the_corpus_and_what_is_like_it() {
    for parser in PARSERS {
        let seeds = seeds(parser);
        for (place, seed) in seeds.iter().enumerate() {
            check(parser, seed, &format!("file {place} of its corpus"));
        }
        for seed in 0..INPUTS {
            check(parser, &input(&seeds, seed), &format!("seed {seed}"));
        }
    }
}

/// By hand: `make fuzz`.
#[test]
fn for_minutes() {
    let Some(minutes) = variable("HOSTREAD_FUZZ_MINUTES") else {
        return;
    };
    let time = Duration::from_secs_f64(minutes.parse::<f64>().unwrap() * 60.0);
    let wanted = variable("HOSTREAD_FUZZ_PARSER");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let first = variable("HOSTREAD_FUZZ_SEED")
        .map_or(now.as_nanos() as u64 >> 8, |seed| seed.parse().unwrap());
    let wanted = |parser: &&Parser| wanted.as_ref().is_none_or(|wanted| wanted == parser.name);
    for parser in PARSERS.iter().filter(wanted) {
        let (seeds, began, mut done) = (seeds(parser), Instant::now(), 0);
        let mut slowest = Duration::ZERO;
        while began.elapsed() < time {
            let seed = first.wrapping_add(done);
            let bytes = input(&seeds, seed);
            let from = Instant::now();
            check(parser, &bytes, &format!("seed {seed}"));
            slowest = slowest.max(from.elapsed() / 2);
            done += 1;
        }
        println!(
            "{}: {done} inputs from seed {first}, the slowest {slowest:.1?}",
            parser.name
        );
    }
}
