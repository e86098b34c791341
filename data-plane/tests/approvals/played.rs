//! Whom an owner is told by, and the company that orders are placed with: a simulator plays them.

use std::sync::atomic::{AtomicI64, Ordering};

use ah5_testkit::simulator::{Body, Options, Received, Simulator};
use http::Response;
use serde_json::json;

pub const PROVIDER: &str = "api.acme.example";
pub const HOSTS: [&str; 3] = [PROVIDER, "api.telegram.org", "slack.com"];

pub async fn start() -> Simulator {
    let options = Options {
        names: HOSTS.map(str::to_owned).to_vec(),
        ..Options::default()
    };
    let provider = Simulator::start_with(options).await.unwrap();
    provider.on("/bot*", |received: Received| async move {
        static NUMBER: AtomicI64 = AtomicI64::new(100);
        let result = match received.target.rsplit('/').next() {
            Some("getMe") => json!({"id": 12_345_678, "username": "ah5_bot", "first_name": "Ah5"}),
            Some("sendMessage") => json!({"message_id": NUMBER.fetch_add(1, Ordering::Relaxed)}),
            _ => json!(true),
        };
        Response::new(Body::from(
            json!({"ok": true, "result": result}).to_string(),
        ))
    });
    provider.on("/api/*", |_: Received| async {
        let said = json!({
            "ok": true, "team": "Acme", "team_id": "T1", "user_id": "U1", "bot_id": "B1",
            "url": "https://acme.slack.com/",
        });
        Response::new(Body::from(said.to_string()))
    });
    provider
}
