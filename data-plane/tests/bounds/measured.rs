//! What operators see of calls, in numbers.

use ah5_testkit::client::{Call, Http};
use http::Method;

use crate::support::World;

/// What a metric of the first data plane stands at; one that nothing was counted in is not there.
async fn metric(world: &World, name: &str) -> f64 {
    let admin = world.stack.data_plane(0).admin.unwrap();
    let shown = Http::new(format!("http://{admin}"))
        .send(Call::get("/metrics"))
        .await;
    let shown = shown.unwrap().text();
    let mut lines = shown
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    lines.next().map_or(0.0, |value| value.parse().unwrap())
}

#[tokio::test]
async fn how_calls_end_what_providers_answer_and_how_long_it_takes_is_counted() {
    const NAMES: [&str; 5] = [
        "ah5_calls_total{endpoint=\"proxy\",verdict=\"allowed\"}",
        "ah5_call_seconds_count{endpoint=\"proxy\"}",
        "ah5_provider_answers_total{status=\"2xx\"}",
        "ah5_provider_answers_total{status=\"5xx\"}",
        "ah5_refusals_total{kind=\"denied\"}",
    ];
    let world = World::open().await;
    let mut before = Vec::new();
    for name in NAMES {
        before.push(metric(&world, name).await);
    }
    assert_eq!(world.get("/status/200").await.status, 200);
    assert_eq!(world.get("/status/503").await.status, 503);
    let elsewhere = "https://elsewhere.test/";
    let denied = world
        .agent
        .execute(&world.connection, &Method::GET, elsewhere);
    assert_eq!(world.send(denied).await.status, 403);
    for (name, before) in NAMES.iter().zip(before) {
        // A call is counted once its answer has left.
        world
            .until(|| async { metric(&world, name).await > before })
            .await;
    }
}
