//! What must hold for any request, asked of the seeds of the fuzzer, of what it
//! has found, and of their mutations, the same in every run.
//!
//! `SEED` sets another start for the mutations, `CASES` another number of them.

#[cfg(feature = "frameworks")]
#[path = "../fuzz/by_hyper.rs"]
mod by_hyper;
#[path = "../fuzz/invariants.rs"]
mod invariants;
#[path = "../fuzz/machine.rs"]
mod machine;

use proptest::collection::vec;
use proptest::prelude::{any, prop_oneof, Just, Strategy};
use proptest::sample::{select, Index};
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestRunner};
use std::fs;
use std::ops::Range;
use std::panic::catch_unwind;
use std::path::PathBuf;

/// The requests that the fuzzer starts from, by their names.
fn seeds() -> Vec<(String, Vec<u8>)> {
    let folder = book::root().join("tests/fuzz/seeds");
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let name = |file: &PathBuf| file.file_name().unwrap().to_string_lossy().into_owned();
    let seeds = files
        .iter()
        .map(|file| (name(file), fs::read(file).unwrap()));
    seeds.collect()
}

#[test]
fn the_seeds_hold() {
    let seeds = seeds();
    assert!(seeds.len() >= 40, "{} seeds", seeds.len());
    for (name, bytes) in seeds {
        let held = catch_unwind(|| {
            invariants::check(&bytes);
            machine::check(&bytes);
            #[cfg(feature = "frameworks")]
            by_hyper::check(&bytes);
        });
        assert!(held.is_ok(), "tests/fuzz/seeds/{name} does not hold");
    }
}

/// What a request may suffer. A place is a fraction of its length, a range lies
/// between two.
#[derive(Clone, Debug)]
enum Mutation {
    Insert(Index, Vec<u8>),
    Replace(Index, u8),
    Remove(Index, Index),
    Repeat(Index, Index, usize),
    Move(Index, Index, Index),
    Cut(Index),
    /// The rest of another seed from there.
    Graft(Index, Vec<u8>, Index),
}

/// Words that mean something in HTTP, whole and broken.
const WORDS: [&str; 38] = [
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    "\0",
    " ",
    "\t",
    ":",
    ";",
    ",",
    "0",
    "-",
    "+5",
    "ffffffffffffffff",
    "18446744073709551616",
    "HTTP/1.0",
    "HTTP/1.1",
    "GET / HTTP/1.1\r\n",
    "HEAD",
    "CONNECT",
    "*",
    "http://x",
    "https://x",
    "[::1]",
    "[",
    "]",
    "%",
    "@",
    "\"",
    "\\",
    "Host: x\r\n",
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Expect: 100-continue\r\n",
    "Expect: a=\"b, c\", 100-continue\r\n",
    "Content-Type: text/plain\r\n",
    "0\r\n\r\n",
    "5\r\n12345\r\n",
];

fn mutation(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Mutation> {
    let place = any::<Index>;
    let word = select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec());
    let word = prop_oneof![4 => word, 1 => vec(any::<u8>(), 1..20)];
    // Long enough for each limit; a longer piece of a request is repeated less.
    let times = prop_oneof![8 => 1..5_usize, 2 => Just(120), 1 => Just(9_000), 1 => Just(70_000)];
    prop_oneof![
        4 => (place(), word).prop_map(|(at, word)| Mutation::Insert(at, word)),
        4 => (place(), any::<u8>()).prop_map(|(at, byte)| Mutation::Replace(at, byte)),
        2 => (place(), place()).prop_map(|(from, to)| Mutation::Remove(from, to)),
        2 => (place(), place(), times).prop_map(|(from, to, times)| Mutation::Repeat(from, to, times)),
        1 => (place(), place(), place()).prop_map(|(from, to, at)| Mutation::Move(from, to, at)),
        1 => place().prop_map(Mutation::Cut),
        1 => (place(), select(seeds), place()).prop_map(|(at, seed, from)| Mutation::Graft(at, seed, from)),
    ]
}

/// Puts these bytes there in whole copies; `splice` takes a call for each.
fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    let behind = bytes.split_off(at);
    bytes.extend_from_slice(piece);
    bytes.extend_from_slice(&behind);
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        let place = |at: &Index| at.index(length + 1);
        let range = |from: &Index, to: &Index| -> Range<usize> {
            let (from, to) = (place(from), place(to));
            // Short ranges hit single words.
            from.min(to)..from.max(to).min(from.min(to) + 40)
        };
        match self {
            Mutation::Insert(at, word) => insert(bytes, place(at), word),
            Mutation::Replace(at, byte) if length > 0 => bytes[at.index(length)] = *byte,
            Mutation::Replace(..) => {}
            Mutation::Remove(from, to) => drop(bytes.drain(range(from, to))),
            Mutation::Repeat(from, to, times) => {
                let range = range(from, to);
                let most = 100_000 / range.len().max(1);
                let piece = bytes[range.clone()].repeat(*times.min(&most));
                insert(bytes, range.start, &piece);
            }
            Mutation::Move(from, to, at) => {
                let piece: Vec<u8> = bytes.drain(range(from, to)).collect();
                let at = at.index(bytes.len() + 1);
                insert(bytes, at, &piece);
            }
            Mutation::Cut(at) => bytes.truncate(place(at)),
            Mutation::Graft(at, seed, from) => {
                bytes.truncate(place(at));
                bytes.extend_from_slice(&seed[from.index(seed.len() + 1)..]);
            }
        }
    }
}

fn setting(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| {
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number"))
    })
}

#[test]
fn mutated_requests_hold() {
    run(20_000, &request(), |Bytes(request)| {
        invariants::check(&request);
    });
}

/// The same, for all of a connection, cut at some places.
#[test]
fn mutated_connections_hold() {
    let connection = (request(), vec(any::<Index>(), 0..6));
    run(300, &connection, |(Bytes(request), cuts)| {
        machine::check(&request);
        #[cfg(feature = "frameworks")]
        by_hyper::check(&request);
        let places = cuts.iter().map(|cut| cut.index(request.len() + 1));
        machine::check_cut(&request, places.collect());
    });
}

/// Checks as many cases of `strategy` as the environment says, or so many.
fn run<S: Strategy>(cases: u64, strategy: &S, check: impl Fn(S::Value)) {
    let seed = setting("SEED", 9112); // of the RFC's number
    let cases = setting("CASES", cases) as u32;
    println!("to run these again: SEED={seed} CASES={cases}");
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        // ChaCha takes longer than what is checked.
        rng_algorithm: RngAlgorithm::XorShift,
        failure_persistence: None,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(strategy, |value| {
        check(value);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

/// A seed, with some changes.
fn request() -> impl Strategy<Value = Bytes> {
    let seeds: Vec<Vec<u8>> = seeds().into_iter().map(|(_, bytes)| bytes).collect();
    (select(seeds.clone()), vec(mutation(seeds), 0..6)).prop_map(|(seed, mutations)| {
        let mut bytes = seed;
        mutations
            .iter()
            .for_each(|mutation| mutation.apply(&mut bytes));
        Bytes(bytes)
    })
}

/// Bytes that are printed as text.
#[derive(Clone)]
struct Bytes(Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}
