//! Agents that read slowly, or go away.

use std::time::Duration;

use ah5_testkit::simulator::{Entry, Outcome};
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::json;

use crate::change;
use crate::support::{self, World};

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_rest_hold_no_answers_in_memory() {
    const READERS: usize = 12;
    let world = World::closed(support::shared()).await;
    let policy = world.allow(&["GET"], "/v2/**").await;
    let limits = json!({"maxResponseSizeBytes": LENGTH});
    change(&world, &policy, &json!({"rateLimits": limits})).await;
    let pid = world.stack.data_plane(0).pid;
    let call = |path: &str| world.agent.proxy(&world.connection, Method::GET, path);
    // What is set up once is set up.
    world.send(call("/bytes/1000000")).await;
    let before = resident(pid);
    let mut bodies = Vec::new();
    for _ in 0..READERS {
        let call = call(&format!("/bytes/{LENGTH}?chunked=1"));
        let answer = world.planes[0].open(call).await.unwrap();
        assert_eq!(answer.status(), 200);
        bodies.push(answer.into_body());
    }
    let mut most = 0;
    for _ in 0..25 {
        most = most.max(resident(pid));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let grown = most.saturating_sub(before);
    // All of the answers would be more than a gigabyte; the system's own buffers are not counted.
    assert!(grown < 64 << 20, "{grown} bytes more for {READERS} readers");
    let path = format!("/v2/bytes/{LENGTH}");
    let ended = |seen: Vec<Entry>, outcome| seen.iter().filter(|it| it.outcome == outcome).count();
    let under_way = ended(world.seen(&path).await, None);
    assert_eq!(under_way, READERS, "nobody reads ahead to the end");
    // Whoever goes ends the provider's answer too.
    drop(bodies);
    world
        .until(|| async { ended(world.seen(&path).await, Some(Outcome::Aborted)) == READERS })
        .await;
}

#[tokio::test]
async fn an_agent_that_goes_while_it_waits_cancels_its_call_at_the_provider() {
    let world = World::open().await;
    for target in ["/slow?head=60000", "/sse?events=100000&interval=20"] {
        let path = format!("/v2{}", target.split('?').next().unwrap());
        let call = world.agent.proxy(&world.connection, Method::GET, target);
        let open = tokio::spawn({
            let plane = world.planes[0].clone();
            async move {
                let mut body = plane.open(call).await.unwrap().into_body();
                while body.frame().await.is_some() {}
            }
        });
        world
            .until(|| async { world.seen(&path).await.len() == 1 })
            .await;
        assert_eq!(world.seen(&path).await[0].outcome, None);
        open.abort();
        world
            .until(|| async { world.seen(&path).await[0].outcome == Some(Outcome::Aborted) })
            .await;
    }
}

/// Bytes that the process has in memory.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() * 1024
}

const LENGTH: u64 = 100_000_000;
