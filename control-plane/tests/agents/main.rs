//! Agents at a running control plane.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod enrolment;
mod people;
#[path = "../support/mod.rs"]
mod support;
mod switch;

use ah5_testkit::client::Agent;
use http::Method;

use support::World;

/// As the agent.
async fn status(world: &World, agent: &Agent, path: &str) -> u16 {
    let answer = world.send(agent.call(Method::GET, path)).await;
    answer.status.as_u16()
}
