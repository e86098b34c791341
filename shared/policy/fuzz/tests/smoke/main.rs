//! Every target on its seeds and on fixed mutations of them, in every `cargo test`. What fuzzing
//! once found is a seed, so it stays found.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read its seeds fails"
)]

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use ah5_policy_fuzz::{TARGETS, Target};

mod mutate;

use mutate::Mutator;

#[test]
fn body_holds() {
    smoke("body", 2000);
}

#[test]
fn compile_holds() {
    smoke("compile", 1000);
}

#[test]
fn glob_holds() {
    smoke("glob", 5000);
}

#[test]
fn json_holds() {
    smoke("json", 2000);
}

#[test]
fn links_holds() {
    smoke("links", 1000);
}

#[test]
fn ndjson_holds() {
    smoke("ndjson", 2000);
}

#[test]
fn pattern_holds() {
    smoke("pattern", 2000);
}

#[test]
fn sse_holds() {
    smoke("sse", 2000);
}

#[test]
fn text_holds() {
    smoke("text", 2000);
}

#[test]
fn url_holds() {
    smoke("url", 5000);
}

#[test]
fn every_target_has_its_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |folder: &str| {
        let entries = fs::read_dir(root.join(folder)).unwrap();
        let stem = |entry: fs::DirEntry| entry.path().file_stem().unwrap().to_owned();
        let mut names: Vec<_> = entries.map(|entry| stem(entry.unwrap())).collect();
        names.sort();
        names
    };
    let expected = TARGETS.map(|(name, _)| name);
    assert_eq!(names("fuzz_targets"), expected);
    assert_eq!(names("seeds"), expected);
}

fn smoke(name: &str, mutations: usize) {
    let (_, run): Target = TARGETS
        .into_iter()
        .find(|(known, _)| *known == name)
        .unwrap();
    let seeds = seeds(name);
    for (file, seed) in &seeds {
        hold(run, seed, file);
    }
    let mut mutator = Mutator::new(seeds.into_iter().map(|(_, seed)| seed).collect());
    for _ in 0..mutations {
        let input = mutator.next_input();
        hold(run, &input, "a mutation");
    }
}

fn hold(run: fn(&[u8]), input: &[u8], what: &str) {
    if catch_unwind(|| run(input)).is_err() {
        panic!("{what} does not hold: b\"{}\"", input.escape_ascii());
    }
}

fn seeds(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("seeds")
        .join(name);
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.collect();
    files.sort();
    assert!(!files.is_empty());
    let read = |file| (format!("{file:?}"), fs::read(&file).unwrap());
    files.into_iter().map(read).collect()
}
