//! What bounds calls: pauses that providers ask for, policies that want a call on record first, what is
//! counted, readers that are slow or gone, downloads, answers that rules can't filter, and the credential
//! in any spelling on its way back.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod downloads;
mod echoes;
mod measured;
mod pauses;
mod readers;
mod recorded;
#[path = "../support/mod.rs"]
mod support;
mod unfilterable;

use http::Method;
use serde_json::{Value, json};

use support::World;

/// Puts one change into the policy, and waits until every data plane has it: a connection that is made
/// later is unknown before.
async fn change(world: &World, policy: &str, body: &Value) {
    let path = format!("/v1/policies/{policy}");
    let written = world.owner.put(&path, body).await.unwrap();
    written.expect(200).unwrap();
    let (base, auth) = (world.url("/v2"), json!({"kind": "bearer"}));
    let later = world.owner.connect(&base, &auth, support::SECRET).await;
    let call = world.agent.proxy(&later.unwrap(), Method::GET, "/x");
    for plane in &world.planes {
        world
            .until(|| async { plane.send(call.clone()).await.unwrap().status == 403 })
            .await;
    }
}
