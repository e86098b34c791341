//! A provider that asks for a pause gets it.

use ah5_testkit::client::{Answer, Call};
use http::Method;
use serde_json::{Value, json};

use crate::change;
use crate::support::{self, World};

/// The provider answers with this status line and these headers.
fn answering(world: &World, head: &str) -> Call {
    let text = format!("HTTP/1.1 {head}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
    let call = world.agent.proxy(&world.connection, Method::POST, "/raw");
    call.header("content-type", "text/plain").body(text)
}

fn seconds(answer: &Answer) -> u32 {
    let body = answer.expect(429).unwrap();
    let seconds = answer.header("retry-after").unwrap().parse().unwrap();
    assert_eq!(body["retryAfter"], seconds, "{body}");
    assert_eq!(body["error"], "The provider has asked for a pause");
    assert_eq!(answer.header("x-ah5-source"), Some("gateway"));
    seconds
}

#[tokio::test]
async fn a_pause_in_either_form_keeps_every_call_of_the_connection_away() {
    for head in [
        "429 Too Many Requests\r\nretry-after: 100",
        "503 Service Unavailable\r\nretry-after: 100",
        // The provider's clock stands in 1994, and so does its date.
        "429 Slow Down\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
         retry-after: Sun, 06 Nov 1994 08:51:17 GMT",
    ] {
        let world = World::open().await;
        let asked = world.send(answering(&world, head)).await;
        let source = asked.header("x-ah5-source");
        assert_eq!(source, Some("provider"), "{head}: {}", asked.text());
        assert_eq!(asked.status.as_u16().to_string(), head[..3]);
        let refused = world.get("/count/paused").await;
        assert!((90..=100).contains(&seconds(&refused)), "{head}");
        let url = world.url("/v2/count/paused");
        let call = world.agent.execute(&world.connection, &Method::GET, &url);
        seconds(&world.send(call).await);
        assert!(world.seen("/v2/count/paused").await.is_empty());
        let row = &world.audit("rate_limit_exceeded", 2).await[0];
        assert_eq!(row["decision"], "denied");
        // The other replica has not been told, and another connection not at all.
        assert_eq!(world.get_at(1, "/count/paused").await.status, 200);
        let other = World::open().await;
        assert_eq!(other.get("/count/paused").await.status, 200);
    }
}

#[tokio::test]
async fn only_a_provider_that_says_for_how_long_is_left_alone() {
    let world = World::open().await;
    for head in [
        "429 Too Many Requests",
        "429 Too Many Requests\r\nretry-after: soon",
        "429 Too Many Requests\r\nretry-after: 0",
        "503 Service Unavailable",
        "200 OK\r\nretry-after: 100",
        "404 Not Found\r\nretry-after: 100",
    ] {
        world.send(answering(&world, head)).await;
        assert_eq!(world.get("/count/open").await.status, 200, "{head}");
    }
}

#[tokio::test]
async fn an_approval_and_the_hour_outlive_a_pause() {
    let world = World::closed(support::shared()).await;
    let policy = world.allow(&["GET", "POST", "PUT"], "/v2/**").await;
    let ask = json!({"label": "Ask", "match": {"methods": ["PUT"]}, "action": "require_approval"});
    let rules = json!({"request": [ask], "response": []});
    let limits = json!({"maxRequestsPerHour": 100});
    change(
        &world,
        &policy,
        &json!({"rules": rules, "rateLimits": limits}),
    )
    .await;
    let call = world
        .agent
        .proxy(&world.connection, Method::PUT, "/count/approved");
    let asked = world.send(call.clone()).await.expect(202).unwrap();
    let id = asked["approvalRequestId"].as_str().unwrap().to_owned();
    let path = format!("/v1/approvals/{id}");
    let decide = format!("{path}/approve");
    let decided = world.owner.post(&decide, &json!({})).await.unwrap();
    decided.expect(200).unwrap();
    world
        .send(answering(&world, "429 Slow Down\r\nretry-after: 2"))
        .await;
    let used =
        format!("select sum(used)::int8 from ah5.t_quota_minutes where policy_id = '{policy}'");
    let before = world.number(&used).await;
    let redeem = call.header("x-ah5-approval-id", &*id);
    assert!(seconds(&world.send(redeem.clone()).await) <= 2);
    let approval = world.owner.get(&path).await.unwrap().expect(200).unwrap();
    assert_eq!(approval["approval"]["status"], "approved", "{approval}");
    assert_eq!(approval["approval"]["outcome"], Value::Null, "{approval}");
    assert_eq!(world.number(&used).await, before);
    // It ends by itself, and the approval is good for the one call.
    world
        .until(|| async { world.send(redeem.clone()).await.status == 200 })
        .await;
    assert_eq!(world.seen("/v2/count/approved").await.len(), 1);
}
