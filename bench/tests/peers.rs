//! The bench itself, run for a moment against the real nginx and the bare proxy.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

#[test]
fn both_peers_are_measured_in_every_table_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let output = bench(folder.path(), "0.2").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let report = String::from_utf8(output.stdout).unwrap();
    for name in ["nginx", "bare hyper"] {
        let rows = report.lines();
        let rows: Vec<&str> = rows
            .filter(|row| row.starts_with(&format!("| {name} |")))
            .collect();
        assert_eq!(rows.len(), 4, "{report}");
        let measured = |row: &&str| !row.contains("NaN") && !row.contains("| 0.0 [");
        assert!(rows.iter().all(measured), "{report}");
    }
    assert_nothing_left(folder.path());
}

#[test]
fn an_interrupted_run_stops_what_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = bench(folder.path(), "60");
    let mut running = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(running.stderr.take().unwrap()).lines();
    said.find(|line| line.as_ref().unwrap().starts_with("measuring"))
        .unwrap()
        .unwrap();
    assert!(!processes_in(folder.path()).is_empty());
    let pid = Pid::from_raw(running.id().cast_signed()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(130));
    assert_nothing_left(folder.path());
}

fn bench(folder: &Path, seconds: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ah5-bench"));
    command.args(["quick", "--peers-only", "--rounds", "1", "--rate", "500"]);
    command.args(["--connections", "4", "--seconds", seconds]);
    // Where it keeps its files, and how its children are told from others'.
    command.env("TMPDIR", folder).stdout(Stdio::piped());
    command
}

fn assert_nothing_left(folder: &Path) {
    let left: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    let processes = processes_in(folder);
    assert!(processes.is_empty(), "{processes:?}");
}

/// Command lines that name the folder.
fn processes_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines
        .filter(|line| line.contains(folder.to_str().unwrap()))
        .collect()
}
