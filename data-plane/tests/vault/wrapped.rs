//! Planes whose key ring a key management service has wrapped.

use ah5_harness::stack::Stack;
use ah5_security::ring::KeyRing;
use ah5_testkit::transit::Transit;

use crate::support::{self, World};

#[tokio::test(flavor = "multi_thread")]
async fn the_planes_open_a_wrapped_ring_and_a_new_key_of_it_is_wrapped_too() {
    let vault = Transit::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring.json");
    KeyRing::create(&path).unwrap();
    let with = |settings: &[(String, String)]| {
        let builder = support::two_planes().env("KEY_RING_FILE", path.to_str().unwrap());
        settings
            .iter()
            .fold(builder, |builder, (name, value)| builder.env(name, value))
    };
    // Plain keys are none of the service's.
    let why = failed(with(&vault.settings()).start());
    assert!(why.contains("none that it wrapped"), "{why}");

    let settings = vault.settings();
    let mut wrap = std::process::Command::new(control_plane());
    wrap.arg("keyring").arg(&path).arg("--wrap");
    let output = wrap.env_clear().envs(settings.clone()).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let stack = with(&settings).start().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches("vault:v1:").count(), 1, "{text}");

    let world = World::closed(stack.into()).await;
    world.allow(&["GET"], "/v2/**").await;
    assert_eq!(world.get("/known").await.status, 200);
    let before = vault.calls();
    for _ in 0..20 {
        assert_eq!(world.get("/known").await.status, 200);
    }
    assert_eq!(vault.calls(), before, "no call asks the service");
    let output = world.stack.operate(&["vault", "add-ring-key"], "").unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches("vault:v1:").count(), 2, "{text}");
    let held = "select count(*) from ah5.t_ring_holders where cardinality(keys) = 2";
    world
        .until(|| async { world.number(held).await == 3 })
        .await;
}

fn failed(started: anyhow::Result<Stack>) -> String {
    match started {
        Ok(_) => panic!("it has started"),
        Err(error) => format!("{error:#}"),
    }
}

/// Beside this test, as the stack finds it.
fn control_plane() -> std::path::PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("control-plane")
}
