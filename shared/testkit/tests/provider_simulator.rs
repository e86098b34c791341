//! The binary as `make run` starts it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use ah5_testkit::client::{Call, Http};
use ah5_testkit::simulator::Remote;
use serde_json::Value;

fn start(vars: &[(&str, &str)]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_provider-simulator"))
        .env_clear()
        .envs(vars.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn wait_for(path: &Path, child: &mut Child) -> String {
    for _ in 0..3000 {
        if let Ok(text) = std::fs::read_to_string(path) {
            return text;
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the simulator did not become ready");
}

fn terminate(child: Child) -> Output {
    let pid = child.id().to_string();
    let told = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(told.success());
    child.wait_with_output().unwrap()
}

#[tokio::test]
async fn it_says_where_it_is_serves_and_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let (addresses, ca) = (
        folder.path().join("addresses.json"),
        folder.path().join("ca.pem"),
    );
    let mut child = start(&[
        ("LISTEN_ADDR", "127.0.0.1:0"),
        ("ADDRESS_FILE", addresses.to_str().unwrap()),
        ("CA_FILE", ca.to_str().unwrap()),
    ]);
    let told: Value = serde_json::from_str(&wait_for(&addresses, &mut child)).unwrap();
    assert_eq!(
        (&told["pid"], &told["admin"]),
        (&child.id().into(), &Value::Null)
    );
    let address: std::net::SocketAddr = told["listen"].as_str().unwrap().parse().unwrap();
    let pem = std::fs::read_to_string(&ca).unwrap();
    assert!(pem.contains("CERTIFICATE") && !pem.contains("PRIVATE"));

    let base = format!("https://localhost:{}", address.port());
    let http = Http::trusting(&base, &pem).unwrap();
    http.send(Call::get("/v2/echo"))
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    let journal = Remote::new(&base, &ca).unwrap().journal(0).await.unwrap();
    assert_eq!((journal.len(), journal[0].path()), (1, "/v2/echo"));

    let output = terminate(child);
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains(&base) && said.contains("stopped"), "{said}");
}

#[test]
fn faults_of_its_configuration_end_it_with_64() {
    let output = start(&[("LISTEN_ADDR", "nonsense")])
        .wait_with_output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("LISTEN_ADDR")
    );
}
