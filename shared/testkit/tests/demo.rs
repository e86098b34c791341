//! The demo against a real stack, and where there is nothing to show: it then says what to do, and
//! does not claim success.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::Command;

use ah5_harness::stack::{Addresses, Stack};
use ah5_testkit::simulator::Remote;
use serde_json::{Value, json};

/// Its exit code, and all that it said.
fn demo(run_file: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_demo"))
        .arg(run_file)
        .env_clear()
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

fn run_file(stack: &Stack) -> Value {
    let part = |part: &Addresses| json!({"listen": part.listen, "admin": part.admin});
    let simulator = stack.simulator().unwrap();
    json!({
        "origin": stack.origin(),
        "dataPlanes": stack.data_planes().map(part).collect::<Vec<_>>(),
        "simulator": {"listen": simulator.listen, "caFile": simulator.ca_file},
    })
}

/// What the provider was sent; read by a stranger to the demo.
fn secret(stack: &Stack) -> String {
    let simulator = stack.simulator().unwrap();
    let base = format!("https://localhost:{}", simulator.listen.port());
    let remote = Remote::new(&base, &simulator.ca_file).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let journal = runtime.block_on(remote.journal(0)).unwrap();
    let sent = journal[0].header("authorization").unwrap();
    sent.strip_prefix("Bearer ").unwrap().to_owned()
}

/// The files below this folder that hold this text.
fn holders(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.extend(holders(&path, text));
        } else if kind.is_file() {
            let bytes = std::fs::read(&path).unwrap_or_default();
            if memchr::memmem::find(&bytes, text.as_bytes()).is_some() {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn against_a_real_stack_every_step_succeeds_and_the_secret_stays_where_it_belongs() {
    let stack = Stack::builder().data_planes(2).start().unwrap();
    let file = stack.folder().join("run.json");
    std::fs::write(&file, run_file(&stack).to_string()).unwrap();
    let (code, said) = demo(&file);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Every step did what it should."), "{said}");

    let secret = secret(&stack);
    assert!(secret.len() > 20 && !said.contains(&secret));
    assert!(holders(stack.folder(), stack.origin()).contains(&file));
    assert_eq!(holders(stack.folder(), &secret), Vec::<PathBuf>::new());
    assert!(!stack.dump().unwrap().contains(&secret));
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
