//! Agents at a running control plane.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod capabilities;
mod enrolment;
mod given_up;
mod people;
mod permissions;
#[path = "../support/mod.rs"]
mod support;
mod switch;

use ah5_testkit::client::Agent;
use http::Method;
use serde_json::{Value, json};

use support::World;

/// As the agent.
async fn status(world: &World, agent: &Agent, path: &str) -> u16 {
    let answer = world.send(agent.call(Method::GET, path)).await;
    answer.status.as_u16()
}

/// A policy from this template for the agent, and its id.
async fn give(world: &World, agent: &Agent, connection: &str, template: &str) -> String {
    let body = json!({
        "agentId": agent.id, "connectionId": connection, "actionTemplateId": template,
        "policyTier": "standard",
    });
    let made = world.post("/v1/policies", &body).await;
    let made: Value = made.expect(201).unwrap();
    made["policy"]["id"].as_str().unwrap().to_owned()
}
