//! The commands of the docs, run as they are written there.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::{control_plane, of};

use ah5_testkit::client::{Call, Http};

#[tokio::test]
async fn five_commands_lead_from_sign_up_to_an_agents_token() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/agents.md");
    let page = std::fs::read_to_string(file).unwrap();
    let script = page.split("```sh\n").nth(1).unwrap();
    let script = script.split("```").next().unwrap().to_owned();
    let stack = control_plane()
        .data_planes(1)
        .front_door(true)
        .start()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &script])
        .current_dir(folder.path())
        .env("ORIGIN", stack.origin());
    let output = tokio::task::spawn_blocking(move || shell.output().unwrap());
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["expires_in"], 7200);
    let http = Http::new(stack.origin().to_owned());
    let token = answer["access_token"].as_str().unwrap();
    let call = Call::get("/v1/capabilities/me").bearer(token);
    let (status, me) = of(&http.send(call).await.unwrap());
    assert_eq!(
        (status, &me["activeConnections"]),
        (200, &serde_json::json!([]))
    );
}
