//! How often one client address may ask, and who can pretend to be another.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::Arc;

use ah5_harness::stack::{Builder, Stack};
use ah5_testkit::client::{Answer, Call, Http};
use support::{World, control_plane, error};

const LIMIT: u32 = 12;

fn limited(builder: Builder) -> Stack {
    let limit = LIMIT.to_string();
    let builder = builder.env("RATE_LIMIT_PER_15_MINUTES", &limit);
    builder.start().unwrap()
}

/// Asks until it is too much. The window may end in between, but not twice.
async fn exhaust(http: &Http, call: impl Fn(u32) -> Call) -> Answer {
    for number in 0..2 * LIMIT + 2 {
        let answer = http.send(call(number)).await.unwrap();
        if answer.status == 429 {
            return answer;
        }
        assert_eq!(
            answer.header("x-ratelimit-limit"),
            Some("12"),
            "{}",
            answer.text()
        );
    }
    panic!("no end after {} requests", 2 * LIMIT + 2);
}

#[tokio::test]
async fn everything_from_one_address_is_counted_before_anybody_is_known() {
    let world = World::at(Arc::new(limited(control_plane()))).await;
    let from = |call: Call, address: &str| call.header("x-forwarded-for", address);
    // Nobody, somebody, a path that isn't there: all count.
    let calls = [
        Call::get("/v1/agents"),
        Call::get("/v1/agents").bearer(&world.owner.token),
        Call::get("/v1/nothing"),
        Call::get("/v1/version"),
    ];
    let cycled = |number: u32| calls[number as usize % calls.len()].clone();
    // What the client says for itself stands to the left of what the proxy saw.
    let forged = |number| from(cycled(number), &format!("127.0.0.{number}, 192.0.2.1"));
    let refused = exhaust(&world.http, forged).await;
    assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
    assert_eq!(
        refused.header("retry-after"),
        refused.header("x-ratelimit-reset")
    );
    assert!(error(&refused).starts_with("Rate limit exceeded, retry in "));

    let at = |address| from(Call::get("/v1/agents").bearer(&world.owner.token), address);
    assert_eq!(world.send(at("192.0.2.1")).await.status, 429);
    let health = world.send(from(Call::get("/health"), "192.0.2.1")).await;
    assert_eq!(
        (health.status.as_u16(), health.header("x-ratelimit-limit")),
        (200, None)
    );
    let other = world.send(at("192.0.2.2")).await;
    assert_eq!(other.status, 200);
    assert_eq!(other.header("x-ratelimit-remaining"), Some("11"));
    // A limit of its own, counted apart.
    let sign_in = from(Call::post("/api/auth/sign-in/email"), "192.0.2.1");
    assert_eq!(
        world.send(sign_in).await.header("x-ratelimit-limit"),
        Some("100000")
    );
}

#[tokio::test]
async fn only_who_comes_straight_from_this_machine_is_exempt() {
    let stack = limited(control_plane().env("TRUSTED_PROXIES", "192.0.2.0/24"));
    let world = World::at(Arc::new(stack)).await;
    for _ in 0..2 * LIMIT {
        let answer = world.get("/v1/agents").await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("x-ratelimit-limit")),
            (200, None)
        );
    }
    // Nobody trusted said so: a header only tells that there is a proxy.
    let agents = || Call::get("/v1/agents").bearer(&world.owner.token);
    let forged = |number| agents().header("x-forwarded-for", format!("198.51.100.{number}"));
    exhaust(&world.http, forged).await;
    for header in ["forwarded", "via", "x-real-ip"] {
        let answer = world.send(agents().header(header, "127.0.0.1")).await;
        assert_eq!(answer.status, 429, "{header}");
    }
}

#[tokio::test]
async fn through_the_front_door_nobody_is_exempt() {
    let world = World::at(Arc::new(limited(control_plane().front_door(true)))).await;
    let front = Http::new(format!("http://{}", world.stack.front()));
    let agents = || Call::get("/v1/agents").bearer(&world.owner.token);
    exhaust(&front, |number| {
        agents().header("x-forwarded-for", format!("192.0.2.{number}"))
    })
    .await;
    // The way past it, for whoever runs the machine.
    assert_eq!(world.send(agents()).await.status, 200);
}

#[tokio::test]
async fn who_guesses_tokens_is_soon_not_heard_at_all() {
    let builder = control_plane().env("RATE_LIMIT_FAILED_AUTH_PER_MINUTE", "3");
    let world = World::at(Arc::new(builder.start().unwrap())).await;
    let from = |token: &str| {
        Call::get("/v1/agents")
            .bearer(token)
            .header("x-forwarded-for", "192.0.2.3")
    };
    let ask = |token: String| {
        let world = &world;
        async move { world.send(from(&token)).await.status.as_u16() }
    };
    // Twice, since the minute may end between the last guess and the right one.
    let mut heard = Vec::new();
    for _ in 0..2 {
        let mut guesses = 1;
        while ask("ah5p_guess".into()).await != 429 {
            guesses += 1;
            assert!(guesses < 9);
        }
        heard.push(ask(world.owner.token.clone()).await);
    }
    // Not even with the right one, or the limit would not slow a guesser down.
    assert!(heard.contains(&429), "{heard:?}");
    assert_eq!(world.get("/v1/agents").await.status, 200);
}
