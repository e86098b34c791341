//! Policies and templates at a running control plane.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod changes;
mod evaluate;
mod parts;
mod presets;
#[path = "../support/mod.rs"]
mod support;
mod templates;

use serde_json::{Value, json};

use support::{World, of};

/// A policy of a new agent's, made so.
async fn made(world: &World, connection: &str, how: &Value) -> (u16, Value) {
    let agent = world.owner.create_agent("bot").await.unwrap();
    let mut body = json!({"agentId": agent.id, "connectionId": connection});
    body.as_object_mut()
        .unwrap()
        .extend(how.as_object().unwrap().clone());
    of(&world.post("/v1/policies", &body).await)
}
