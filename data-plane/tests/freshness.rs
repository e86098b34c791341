//! What replicas know and when: with calls spread over them at random, changes made through the
//! control plane, and the database taken away.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use ah5_testkit::client::{Agent, Http};
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::json;
use support::{SECRET, World};
use tokio::time::{Instant, sleep, timeout};

/// Calls one plane after the other for so long; how many of those begun more than a second after
/// the start were answered by the provider, and how many there were.
async fn keep_calling(world: &World, path: &str, length: Duration) -> (usize, usize) {
    let start = Instant::now();
    let (mut late, mut through) = (0, 0);
    let mut turn = 0;
    while start.elapsed() < length {
        let is_late = start.elapsed() > Duration::from_secs(1);
        turn += 1;
        let answer = world.get_at(turn % world.planes.len(), path).await;
        if is_late {
            late += 1;
            through += usize::from(answer.header("x-ah5-source") == Some("provider"));
        }
        sleep(Duration::from_millis(5)).await;
    }
    (late, through)
}

#[tokio::test]
async fn a_change_of_policy_is_in_force_on_every_replica_within_a_second() {
    let world = World::closed(support::shared()).await;
    let policy = world.allow(&["GET"], "/v2/**").await;
    assert_eq!(world.get_at(0, "/count/a").await.status, 200);
    let narrower = world.allowlists(&["GET"], "/v2/known");
    world
        .owner
        .set_allowlists(&policy, &narrower)
        .await
        .unwrap();
    let (late, through) = keep_calling(&world, "/count/a", Duration::from_millis(1800)).await;
    assert!(late > 10 && through == 0, "{through} of {late}");

    let path = format!("/v1/policies/{policy}");
    world
        .owner
        .delete(&path)
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    let (late, through) = keep_calling(&world, "/known", Duration::from_millis(1800)).await;
    assert!(late > 10 && through == 0, "{through} of {late}");
}

#[tokio::test]
async fn a_disabled_agent_and_a_revoked_connection_are_cut_off_everywhere() {
    let world = World::open().await;
    for plane in 0..2 {
        assert_eq!(world.get_at(plane, "/count/b").await.status, 200);
    }
    world.owner.disable(&world.agent.id).await.unwrap();
    let (late, through) = keep_calling(&world, "/count/b", Duration::from_millis(1800)).await;
    assert!(late > 10 && through == 0, "{through} of {late}");
    // Back again: the old token stays dead, a new one is good on any replica at once.
    world.owner.enable(&world.agent.id).await.unwrap();
    assert_eq!(world.get_at(0, "/count/b").await.status, 401);

    let world = World::open().await;
    let path = format!("/v1/connections/{}/revoke", world.connection);
    world
        .owner
        .post(&path, &json!(null))
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    let (late, through) = keep_calling(&world, "/count/c", Duration::from_millis(1800)).await;
    assert!(late > 10 && through == 0, "{through} of {late}");
    world.get_at(1, "/count/c").await.expect(409).unwrap();
}

#[tokio::test]
async fn what_was_just_given_is_good_on_any_replica() {
    let world = World::open().await;
    for round in 0..8 {
        let made = world.owner.create_agent("new").await.unwrap();
        let agent = Agent::ready(&world.control, world.stack.origin(), made)
            .await
            .unwrap();
        let base = world.url("/v2");
        let auth = json!({"kind": "bearer"});
        let connection = world.owner.connect(&base, &auth, SECRET).await.unwrap();
        let call = agent.proxy(&connection, Method::GET, "/x");
        let answer = world.planes[round % 2].send(call).await.unwrap();
        // Known, though no policy allows anything yet.
        let body = answer.expect(403).unwrap();
        assert!(
            body["error"].as_str().unwrap().starts_with("No policy"),
            "{body}"
        );
    }
}

#[tokio::test]
async fn an_answer_under_way_is_cut_when_it_is_allowed_no_longer() {
    let world = World::closed(support::shared()).await;
    let policy = world.allow(&["GET"], "/v2/**").await;
    let call = world.agent.proxy(
        &world.connection,
        Method::GET,
        "/sse?events=1000&interval=50",
    );
    let answer = world.planes[0].open(call).await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    let first = body.frame().await.unwrap().unwrap();
    assert!(first.is_data(), "it flows while it is made");
    let path = format!("/v1/policies/{policy}");
    world
        .owner
        .delete(&path)
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    let cut = async {
        loop {
            match body.frame().await {
                Some(Ok(_)) => {}
                Some(Err(_)) => return true,
                None => return false,
            }
        }
    };
    assert!(
        timeout(Duration::from_secs(5), cut).await.unwrap(),
        "cut, not ended"
    );
    world
        .until(|| async {
            let seen = world.seen("/v2/sse").await;
            format!("{:?}", seen[0].outcome) == "Some(Aborted)"
        })
        .await;
    world
        .until(|| async {
            let rows = world.audit("execution_completed", 1).await;
            rows.iter().any(|row| row["metadata"]["fault"] == "cut")
        })
        .await;
}

#[tokio::test]
async fn whoever_disables_an_agent_is_told_how_many_answers_that_ended() {
    let world = World::open().await;
    let mut bodies = Vec::new();
    for plane in [0, 1, 1] {
        let target = "/sse?events=1000&interval=50";
        let call = world.agent.proxy(&world.connection, Method::GET, target);
        let answer = world.planes[plane].open(call).await.unwrap();
        bodies.push(answer.into_body());
    }
    let sum = "select coalesce(sum(open), 0)::bigint from ah5.t_open_streams where agent_id";
    let sum = format!("{sum} = '{}'", world.agent.id);
    world
        .until(|| async { world.number(&sum).await == 3 })
        .await;
    let path = format!("/v1/agents/{}/disable", world.agent.id);
    let done = world.owner.post(&path, &json!(null)).await.unwrap();
    let done = done.expect(200).unwrap();
    assert_eq!(
        (&done["tokensRevoked"], &done["streamsEnded"]),
        (&json!(1), &json!(3))
    );
    for mut body in bodies {
        let cut = async {
            while let Some(frame) = body.frame().await {
                if frame.is_err() {
                    return true;
                }
            }
            false
        };
        assert!(timeout(Duration::from_secs(5), cut).await.unwrap(), "cut");
    }
    world
        .until(|| async { world.number(&sum).await == 0 })
        .await;
}

#[tokio::test]
async fn an_agent_that_goes_away_takes_the_providers_call_with_it() {
    let world = World::open().await;
    let call = world.agent.proxy(
        &world.connection,
        Method::GET,
        "/sse?events=1000&interval=50",
    );
    let answer = world.planes[0].open(call).await.unwrap();
    drop(answer);
    world
        .until(|| async {
            let seen = world.seen("/v2/sse").await;
            seen.first()
                .is_some_and(|seen| format!("{:?}", seen.outcome) == "Some(Aborted)")
        })
        .await;
}

#[tokio::test]
async fn a_database_that_goes_away_stops_nothing_at_first_and_everything_later() {
    let builder = support::two_planes().env("MAX_STALENESS_MS", "2500");
    let mut world = World::closed(Arc::new(builder.start().unwrap())).await;
    world.allow(&["GET"], "/v2/**").await;
    let admins: Vec<Http> = world
        .stack
        .data_planes()
        .map(|plane| Http::new(format!("http://{}", plane.admin.unwrap())))
        .collect();
    let ready = |plane: usize| {
        let admin = admins[plane].clone();
        async move {
            let call = ah5_testkit::client::Call::get("/readyz");
            admin.send(call).await.unwrap().status == 200
        }
    };
    assert!(ready(0).await && ready(1).await);

    let start = Instant::now();
    Arc::get_mut(&mut world.stack)
        .unwrap()
        .stop_postgres()
        .unwrap();
    // Its answer begins when nobody knows any more whether it is allowed.
    let slow = world
        .agent
        .proxy(&world.connection, Method::GET, "/slow?head=5000");
    let slow = tokio::spawn({
        let plane = world.planes[0].clone();
        async move { plane.send(slow).await.unwrap() }
    });
    let mut answered = 0;
    while start.elapsed() < Duration::from_millis(1500) {
        answered += usize::from(world.get_at(answered % 2, "/count/d").await.status == 200);
    }
    assert!(answered > 10, "an outage this short is invisible");
    for plane in 0..2 {
        world.until(|| async { !ready(plane).await }).await;
        let refused = world.get_at(plane, "/count/e").await;
        refused.expect(503).unwrap();
        assert!(refused.header("retry-after").is_some());
    }
    assert!(world.seen("/v2/count/e").await.is_empty());
    // It was made: that is no denial, and nobody is told to make it again.
    let withheld = slow.await.unwrap();
    withheld.expect(503).unwrap();
    assert!(
        withheld.contains("The call was sent"),
        "{}",
        withheld.text()
    );
    assert_eq!(withheld.header("retry-after"), None);

    Arc::get_mut(&mut world.stack)
        .unwrap()
        .start_postgres()
        .unwrap();
    for plane in 0..2 {
        world.until(|| async { ready(plane).await }).await;
        assert_eq!(world.get_at(plane, "/count/f").await.status, 200);
    }
    // What was done meanwhile is in the trail.
    world.audit("execution_completed", answered.min(100)).await;
}

/// Sends the head and the beginning of a body now, the rest later.
async fn half_sent(world: &World, head: &str, begin: &str) -> tokio::net::TcpStream {
    use tokio::io::AsyncWriteExt as _;
    let address = world.stack.data_plane(0).listen;
    #[allow(
        clippy::disallowed_methods,
        reason = "plays a client that stops half-way"
    )]
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let auth = format!("host: h\r\nauthorization: Bearer {}\r\n", world.agent.token);
    stream
        .write_all(format!("{head}{auth}\r\n{begin}").as_bytes())
        .await
        .unwrap();
    stream
}

#[tokio::test]
async fn a_call_that_was_begun_before_a_revocation_is_not_made_after_it() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let world = World::open().await;
    let body = json!({
        "model": "B", "connectionId": world.connection, "method": "POST",
        "url": world.url("/v2/count/begun"), "body": {},
    })
    .to_string();
    let length = body.len();
    let execute = format!(
        "POST /v1/vault/execute HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n"
    );
    let proxy = format!(
        "PUT /v1/proxy/{}/count/upload HTTP/1.1\r\ntransfer-encoding: chunked\r\n",
        world.connection
    );
    let mut execute = half_sent(&world, &execute, &body[..20]).await;
    let mut proxy = half_sent(&world, &proxy, "5\r\nhello\r\n").await;
    sleep(Duration::from_millis(200)).await;
    world.owner.disable(&world.agent.id).await.unwrap();
    world
        .until(|| async { world.get("/x").await.status == 401 })
        .await;
    let _ = execute.write_all(&body.as_bytes()[20..]).await;
    let _ = proxy.write_all(b"0\r\n\r\n").await;
    for stream in [&mut execute, &mut proxy] {
        let mut answer = [0; 12];
        let read = timeout(Duration::from_secs(10), stream.read(&mut answer)).await;
        let status = String::from_utf8_lossy(&answer[..read.unwrap().unwrap_or(0)]).into_owned();
        assert!(!status.contains("200"), "{status}");
    }
    assert!(world.seen("/v2/count/begun").await.is_empty());
    let upload = world.seen("/v2/count/upload").await;
    assert!(
        upload.iter().all(|entry| !entry.body_complete),
        "{upload:?}"
    );
}

#[tokio::test]
async fn a_persons_answer_ends_with_the_session() {
    let world = World::open().await;
    let path = format!("/v1/proxy/{}/sse?events=1000&interval=50", world.connection);
    let call = ah5_testkit::client::Call::get(path).bearer(&world.owner.token);
    let call = call.header("x-ah5-agent-id", &*world.agent.id);
    let answer = world.planes[0].open(call).await.unwrap();
    assert_eq!(answer.status(), 200);
    world
        .owner
        .with_cookie("/api/auth/sign-out")
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    let ended = timeout(Duration::from_secs(10), answer.into_body().collect()).await;
    assert!(ended.unwrap().is_err(), "cut, not ended");
}
