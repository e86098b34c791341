//! A credential is written, and read only where it is used: no list has it, and no answer.

use std::collections::BTreeSet;
use std::path::Path;

use ah5_testkit::client::Call;
use serde_json::{Value, json};

use crate::fixture::{Fixture, GOOD, SLACK, TELEGRAM, body, id};

/// The functions of the store whose SQL names a connection's secret columns.
const MAY: [&str; 3] = ["get", "insert", "replace"];

#[test]
fn only_these_functions_of_the_store_touch_a_sealed_credential() {
    let store = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/store/src");
    let text = std::fs::read_to_string(store.join("credentials.rs")).unwrap();
    let mut function = "";
    let mut touching = BTreeSet::new();
    let mut in_sql = false;
    for line in text.lines() {
        if let Some((_, rest)) = line.split_once("fn ") {
            function = rest.split(['(', '<']).next().unwrap();
        }
        // Literals of several lines: a quote changes sides.
        let is_sql = in_sql || line.contains('"');
        in_sql ^= line.matches('"').count() % 2 == 1;
        if is_sql && line.contains("sealed") && !line.trim_start().starts_with("//") {
            touching.insert(function);
        }
    }
    assert_eq!(touching.into_iter().collect::<Vec<_>>(), MAY);
    // Of other files only these name the table: what reads and moves sealed secrets for calls, for
    // providers that are told of a revocation, and for new keys.
    let may = [
        "credentials.rs",
        "revocations.rs",
        "sealed.rs",
        "snapshot.rs",
    ];
    let mut folders = vec![store];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if !may.contains(&&*name) {
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(!text.contains("t_connection_credentials"), "{name}");
            }
        }
    }
}

/// Every GET of the OpenAPI document, with every id that fits it.
#[tokio::test(flavor = "multi_thread")]
async fn no_get_answers_with_a_secret() {
    let fixture = Fixture::open().await;
    let world = &fixture.world;
    let mut connections = Vec::new();
    for service in ["openai", "notion", "trello", "jira", "stripe"] {
        connections.push(fixture.made(service, GOOD).await);
    }
    for (service, token) in [("slack", SLACK), ("telegram", TELEGRAM)] {
        let body = json!({"service": service, "botToken": token});
        connections.push(id(&fixture.connect("bot-token", &body).await));
    }
    let path = format!("/v1/connections/{}/credentials", connections[0]);
    let put = world
        .put(&path, &body("openai", &format!("{GOOD}-2")))
        .await;
    put.expect(200).unwrap();
    fixture.test(&connections[1]).await;
    let agent = world.agent().await;
    let allow = json!([{"baseUrl": "https://api.notion.com", "methods": ["GET"],
                        "pathPatterns": ["/v1/**"]}]);
    let policy = world.owner.allow(&agent.id, &connections[1], &allow).await;
    let policy = policy.unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let document: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        // That one goes on for ever.
        if item.get("get").is_none() || path.ends_with("/stream") {
            continue;
        }
        let ids = [&connections[0], &agent.id, &policy].map(|id| path.replace("{id}", id));
        for target in BTreeSet::from(ids) {
            let target = target.replace("{name}", "notion").replace("{token}", "x");
            for token in [&world.owner.token, &agent.token] {
                let call = Call::get(target.replace("{provider}", "google")).bearer(token);
                let answer = world.send(call).await;
                asked += 1;
                for secret in [GOOD, SLACK, TELEGRAM, "planted-app-key-0123456789"] {
                    assert!(!answer.contains(secret), "GET {target}: {}", answer.text());
                }
                assert!(!answer.contains("sealed"), "GET {target}");
            }
        }
    }
    println!("{asked} answers to GET were looked through");
    assert!(asked > 60);
}
