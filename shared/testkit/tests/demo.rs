//! The demo where there is nothing to show: it says what to do, and does not claim success.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::Command;

fn demo(run_file: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_demo"))
        .arg(run_file)
        .env_clear()
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said)
}

#[test]
fn without_a_stack_it_says_how_to_start_one() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = demo(&folder.path().join("run.json"));
    assert_eq!(code, Some(1));
    assert!(said.contains("Start the stack with `make run`"), "{said}");
}

#[test]
fn without_a_simulator_it_says_how_to_get_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.json");
    let run = r#"{"origin": "http://localhost:1", "dataPlanes": [], "simulator": null}"#;
    std::fs::write(&file, run).unwrap();
    let (code, said) = demo(&file);
    assert_eq!(code, Some(1));
    assert!(said.contains("without SIMULATOR=off"), "{said}");
}
