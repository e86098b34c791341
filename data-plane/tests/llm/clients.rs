//! The official clients of Node and Python, as they come.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::models::Models;

/// What a client's program printed, by what it was about.
fn run(mut command: Command) -> HashMap<String, Value> {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    lines
        .map(|line: Value| (line["what"].as_str().unwrap().to_owned(), line))
        .collect()
}

/// Where `.ci/test-servers` has put them, found from where the test itself is.
fn packages(name: &str) -> PathBuf {
    let ourselves = std::env::current_exe().unwrap();
    let target = ourselves.ancestors().nth(3).unwrap();
    let packages = target.join("test-servers").join(name);
    assert!(packages.exists(), "run .ci/test-servers first");
    packages
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/sdk")
        .join(name)
}

const ASKS: &str = "Step-up approval has been requested with approvalRequestId ";

#[tokio::test]
async fn the_official_clients_of_node_work_by_base_url_and_key_alone() {
    let models = Models::open().await;
    let mut command = Command::new("node");
    command
        .arg(script("node.mjs"))
        .env("PACKAGES", packages("sdk-node"))
        .env("BASE", models.base())
        .env("KEY", &models.world.agent.token);
    let got = tokio::task::spawn_blocking(|| run(command)).await.unwrap();
    for what in [
        "openai.chat",
        "openai.chat.stream",
        "openai.responses",
        "openai.responses.stream",
        "anthropic.messages",
        "anthropic.messages.stream",
        "gemini.generate",
        "gemini.generate.stream",
    ] {
        let text = got[what]["text"].as_str().unwrap();
        assert!(text.ends_with("hello from node"), "{what}: {text}");
    }
    for what in ["openai.refused", "anthropic.refused", "gemini.refused"] {
        assert_eq!(got[what]["status"], 403, "{what}: {}", got[what]);
        let error = got[what]["error"].as_str().unwrap();
        assert!(error.contains("forbidden"), "{what}: {error}");
    }
    for what in ["openai.stranger", "anthropic.stranger"] {
        assert_eq!(got[what]["status"], 401, "{what}: {}", got[what]);
        assert_eq!(got[what]["kind"], "AuthenticationError", "{what}");
    }
    for what in [
        "openai.asks",
        "openai.asks.stream",
        "openai.responses.asks",
        "openai.responses.asks.stream",
        "anthropic.asks",
        "anthropic.asks.stream",
        "gemini.asks",
        "gemini.asks.stream",
    ] {
        let text = got[what]["text"].as_str().unwrap();
        assert!(text.contains(ASKS), "{what}: {text}");
    }
    // What they took is in the trail, also of streams.
    for (service, output) in [("anthropic-messages", 5), ("gemini", 5), ("openai", 5)] {
        let counted = || async {
            let used = models.usage(service, 1).await;
            used.iter()
                .filter(|it| it["outputTokens"] == output)
                .count()
                >= 2
        };
        models.world.until(counted).await;
    }
}

#[tokio::test]
async fn the_official_clients_of_python_work_by_base_url_and_key_alone() {
    let models = Models::open().await;
    let mut command = Command::new("python3");
    command
        .arg(script("python.py"))
        .env("PYTHONPATH", packages("sdk-python"))
        .env("BASE", models.base())
        .env("KEY", &models.world.agent.token);
    let got = tokio::task::spawn_blocking(|| run(command)).await.unwrap();
    for what in [
        "openai.chat",
        "openai.chat.stream",
        "openai.responses",
        "anthropic.messages",
        "anthropic.messages.stream",
        "gemini.generate",
        "gemini.generate.stream",
    ] {
        let text = got[what]["text"].as_str().unwrap();
        assert!(text.ends_with("hello from python"), "{what}: {text}");
    }
    for what in ["openai.refused", "anthropic.refused", "gemini.refused"] {
        assert_eq!(got[what]["status"], 403, "{what}: {}", got[what]);
    }
}
