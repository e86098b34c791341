//! Passkeys in a real browser: headless Chromium with a virtual authenticator, driven by
//! `browser/passkeys.mjs`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::path::Path;
use std::process::Command;

use support::World;

#[tokio::test]
async fn a_browser_registers_a_passkey_and_signs_in_by_it() {
    let chromium = chromium().expect("run .ci/prerequisites test first");
    // Where `.ci/test-servers` has put them, found from where the test itself is.
    let ourselves = std::env::current_exe().unwrap();
    let target = ourselves.ancestors().nth(3).unwrap();
    let packages = target.join("test-servers/browser/node_modules");
    assert!(packages.exists(), "run .ci/test-servers first");
    let world = World::open().await;
    let mut script = Command::new("node");
    script
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/passkeys.mjs"))
        .env("BROWSER", chromium)
        .env("PACKAGES", packages)
        .env("ORIGIN", world.stack.origin())
        .env(
            "CONTROL_PLANE",
            world.stack.control_plane().listen.to_string(),
        )
        .env("EMAIL", &world.owner.email)
        .env("PASSWORD", &world.owner.password);
    let output = tokio::task::spawn_blocking(move || script.output().unwrap());
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{}", world.log());
}

fn chromium() -> Option<&'static Path> {
    let known = [
        "/usr/bin/chromium-headless-shell",
        "/usr/bin/chromium",
        "/usr/bin/google-chrome",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    ];
    known.into_iter().map(Path::new).find(|path| path.exists())
}
