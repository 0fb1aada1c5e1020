//! The seeds are what they are named for: a parser that accepts nothing is not fuzzed, however long it runs.

use std::fs;
use std::path::PathBuf;

use fuzz::PARSERS;

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let entries = fs::read_dir(&directory).unwrap_or_else(|fault| panic!("{directory:?}: {fault}"));
    let named = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().expect("a name");
        (name, fs::read(entry.path()).expect("a seed"))
    };
    entries.map(|entry| named(entry.expect("an entry"))).collect()
}

#[test]
fn good_seeds_are_accepted_and_bad_ones_are_not() {
    for (target, parser) in PARSERS {
        let seeds = seeds(target);
        assert!(
            seeds.iter().any(|(name, _)| name.starts_with("good")),
            "{target} has no good seed"
        );
        for (name, bytes) in seeds {
            let accepted = parser(&bytes);
            assert!(accepted || !name.starts_with("good"), "{target}/{name} is refused");
            assert!(!accepted || !name.starts_with("bad"), "{target}/{name} is accepted");
        }
    }
}

#[test]
fn every_parser_has_a_target() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
    for (target, _) in PARSERS {
        assert!(directory.join(format!("{target}.rs")).exists(), "{target}");
    }
    assert_eq!(fs::read_dir(directory).expect("the targets").count(), PARSERS.len());
}

/// What a fuzzer does first: a bit changed, a byte dropped, an end cut off.
#[test]
fn seeds_that_are_changed_a_little_never_panic() {
    for (target, parser) in PARSERS {
        for (_, seed) in seeds(target) {
            let step = seed.len().div_ceil(64).max(1);
            for place in (0..seed.len()).step_by(step) {
                let mut flipped = seed.clone();
                flipped[place] ^= 1 << (place % 8);
                parser(&flipped);
                parser(&[&seed[..place], &seed[place + 1..]].concat());
                parser(&seed[..place]);
            }
        }
    }
}
