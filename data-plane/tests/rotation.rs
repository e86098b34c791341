//! One signing key after another, seen from outside: with calls under way at two data planes, tokens
//! got from two control planes, and keys that are given up.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use ah5_harness::stack::Stack;
use ah5_testkit::client::{Agent, Call, Http, Owner};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use support::World;
use tokio::time::{Instant, sleep, timeout};

/// Two control planes, two data planes, and a new key that signs two seconds after it is made.
struct Fleet {
    world: World,
    /// The further control plane.
    second: Http,
    /// Who get their tokens there.
    agent: Agent,
    person: Owner,
}

impl Fleet {
    async fn open() -> Self {
        let builder = support::two_planes().env("KEY_PUBLICATION_SECONDS", "2");
        // Most calls with a key that is given up are refused.
        let builder = builder.env("RATE_LIMIT_FAILED_AUTH_PER_MINUTE", "100000");
        let mut stack = builder.start().unwrap();
        let second = stack.add_control_plane().unwrap();
        let second = Http::new(format!("http://{}", second.listen));
        let world = World::closed(Arc::new(stack)).await;
        world.allow(&["GET"], "/v2/**").await;
        let made = world.owner.create_agent("second").await.unwrap();
        let agent = Agent::ready(&second, world.stack.origin(), made)
            .await
            .unwrap();
        let lists = world.allowlists(&["GET"], "/v2/**");
        let (id, connection) = (&agent.id, &world.connection);
        world.owner.allow(id, connection, &lists).await.unwrap();
        let person = Owner::sign_up(&second, world.stack.origin()).await.unwrap();
        let fleet = Self {
            world,
            second,
            agent,
            person,
        };
        for plane in &fleet.world.planes {
            fleet
                .world
                .until(|| async { fleet.call(plane, &fleet.agent).await == 200 })
                .await;
        }
        fleet
    }

    async fn call(&self, plane: &Http, agent: &Agent) -> u16 {
        self.call_with(plane, &agent.token).await
    }

    async fn call_with(&self, plane: &Http, token: &str) -> u16 {
        let target = format!("/v1/proxy/{}/known", self.world.connection);
        let call = Call::get(target).bearer(token);
        plane.send(call).await.unwrap().status.as_u16()
    }

    async fn keys(&self) -> Vec<String> {
        let call = Call::get("/.well-known/jwks.json");
        let set = self.world.control.send(call).await.unwrap();
        let set = set.expect(200).unwrap();
        let keys = set["keys"].as_array().unwrap().iter();
        keys.map(|key| key["kid"].as_str().unwrap().to_owned())
            .collect()
    }

    fn operate(&self, arguments: &[&str]) -> String {
        operate(&self.world.stack, arguments)
    }

    /// Of every control plane, as an agent and as a person.
    async fn renew(&mut self) {
        self.world.agent.renew().await.unwrap();
        self.agent.renew().await.unwrap();
        self.world.owner.renew().await.unwrap();
        self.person.renew().await.unwrap();
    }

    fn kids(&self) -> [String; 4] {
        [
            kid(&self.world.agent.token),
            kid(&self.agent.token),
            kid(&self.world.owner.token),
            kid(&self.person.token),
        ]
    }
}

#[tokio::test]
async fn a_key_follows_another_under_traffic_and_no_call_is_refused() {
    let mut fleet = Fleet::open().await;
    let before = fleet.kids();
    let first = fleet.world.agent.token.clone();
    let at_first = fleet.world.owner.token.clone();
    let said = fleet.operate(&["keys", "rotate"]);
    assert_eq!(
        said.matches("is published and signs from").count(),
        2,
        "{said}"
    );
    let said = fleet.operate(&["keys", "rotate"]);
    assert_eq!(said.matches("on its way already").count(), 2, "{said}");
    let (start, mut calls, mut after) = (Instant::now(), 0, 0);
    // Until all have got tokens of the new keys for a while, and no token was refused meanwhile.
    while after < 20 {
        fleet.renew().await;
        for plane in &fleet.world.planes {
            for token in [&fleet.world.agent.token, &fleet.agent.token, &first] {
                assert_eq!(
                    fleet.call_with(plane, token).await,
                    200,
                    "after {calls} calls"
                );
                calls += 1;
            }
        }
        for (http, token) in [
            (&fleet.second, &fleet.world.owner.token),
            (&fleet.world.control, &fleet.person.token),
            (&fleet.world.control, &at_first),
            (&fleet.second, &fleet.world.agent.token),
            (&fleet.world.control, &fleet.agent.token),
        ] {
            let call = Call::get("/v1/connections").bearer(token);
            assert_eq!(
                http.send(call).await.unwrap().status,
                200,
                "after {calls} calls"
            );
            calls += 1;
        }
        let now = fleet.kids();
        after += usize::from(before.iter().zip(&now).all(|(before, now)| before != now));
        assert!(start.elapsed() < LIMIT, "the new keys do not sign");
    }
    assert!(
        start.elapsed() > Duration::from_secs(2),
        "it signs before it is known"
    );
    println!("{calls} calls, none refused");

    // The old keys still verify, but nobody can sign with them any more.
    assert_eq!(fleet.keys().await.len(), 4);
    let halves = "select count(*) from ah5.t_signing_keys where sealed_private is not null";
    fleet
        .world
        .until(|| async { fleet.world.number(halves).await == 2 })
        .await;
    let kept = "select count(*) from ah5.t_signing_keys where sealed_private is null
                and verifies_until between now() + make_interval(secs => token_seconds + 240)
                    and now() + make_interval(secs => token_seconds + 300)";
    assert_eq!(fleet.world.number(kept).await, 2);

    // Once their last token has expired they are no keys of ours.
    let over = "update ah5.t_signing_keys set verifies_until = now() where replaced_at is not null";
    fleet.world.sql(over).await;
    fleet
        .world
        .until(|| async { fleet.keys().await.len() == 2 })
        .await;
    for plane in &fleet.world.planes {
        fleet
            .world
            .until(|| async { fleet.call_with(plane, &first).await == 401 })
            .await;
        assert_eq!(fleet.call(plane, &fleet.agent).await, 200);
    }
    let listed = fleet.operate(&["keys", "list"]);
    assert_eq!(listed.matches("\tsigns\t").count(), 2, "{listed}");
    assert_eq!(listed.matches("\tretired\t").count(), 2, "{listed}");
}

#[tokio::test]
async fn a_compromised_key_ends_everywhere_within_a_second() {
    let mut fleet = Fleet::open().await;
    let old = fleet.kids();
    let (token, person) = (
        fleet.world.agent.token.clone(),
        fleet.world.owner.token.clone(),
    );
    let call = fleet.world.agent.proxy(
        &fleet.world.connection,
        Method::GET,
        "/sse?events=1000&interval=50",
    );
    let mut stream = fleet.world.planes[0].open(call).await.unwrap().into_body();
    stream.frame().await.unwrap().unwrap();
    let said = fleet.operate(&["keys", "rotate", "--compromised"]);
    assert!(said.contains("every earlier key is given up"), "{said}");
    let (start, mut late) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_millis(2500) {
        let is_late = start.elapsed() > Duration::from_secs(1);
        for plane in &fleet.world.planes {
            let status = fleet.call_with(plane, &token).await;
            assert!(!is_late || status == 401, "{status}");
            late += usize::from(is_late);
        }
        for http in [&fleet.world.control, &fleet.second] {
            for token in [&token, &person] {
                let call = Call::get("/v1/connections").bearer(token);
                let status = http.send(call).await.unwrap().status;
                assert!(!is_late || status == 401, "{status}");
                late += usize::from(is_late);
            }
        }
        sleep(Duration::from_millis(5)).await;
    }
    assert!(late > 20, "{late}");
    println!("{late} calls begun more than a second later, all refused");
    let cut = timeout(Duration::from_secs(5), async {
        while let Some(Ok(_)) = stream.frame().await {}
    });
    assert!(cut.await.is_ok(), "an answer under way outlives its key");

    fleet.renew().await;
    assert!(fleet.kids().iter().zip(&old).all(|(new, old)| new != old));
    for plane in &fleet.world.planes {
        assert_eq!(fleet.call(plane, &fleet.world.agent).await, 200);
        assert_eq!(fleet.call(plane, &fleet.agent).await, 200);
    }
    assert_eq!(fleet.keys().await.len(), 2);
    let gone = "select count(*) from ah5.t_signing_keys
                where compromised and sealed_private is null and mac = ''";
    assert_eq!(fleet.world.number(gone).await, 2);
    let told = fleet
        .world
        .owner
        .audit("action=signing_keys_replaced")
        .await
        .unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["actor"], json!("system"), "{}", told[0]);
}

#[tokio::test]
async fn on_schedule_two_control_planes_make_one_key_of_each_kind() {
    let mut fleet = Fleet::open().await;
    let before = fleet.kids();
    let old = "update ah5.t_signing_keys set signs_from = now() - interval";
    fleet.world.sql(&format!("{old} '89 days'")).await;
    // They have looked since, and left it at that.
    sleep(Duration::from_millis(1200)).await;
    assert_eq!(fleet.keys().await.len(), 2);
    fleet.world.sql(&format!("{old} '90 days'")).await;
    fleet
        .world
        .until(|| async { fleet.keys().await.len() == 4 })
        .await;
    let start = Instant::now();
    while fleet
        .kids()
        .iter()
        .zip(&before)
        .any(|(now, before)| now == before)
    {
        assert!(start.elapsed() < LIMIT, "the new keys do not sign");
        fleet.renew().await;
    }
    let halves = "select count(*) from ah5.t_signing_keys where sealed_private is not null";
    fleet
        .world
        .until(|| async { fleet.world.number(halves).await == 2 })
        .await;
    let made = "select count(*) from ah5.t_signing_keys where reason = 'schedule'";
    assert_eq!(fleet.world.number(made).await, 2);
    let kinds = "select count(distinct kind) from ah5.t_signing_keys where reason = 'schedule'";
    assert_eq!(fleet.world.number(kinds).await, 2);
}

fn operate(stack: &Stack, arguments: &[&str]) -> String {
    let output = stack.operate(arguments, "").unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Which key has signed the token.
fn kid(token: &str) -> String {
    let jws = token.strip_prefix("ah5t_").unwrap_or(token);
    let header = URL_SAFE_NO_PAD
        .decode(jws.split('.').next().unwrap())
        .unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

const LIMIT: Duration = Duration::from_secs(60);
