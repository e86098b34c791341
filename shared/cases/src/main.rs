//! `cases [FILE]`: runs a file of policy cases and says which fail.

use std::process::ExitCode;

use ah5_cases::{NoStack, Report};

fn main() -> ExitCode {
    let file = std::env::args().nth(1);
    let file = file.unwrap_or_else(|| DEFAULT_FILE.to_owned());
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("{file}: {error}");
            return ExitCode::from(64);
        }
    };
    let report = Report::of(&text, &mut NoStack);
    for (name, mismatch) in &report.failed {
        println!("FAILED {name}: {mismatch}");
    }
    println!("{} passed, {} failed", report.passed, report.failed.len());
    if report.failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

const DEFAULT_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../policy/tests/cases.jsonl");
