//! Limits of calls per hour, over two replicas.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::Arc;

use ah5_testkit::client::Answer;
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};
use support::{World, two_planes};

async fn limit(world: &World, policy: &str, hour: u64) {
    let body = json!({"rateLimits": {"maxRequestsPerHour": hour}});
    let path = format!("/v1/policies/{policy}/rate-limits");
    let written = world.owner.put(&path, &body).await.unwrap();
    written.expect(200).unwrap();
    // A connection made after the change is unknown to a snapshot from before it.
    let (base, auth) = (world.url("/v2"), json!({"kind": "bearer"}));
    let later = world.owner.connect(&base, &auth, support::SECRET).await;
    let call = world.agent.proxy(&later.unwrap(), Method::GET, "/x");
    for plane in &world.planes {
        world
            .until(|| async { plane.send(call.clone()).await.unwrap().status == 403 })
            .await;
    }
}

/// A workspace whose one policy lets this many calls an hour through, as both replicas know.
async fn limited(hour: u64) -> (World, String) {
    let world = World::closed(support::shared()).await;
    let policy = world.allow(&["GET", "POST"], "/v2/**").await;
    limit(&world, &policy, hour).await;
    (world, policy)
}

/// All at once, one by one at either replica.
async fn storm(world: &World, calls: usize, target: &str) -> Vec<Answer> {
    join_all((0..calls).map(|call| world.get_at(call % 2, target))).await
}

fn statuses(answers: &[Answer]) -> (usize, usize) {
    let count = |status: u16| answers.iter().filter(|a| a.status == status).count();
    (count(200), count(429))
}

fn number(answer: &Answer, name: &str) -> u32 {
    let text = answer.header(name);
    text.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_storm_on_two_replicas_exactly_the_limit_passes() {
    let (world, policy) = limited(25).await;
    let answers = storm(&world, 100, "/count/storm").await;
    assert_eq!(statuses(&answers), (25, 75));
    assert_eq!(world.seen("/v2/count/storm").await.len(), 25);
    let refused = answers.iter().find(|a| a.status == 429).unwrap();
    let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((3500..=3720).contains(&wait), "{wait}");
    // Each of those that passed was told what is left after it, and no two the same.
    let passed = answers.iter().filter(|a| a.status == 200);
    let mut left: Vec<u32> = passed.map(|a| number(a, "ratelimit-remaining")).collect();
    left.sort_unstable();
    assert_eq!(left, (0..25).collect::<Vec<u32>>());
    assert!(answers.iter().all(|a| number(a, "ratelimit-limit") == 25));
    assert_eq!(number(refused, "ratelimit-remaining"), 0);
    assert_eq!(number(refused, "ratelimit-reset"), wait);
    let body = refused.json();
    assert_eq!(body["error"], "Rate limit exceeded: 25 requests per hour");
    assert_eq!(body["retryAfter"], wait);
    let row = &world.audit("rate_limit_exceeded", 75).await[0];
    assert_eq!(row["decision"], "denied");
    // More is allowed from now on.
    limit(&world, &policy, 26).await;
    let answers = storm(&world, 10, "/count/storm").await;
    assert_eq!(statuses(&answers), (1, 9));
    // An hour and two minutes later.
    world
        .sql("update ah5.t_quota_minutes set minute = minute - interval '62 minutes'")
        .await;
    assert_eq!(world.get("/count/storm").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_limit_is_taken_in_blocks_and_never_exceeded() {
    let (world, policy) = limited(2_000).await;
    // All but 150 are used already.
    let used = format!(
        "insert into ah5.t_quota_minutes
         select workspace_id, id, date_trunc('minute', now()), 1850 from ah5.t_policies
         where id = '{policy}'"
    );
    world.sql(&used).await;
    let answers = storm(&world, 300, "/count/blocks").await;
    let (passed, refused) = statuses(&answers);
    assert_eq!(passed + refused, 300);
    // At most one unit was in hand at each replica when the last was taken: a hundredth of the rest.
    assert!((148..=150).contains(&passed), "{passed}");
    assert_eq!(world.seen("/v2/count/blocks").await.len(), passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_serves_many_calls_without_another_look_at_the_database() {
    let (world, policy) = limited(100_000).await;
    let answers = storm(&world, 60, "/count/many").await;
    assert_eq!(statuses(&answers), (60, 0));
    // Both replicas' blocks are gone from the whole, and of each what it was used for.
    let left = answers.iter().map(|a| number(a, "ratelimit-remaining"));
    let (least, most) = (left.clone().min().unwrap(), left.max().unwrap());
    assert!(
        least >= 100_000 - 1_000 - 60 && most < 100_000,
        "{least} {most}"
    );
    assert!(answers.iter().all(|a| number(a, "ratelimit-reset") >= 1));
    let used =
        format!("select sum(used)::int8 from ah5.t_quota_minutes where policy_id = '{policy}'");
    let used = world.number(&used).await;
    // One block a replica: 1000, and a hundredth of what is left then.
    assert_eq!(used, 1_000 + 990);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sent_is_not_counted() {
    let (world, policy) = limited(3).await;
    let used = format!(
        "select coalesce(sum(used), 0)::int8 from ah5.t_quota_minutes where policy_id = '{policy}'"
    );
    // Denied by the policy.
    let denied = world.agent.proxy(&world.connection, Method::DELETE, "/x");
    world.send(denied).await.expect(403).unwrap();
    assert_eq!(world.number(&used).await, 0);
    // The provider hangs up before it answers: nobody knows whether it was carried out.
    let answer = world.get("/close").await;
    assert_eq!(answer.status, 502);
    assert_eq!(world.number(&used).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_policy_that_covers_a_call_counts_it_or_none_does() {
    let (world, first) = limited(10).await;
    let lists = world.allowlists(&["GET"], "/v2/**");
    let second = world
        .owner
        .allow(&world.agent.id, &world.connection, &lists)
        .await
        .unwrap();
    limit(&world, &second, 4).await;
    assert_eq!(statuses(&storm(&world, 12, "/count/both").await), (4, 8));
    for policy in [&first, &second] {
        let used =
            format!("select sum(used)::int8 from ah5.t_quota_minutes where policy_id = '{policy}'");
        assert_eq!(world.number(&used).await, 4);
    }
}

/// Of several hours the one with the least left is told of; a provider that tells of its own is not talked
/// over, and where no policy counts nothing is told.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_tells_how_the_hour_stands() {
    let (world, first) = limited(500).await;
    let lists = world.allowlists(&["GET"], "/v2/**");
    let second = world
        .owner
        .allow(&world.agent.id, &world.connection, &lists);
    limit(&world, &second.await.unwrap(), 9).await;
    let answer = world.get("/count/told").await;
    let told = ["limit", "remaining"].map(|name| number(&answer, &format!("ratelimit-{name}")));
    assert_eq!(told, [9, 8]);
    assert!((3500..=3720).contains(&number(&answer, "ratelimit-reset")));
    let url = world.url("/v2/count/told");
    let call = world.agent.execute(&world.connection, &Method::GET, &url);
    let enveloped = world.send(call).await;
    assert_eq!(number(&enveloped, "ratelimit-remaining"), 7);
    // Only the first policy covers this.
    let theirs = "HTTP/1.1 200 OK\r\nratelimit: \"a\";r=3;t=1\r\ncontent-length: 0\r\n\r\n";
    let call = world.agent.proxy(&world.connection, Method::POST, "/raw");
    let call = call.header("content-type", "text/plain").body(theirs);
    let answer = world.send(call).await;
    assert_eq!(answer.header("ratelimit"), Some("\"a\";r=3;t=1"));
    assert_eq!(answer.header("ratelimit-limit"), None);
    let denied = world.agent.proxy(&world.connection, Method::DELETE, "/x");
    assert_eq!(world.send(denied).await.header("ratelimit-limit"), None);
    let used =
        format!("select sum(used)::int8 from ah5.t_quota_minutes where policy_id = '{first}'");
    assert_eq!(world.number(&used).await, 3);
    let free = World::open().await;
    assert_eq!(free.get("/x").await.header("ratelimit-limit"), None);
}

/// What an approval waits for must not be used up by a call that is then refused.
#[tokio::test(flavor = "multi_thread")]
async fn an_approval_outlives_a_refusal_by_the_hour() {
    let (world, policy) = limited(1).await;
    let path = format!("/v1/policies/{policy}");
    let asks = json!({"stepUpApproval": "always"});
    world
        .owner
        .put(&path, &asks)
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    limit(&world, &policy, 1).await;
    let asked = world.get("/count/approved").await.expect(202).unwrap();
    let id = asked["approvalRequestId"].as_str().unwrap().to_owned();
    let approve = format!("/v1/approvals/{id}/approve");
    let approved: Value = world
        .owner
        .post(&approve, &json!({}))
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    assert_eq!(approved["approved"], true);
    world
        .sql(&format!(
            "insert into ah5.t_quota_minutes
             select workspace_id, id, date_trunc('minute', now()), 1 from ah5.t_policies
             where id = '{policy}'"
        ))
        .await;
    let redeem = || {
        let call = world
            .agent
            .proxy(&world.connection, Method::GET, "/count/approved");
        world.send(call.header("x-ah5-approval-id", &id))
    };
    redeem().await.expect(429).unwrap();
    limit(&world, &policy, 2).await;
    assert_eq!(redeem().await.status, 200);
    assert_eq!(world.seen("/v2/count/approved").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nothing_can_be_counted_nothing_that_is_limited_passes() {
    let mut world = World::closed(Arc::new(two_planes().start().unwrap())).await;
    let policy = world.allow(&["GET"], "/v2/**").await;
    limit(&world, &policy, 5).await;
    Arc::get_mut(&mut world.stack)
        .unwrap()
        .stop_postgres()
        .unwrap();
    let answer = world.get("/count/blind").await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(world.seen("/v2/count/blind").await.is_empty());
}
