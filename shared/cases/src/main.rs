//! `cases [FILE]`: runs a file of policy cases and says which fail.

use std::process::ExitCode;

use ah5_cases::{Player, Report, Stack as _};

fn main() -> ExitCode {
    let file = std::env::args().nth(1);
    let file = file.unwrap_or_else(|| DEFAULT_FILE.to_owned());
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("{file}: {error}");
            return ExitCode::from(EX_USAGE);
        }
    };
    match run(&text) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cases: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(text: &str) -> anyhow::Result<ExitCode> {
    let mut player = Player::of(text)?;
    player.stop_on_signals()?;
    let report = Report::of(text, &mut player);
    if player.interrupted() {
        player.stop()?;
        eprintln!("cases: interrupted");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    if let Some(error) = player.start_failure() {
        eprintln!("cases: the product did not start: {error:#}");
    }
    player.stop()?;
    show(&report);
    Ok(match report.failed.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn show(report: &Report) {
    for (name, mismatch) in report.faults() {
        println!("FAILED {name}: {mismatch}");
    }
    let on_purpose = report.on_purpose();
    if !on_purpose.is_empty() {
        println!(
            "{} of them are answered otherwise on purpose:",
            on_purpose.len()
        );
    }
    for (name, why) in on_purpose {
        println!("  {name}: {why}");
    }
    println!("{} passed, {} failed", report.passed, report.failed.len());
}

const DEFAULT_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../policy/tests/cases.jsonl");
/// A file that can't be read (`EX_USAGE` of sysexits.h).
const EX_USAGE: u8 = 64;
/// As shells have it for Ctrl-C.
const INTERRUPTED: u8 = 130;
