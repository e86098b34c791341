//! The control plane without its database, and clients without a word.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ah5_harness::stack::home::DATABASE;
use ah5_testkit::client::{Call, Http, Owner};
use serde_json::Value;
use support::{World, control_plane};

const KEY_RING: &str = "secrets/key-ring.json";

/// A second control plane beside that of the stack.
struct Second {
    process: Child,
    admin: Http,
    http: Http,
    _folder: tempfile::TempDir,
}

impl Drop for Second {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// === impl Second ===

impl Second {
    async fn is_ready(&self) -> bool {
        let answer = self.admin.send(Call::get("/readyz")).await.unwrap();
        answer.json()["ready"] == true && answer.status == 200
    }
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    for _ in 0..3000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

async fn second(key_ring: &str, url: &str, origin: &str) -> Second {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("addresses");
    let mut command = Command::new(env!("CARGO_BIN_EXE_control-plane"));
    command.arg("serve").env_clear().stderr(Stdio::null());
    command
        .env("KEY_RING_FILE", key_ring)
        .env("DATABASE_URL", url);
    command
        .env("PUBLIC_ORIGIN", origin)
        .env("LISTEN_ADDR", "127.0.0.1:0");
    let process = command.env("ADDRESS_FILE", &file).spawn().unwrap();
    let read = || serde_json::from_slice::<Value>(&std::fs::read(&file).ok()?).ok();
    until("it listens", async || read().is_some()).await;
    let addresses = read().unwrap();
    let address = |name: &str| addresses[name].as_str().unwrap().to_owned();
    Second {
        process,
        admin: Http::new(format!("http://{}", address("admin"))),
        http: Http::new(format!("http://{}", address("listen"))),
        _folder: folder,
    }
}

#[tokio::test]
async fn started_without_postgres_it_says_so_and_works_once_it_is_there() {
    let world = World::at(Arc::new(control_plane().start().unwrap())).await;
    let World { owner, stack, .. } = world;
    let Owner {
        email,
        password,
        token,
        ..
    } = owner;
    let mut stack = Arc::into_inner(stack).unwrap();
    let url = stack.cluster().unwrap().url(DATABASE);
    let key_ring = stack.folder().join(KEY_RING);
    stack.stop_postgres().unwrap();
    let second = second(key_ring.to_str().unwrap(), &url, stack.origin()).await;

    assert!(!second.is_ready().await);
    let agents = || Call::get("/v1/agents").bearer(&token);
    for call in [
        agents(),
        Call::get("/v1/agents"),
        Call::get("/.well-known/jwks.json"),
        Call::get("/x"),
    ] {
        let answer = second.http.send(call).await.unwrap();
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(answer.header("retry-after").is_some());
    }
    let health = second.http.send(Call::get("/health")).await.unwrap();
    assert_eq!(health.status, 200);

    stack.start_postgres().unwrap();
    until("it is ready", async || second.is_ready().await).await;
    let answer = second.http.send(agents()).await.unwrap();
    answer.expect(200).unwrap();
    Owner::sign_in(&second.http, stack.origin(), &email, &password)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_database_that_does_not_fit_ends_the_start() {
    let world = World::at(Arc::new(control_plane().start().unwrap())).await;
    let cluster = world.stack.cluster().unwrap();
    cluster.create_database("empty").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_control-plane"));
    command.arg("serve").env_clear();
    command.env("KEY_RING_FILE", world.stack.folder().join(KEY_RING));
    command
        .env("DATABASE_URL", cluster.url("empty"))
        .env("LISTEN_ADDR", "127.0.0.1:0");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = tokio::time::timeout(Duration::from_secs(60), output)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("run `control-plane migrate`"), "{said}");
}
