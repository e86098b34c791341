//! A database that comes back from a backup, and what `restore-check` ends in it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::Arc;

use ah5_testkit::client::{Agent, Answer, Call, Owner};
use http::Method;
use serde_json::json;
use support::{SECRET, World};

/// What an agent and a person held before, between and after the backup.
struct Held {
    world: World,
    /// A token from before the backup, and one from after it: of an epoch that the backup hasn't
    /// reached.
    tokens: [String; 2],
    person: Owner,
    personal_token: String,
    /// An approval that was used after the backup.
    approval: String,
}

impl Held {
    async fn open() -> (Self, String) {
        let mut world = World::closed(Arc::new(support::two_planes().start().unwrap())).await;
        let policy = world.allow(&["GET", "POST"], "/v2/**").await;
        let ask =
            json!([{"label": "Ask", "match": {"methods": ["POST"]}, "action": "require_approval"}]);
        let rules = json!({"rules": {"request": ask, "response": []}});
        let path = format!("/v1/policies/{policy}/rules");
        world
            .owner
            .put(&path, &rules)
            .await
            .unwrap()
            .expect(200)
            .unwrap();
        let before = world.agent.token.clone();
        let made = json!({"name": "t", "scopes": ["*", "vault:execute"]});
        let made = world
            .owner
            .post("/v1/tokens", &made)
            .await
            .unwrap()
            .expect(200)
            .unwrap();
        let personal_token = made["plainToken"].as_str().unwrap().to_owned();
        let (origin, email) = (world.stack.origin(), world.owner.email.clone());
        let password = world.owner.password.clone();
        let person = Owner::sign_in(&world.control, origin, &email, &password)
            .await
            .unwrap();
        let approval = asked(&world).await;
        let path = format!("/v1/approvals/{approval}/approve");
        world
            .owner
            .post(&path, &json!({}))
            .await
            .unwrap()
            .expect(200)
            .unwrap();

        let backup = world.stack.dump().unwrap();
        let used = redeem(&world, &world.agent.token, &approval).await;
        used.expect(200).unwrap();
        person
            .with_cookie("/api/auth/sign-out")
            .await
            .unwrap()
            .expect(200)
            .unwrap();
        for path in ["disable", "enable"] {
            let path = format!("/v1/agents/{}/{path}", world.agent.id);
            world
                .owner
                .post(&path, &json!({}))
                .await
                .unwrap()
                .expect(200)
                .unwrap();
        }
        world.agent.renew().await.unwrap();
        let after = world.agent.token.clone();
        world
            .until(|| async { call(&world, 0, &after).await == 200 })
            .await;
        world.owner.disable(&world.agent.id).await.unwrap();
        world
            .until(|| async { call(&world, 0, &after).await == 401 })
            .await;
        let held = Self {
            tokens: [before, after],
            world,
            person,
            personal_token,
            approval,
        };
        (held, backup)
    }
}

#[tokio::test]
async fn nothing_that_was_ended_or_used_is_good_again() {
    let (mut held, backup) = Held::open().await;
    // Later than the backup, too: the replicas hold a workspace that the restored database has not.
    let stranger = Owner::sign_up(&held.world.control, held.world.stack.origin())
        .await
        .unwrap();
    let made = stranger.create_agent("later").await.unwrap();
    let later = Agent::ready(&held.world.control, held.world.stack.origin(), made)
        .await
        .unwrap();
    let base = held.world.url("/v2");
    let auth = json!({"kind": "bearer"});
    let theirs = stranger.connect(&base, &auth, SECRET).await.unwrap();
    let known = |plane: usize| {
        let call = later.proxy(&theirs, Method::GET, "/known");
        let http = held.world.planes[plane].clone();
        async move { http.send(call).await.unwrap().status.as_u16() }
    };
    for plane in 0..2 {
        held.world
            .until(|| async { known(plane).await == 403 })
            .await;
    }

    held.world.stack.restore(&backup).unwrap();
    // The whole point: what was ended is good again.
    held.world
        .until(|| async { session(&held.person, "/api/auth/token").await == 200 })
        .await;
    held.world
        .until(|| async { call(&held.world, 0, &held.tokens[0]).await == 200 })
        .await;
    // What there never was in this database is unknown, though.
    for plane in 0..2 {
        held.world
            .until(|| async { known(plane).await == 401 })
            .await;
    }

    let done = held.world.stack.operate(&["restore-check"], "").unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    println!("{said}");
    for part in [
        "the tokens of 1 agent",
        "1 approval(s) are taken back",
        "the newest row",
    ] {
        assert!(said.contains(part), "{said}");
    }
    // No epoch is one that was given out after the backup.
    let least = held
        .world
        .number("select min(epoch) from ah5.t_agents")
        .await;
    assert!(least > 1_000_000_000_000, "{least}");
    for plane in 0..2 {
        for token in &held.tokens {
            held.world
                .until(|| async { call(&held.world, plane, token).await == 401 })
                .await;
        }
        held.world
            .until(|| async { known(plane).await == 401 })
            .await;
        let personal = by_person(&held, plane).await;
        assert_eq!(personal, 401);
    }
    for person in [&held.person, &held.world.owner] {
        assert_eq!(session(person, "/api/auth/token").await, 401);
        let call = Call::get("/v1/agents").bearer(&person.token);
        assert_eq!(held.world.control.send(call).await.unwrap().status, 401);
    }
    // Whoever proves himself anew gets in, and finds the approval of before good for nothing.
    renew(&mut held.world).await;
    let again = redeem(&held.world, &held.world.agent.token, &held.approval).await;
    let said = again.expect(409).unwrap();
    assert_eq!(said["error"], "Approval request is denied, not approved");
    let origin = held.world.stack.origin().to_owned();
    let (email, password) = (&held.world.owner.email, &held.world.owner.password);
    let owner = Owner::sign_in(&held.world.control, &origin, email, password)
        .await
        .unwrap();
    assert_eq!(
        owner
            .audit("action=installation_restored")
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        held.world.seen("/v2/echo/once").await.len(),
        1,
        "executed twice"
    );

    // It may be run again.
    let again = held.world.stack.operate(&["restore-check"], "").unwrap();
    assert!(again.status.success());
    for plane in 0..2 {
        let token = held.world.agent.token.clone();
        held.world
            .until(|| async { call(&held.world, plane, &token).await == 401 })
            .await;
    }
}

#[tokio::test]
async fn a_policy_of_the_same_version_with_another_content_is_loaded_anew() {
    let world = World::closed(Arc::new(support::two_planes().start().unwrap())).await;
    let policy = world.allow(&["GET"], "/v2/**").await;
    let content = |pattern: &str| {
        format!(
            "update ah5.t_policies set allowlists = jsonb_set(allowlists, '{{0,pathPatterns}}',
                 '[\"{pattern}\"]') where id = '{policy}'"
        )
    };
    // What a restored database may hold: nothing says that anything has changed.
    world
        .sql(&format!(
            "set session_replication_role = replica; {}; set session_replication_role = origin",
            content("/v2/other")
        ))
        .await;
    assert_eq!(world.get_at(0, "/known").await.status, 200);
    let done = world.stack.operate(&["restore-check"], "").unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let mut world = world;
    renew(&mut world).await;
    for plane in 0..2 {
        world
            .until(|| async { world.get_at(plane, "/known").await.status == 403 })
            .await;
    }
}

async fn asked(world: &World) -> String {
    // Until every data plane asks.
    let mut id = String::new();
    for plane in &world.planes {
        loop {
            let answer = plane
                .send(order(world, &world.agent.token, None))
                .await
                .unwrap();
            if answer.status == 202 {
                let offer = answer.json();
                id = offer["approvalRequestId"].as_str().unwrap().to_owned();
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    id
}

/// Until the new key signs, there are no tokens.
async fn renew(world: &mut World) {
    for _ in 0..500 {
        if world.agent.renew().await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the agent gets no token");
}

async fn redeem(world: &World, token: &str, approval: &str) -> Answer {
    let call = order(world, token, Some(approval));
    world.planes[0].send(call).await.unwrap()
}

fn order(world: &World, token: &str, approval: Option<&str>) -> Call {
    let mut envelope = json!({
        "model": "B", "connectionId": world.connection, "method": "POST",
        "url": world.url("/v2/echo/once"), "body": {"amount": 1},
    });
    if let Some(approval) = approval {
        envelope["approvalId"] = approval.into();
    }
    Call::post("/v1/vault/execute")
        .bearer(token)
        .json(&envelope)
}

async fn call(world: &World, plane: usize, token: &str) -> u16 {
    let target = format!("/v1/proxy/{}/known", world.connection);
    let answer = world.planes[plane]
        .send(Call::get(target).bearer(token))
        .await;
    answer.unwrap().status.as_u16()
}

async fn by_person(held: &Held, plane: usize) -> u16 {
    let target = format!("/v1/proxy/{}/known", held.world.connection);
    let call = Call::get(target).bearer(&held.personal_token);
    let call = call.header("x-ah5-agent-id", &held.world.agent.id);
    held.world.planes[plane]
        .send(call)
        .await
        .unwrap()
        .status
        .as_u16()
}

/// While the database is exchanged there may be no answer but that.
async fn session(person: &Owner, path: &str) -> u16 {
    let answer = person.with_cookie(path).await.unwrap();
    answer.status.as_u16()
}
