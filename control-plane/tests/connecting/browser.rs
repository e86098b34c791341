//! A real browser goes to a real provider and comes back: driven by `browser/consents.mjs`.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::json;

use crate::fixture::{Fixture, Pair};

#[tokio::test]
async fn a_browser_consents_and_answers_for_what_waits() {
    let known = [
        "/usr/bin/chromium-headless-shell",
        "/usr/bin/chromium",
        "/usr/bin/google-chrome",
    ];
    let mut known = known.into_iter().map(Path::new);
    let chromium = known.find(|path| path.exists());
    let chromium = chromium.expect("run .ci/prerequisites test first");
    let ourselves = std::env::current_exe().unwrap();
    let target = ourselves.ancestors().nth(3).unwrap();
    let packages = target.join("test-servers/browser/node_modules");
    assert!(packages.exists(), "run .ci/test-servers first");
    let pair = Pair::start(&json!({"pages": true}), |builder| builder);
    let fixture = Fixture::of(Arc::new(pair)).await;
    let urls = [
        fixture.start(&["openid"]).await,
        fixture.start(&["openid"]).await,
    ];
    let urls = urls.map(|begun| begun["authorizationUrl"].as_str().unwrap().to_owned());
    let issuer = &fixture.pair.provider.issuer;
    let start = format!(
        "/v1/oauth/custom/start?service=custom-oauth&oauthAppId={}&baseUrl={issuer}&scopes=openid",
        fixture.app
    );
    let mut script = Command::new("node");
    script
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/consents.mjs"))
        .env("BROWSER", chromium)
        .env("PACKAGES", packages)
        .env("ORIGIN", crate::fixture::ORIGIN)
        .env(
            "CONTROL_PLANE",
            fixture.world.stack.control_plane().listen.to_string(),
        )
        .env("COOKIE", &fixture.world.owner.cookie)
        .env("URLS", json!(urls).to_string())
        .env("START", start);
    let output = tokio::task::spawn_blocking(move || script.output().unwrap());
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{}", fixture.world.log());
    assert_eq!(fixture.connections().await, 3);
}
