//! Requests made up from our own OpenAPI document, good and bad, thousands of them: none may end in
//! a 5xx, each answer must be what the document says, and no route may be open that is said not to
//! be. `make schemathesis` makes up more of them than a run of the tests.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use support::{World, control_plane};

#[tokio::test]
async fn no_request_that_the_document_allows_or_forbids_breaks_a_route() {
    let world = World::at(Arc::new(control_plane().start().unwrap())).await;
    let bearer = |token: &str| format!("Authorization: Bearer {token}");
    let cookie = format!("Cookie: {}", world.owner.cookie);
    let agent = world.agent().await;
    world.connect().await;
    let signed_in = [bearer(&world.owner.token)];
    let browser = [cookie, format!("Origin: {}", world.stack.origin())];
    let runs: [(&str, &[String], [&str; 2]); 4] = [
        ("signed in", &signed_in, [NOTHING_ELSE, NO_STREAM]),
        (
            "an agent",
            &[bearer(&agent.token)],
            [OF_AGENTS, "--exclude-path-regex=^/api/"],
        ),
        (
            "a browser",
            &browser,
            [OF_BROWSERS, "--exclude-path-regex=/(sign-out|revoke-)"],
        ),
        // The session does not outlive these.
        (
            "a browser at its end",
            &browser,
            [ENDINGS, "--exclude-path-regex=^/v1/"],
        ),
    ];
    let notes = tempfile::tempdir().unwrap();
    for (who, headers, paths) in runs {
        let mut run = Command::new("python3");
        // It leaves notes of what it found where it is.
        run.current_dir(notes.path())
            .args(["-m", "schemathesis.cli", "run"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json"))
            .args(["--url", world.http.base(), "--checks", CHECKS])
            .args(paths)
            .args([
                "--max-examples",
                &examples(),
                "--phases",
                "examples,coverage,fuzzing",
            ])
            .args([
                "--seed",
                "1",
                "--suppress-health-check",
                "all",
                "--no-color",
            ])
            .args([
                "--warnings",
                "off",
                "--workers",
                "2",
                "--request-timeout",
                "30",
            ])
            .args(["--generation-database", "none", "--continue-on-failure"])
            .env("PYTHONPATH", installed());
        for header in headers {
            run.args(["--header", header]);
        }
        let output = tokio::task::spawn_blocking(move || run.output().unwrap());
        let Output {
            status,
            stdout,
            stderr,
        } = output.await.unwrap();
        let (said, complained) = (
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr),
        );
        println!("== {who}\n{said}");
        assert!(status.success(), "{complained}");
    }
    assert!(!world.log().contains("panicked"));
}

/// A stream has no end that could be waited for; `notifications` tests it.
const NO_STREAM: &str = "--exclude-path-regex=^/api/auth/|/stream$";
const ENDINGS: &str = "--include-path-regex=^/api/auth/(sign-out|revoke-)";
const NOTHING_ELSE: &str = "--include-path-regex=^/";
const OF_AGENTS: &str =
    "--include-path-regex=^/v1/(agent-permission|approvals|capabilities|connections)";
const OF_BROWSERS: &str = "--include-path-regex=^/api/auth/";
const CHECKS: &str =
    "not_a_server_error,content_type_conformance,response_schema_conformance,ignored_auth";

/// How many requests are made up for each operation, besides those that its schema suggests.
#[allow(clippy::disallowed_methods, reason = "a setting of this test")]
fn examples() -> String {
    std::env::var("EXAMPLES").unwrap_or_else(|_| "10".to_owned())
}

/// Where `.ci/test-servers` has put it, found from where the test itself is.
fn installed() -> PathBuf {
    let ourselves = std::env::current_exe().unwrap();
    let place = ourselves
        .ancestors()
        .nth(3)
        .unwrap()
        .join("test-servers/schemathesis");
    assert!(place.exists(), "run .ci/test-servers first");
    place
}
