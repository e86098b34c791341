//! Forged tokens and assertions: one table of attacks, played against both planes with real processes
//! and with the installation's real keys, so that nothing but the fault under test is wrong. Each is
//! 401, and none an error of ours.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod assertions;
mod attacks;
mod forge;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use ah5_harness::stack::Stack;
use ah5_testkit::client::{Agent, Answer, Call, Http};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use forge::{Forge, Genuine, Key, claims_of, header_of};
use support::World;

/// The planes, and a genuine token of either kind.
struct Scene {
    world: World,
    data: Http,
    agent: Agent,
    forge: Forge,
}

impl Scene {
    async fn open() -> Self {
        let stack = support::control_plane().data_planes(1).start().unwrap();
        let world = World::at(Arc::new(stack)).await;
        let data = Http::new(format!("http://{}", world.stack.data_plane(0).listen));
        let agent = world.agent().await;
        let forge = Forge::of(&world.stack).await;
        Self {
            world,
            data,
            agent,
            forge,
        }
    }

    fn agent_token(&self) -> Genuine<'_> {
        let token = self.agent.token.strip_prefix("ah5t_").unwrap();
        self.forge.genuine("agent", token)
    }

    fn user_token(&self) -> Genuine<'_> {
        self.forge.genuine("user", &self.world.owner.token)
    }

    /// At the control plane and at the data plane, as the credential `value` of the header.
    async fn show(&self, header: &str, value: &str) -> [Answer; 2] {
        let control = Call::get("/v1/connections").header(header, value);
        let control = self.world.http.send(control).await.unwrap();
        let envelope = json!({
            "model": "B", "connectionId": "00000000-0000-4000-8000-000000000000",
            "method": "GET", "url": "https://api.example.com/v2/users", "agentId": self.agent.id,
        });
        let call = || Call::post("/v1/vault/execute").header(header, value);
        let mut data = self.data.send(call().json(&envelope)).await.unwrap();
        // It may be too busy to look whether it has missed something, and says so.
        for _ in 0..PATIENCE {
            if data.status != 503 {
                break;
            }
            tokio::time::sleep(STEP).await;
            data = self.data.send(call().json(&envelope)).await.unwrap();
        }
        [control, data]
    }

    async fn bearer(&self, token: &str) -> [Answer; 2] {
        self.show("authorization", &format!("Bearer {token}")).await
    }

    /// Plays the whole table; what isn't refused everywhere is a fault.
    async fn refused(&self, prefix: &str, attacks: Vec<(String, String)>) {
        let count = attacks.len();
        let played = stream::iter(attacks).map(|(name, token)| async move {
            let answers = self.bearer(&format!("{prefix}{token}")).await;
            let answers = ["control", "data"].into_iter().zip(answers);
            let through = answers.filter(|(_, answer)| answer.status != 401);
            let fault = |(plane, answer): (&str, Answer)| {
                format!("{name} at {plane}: {} {}", answer.status, answer.text())
            };
            through.map(fault).collect::<Vec<_>>()
        });
        let faults: Vec<Vec<String>> = played.buffered(AT_ONCE).collect().await;
        let faults = faults.concat();
        assert!(
            faults.is_empty(),
            "{} of {count}:\n{}",
            faults.len(),
            faults.join("\n")
        );
        println!("{count} attacks were refused by both planes");
    }
}

#[tokio::test]
async fn no_forged_agent_token_is_good_anywhere() {
    let scene = Scene::open().await;
    let genuine = scene.agent_token();
    let again = genuine.with(&json!({}), &json!({}));
    for answer in scene.bearer(&format!("ah5t_{again}")).await {
        assert!(
            answer.status != 401 && !answer.status.is_server_error(),
            "the forge works"
        );
    }
    let stranger = scene.world.stranger().await;
    let other = claims_of(&stranger.token)["wid"].clone();
    let made = stranger.create_agent("theirs").await.unwrap();
    let epoch = genuine.claims["epoch"].as_i64().unwrap();
    let mut table = attacks::common(&genuine, &scene.forge);
    for (name, claims) in [
        ("the workspace of somebody else", json!({"wid": other})),
        (
            "an agent of somebody else",
            json!({"sub": format!("agent:{}", made.id)}),
        ),
        (
            "no agent",
            json!({"sub": format!("agent:{}", uuid::Uuid::new_v4())}),
        ),
        ("a bare id", json!({"sub": scene.agent.id})),
        (
            "the person",
            json!({"sub": claims_of(&scene.world.owner.token)["sub"]}),
        ),
        ("an earlier epoch", json!({"epoch": epoch - 1})),
        ("a later epoch", json!({"epoch": epoch + 1})),
        ("the latest epoch", json!({"epoch": i64::MAX})),
        ("an epoch as text", json!({"epoch": epoch.to_string()})),
        ("a fraction of an epoch", json!({"epoch": 1.5})),
        ("bound to a key", json!({"cnf": {"jkt": "x"}})),
        ("not yet", json!({"nbf": genuine.now() + 3600})),
        (
            "too long a life",
            json!({"exp": genuine.now() + 31 * 86_400}),
        ),
    ] {
        table.push((name.to_owned(), genuine.with(&json!({}), &claims)));
    }
    for claim in ["sub", "wid", "epoch", "jti", "iss", "aud", "iat", "exp"] {
        table.push((format!("no {claim}"), genuine.without(claim)));
    }
    table.push(("a user's token".to_owned(), scene.world.owner.token.clone()));
    scene.refused("ah5t_", table).await;
}

#[tokio::test]
async fn no_forged_user_token_is_good_anywhere() {
    let scene = Scene::open().await;
    let genuine = scene.user_token();
    let again = genuine.with(&json!({}), &json!({}));
    for answer in scene.bearer(&again).await {
        assert!(
            answer.status != 401 && !answer.status.is_server_error(),
            "the forge works"
        );
    }
    let stranger = scene.world.stranger().await;
    let theirs = claims_of(&stranger.token);
    let mut table = attacks::common(&genuine, &scene.forge);
    for (name, claims) in [
        (
            "the workspace of somebody else",
            json!({"wid": theirs["wid"]}),
        ),
        ("somebody else", json!({"sub": theirs["sub"]})),
        ("nobody", json!({"sub": uuid::Uuid::new_v4()})),
        (
            "an agent",
            json!({"sub": format!("agent:{}", scene.agent.id)}),
        ),
        ("no session's id", json!({"sid": "x"})),
        ("not yet", json!({"nbf": genuine.now() + 60})),
        ("no time of the first use", json!({"nbf": null})),
        ("too long a life", json!({"exp": genuine.now() + 3600})),
        ("roles as text", json!({"roles": "owner"})),
    ] {
        table.push((name.to_owned(), genuine.with(&json!({}), &claims)));
    }
    for claim in [
        "sub", "wid", "roles", "scp", "sid", "jti", "iss", "aud", "iat", "nbf", "exp",
    ] {
        table.push((format!("no {claim}"), genuine.without(claim)));
    }
    let bare = scene.agent.token.strip_prefix("ah5t_").unwrap();
    table.push(("an agent's token".to_owned(), bare.to_owned()));
    scene.refused("", table).await;
}

#[tokio::test]
async fn a_token_is_good_in_its_own_place_only() {
    let scene = Scene::open().await;
    let (agent, user) = (&scene.agent.token, &scene.world.owner.token);
    for (header, value) in [
        ("x-api-key", user.clone()),
        ("x-goog-api-key", user.clone()),
        ("authorization", format!("bearer {user}")),
        ("authorization", format!("Basic {agent}")),
        ("authorization", format!("DPoP {agent}")),
        ("authorization", format!("Bearer {}", agent.to_uppercase())),
        ("authorization", format!("Bearer ah5p_{}", &agent[5..])),
        ("authorization", format!("Bearer ah5b_{}", &agent[5..])),
        ("authorization", format!("Bearer ah5t_{agent}")),
    ] {
        for answer in scene.show(header, &value).await {
            assert_eq!(answer.status, 401, "{header}: {value}");
        }
    }
    // A session of somebody who is not the person, and one that nobody has.
    let stranger = scene.world.stranger().await;
    for sid in [
        claims_of(&stranger.token)["sid"].clone(),
        json!(uuid::Uuid::new_v4()),
    ] {
        let token = scene.user_token().with(&json!({}), &json!({"sid": sid}));
        let call = Call::get("/v1/connections").bearer(&token);
        assert_eq!(scene.world.send(call).await.status, 401);
    }
}

#[tokio::test]
async fn a_key_that_was_put_into_the_database_is_trusted_nowhere() {
    let mut stack = support::control_plane().data_planes(1).start().unwrap();
    let world_at = |stack: &Stack| format!("http://{}", stack.control_plane().listen);
    let http = Http::new(world_at(&stack));
    let owner = ah5_testkit::client::Owner::sign_up(&http, stack.origin())
        .await
        .unwrap();
    let forge = Forge::of(&stack).await;
    let client = support::at_database(&stack).await;
    let mut planted = Vec::new();
    for kind in ["agent", "user"] {
        let (key, ours) = (Key::new(kind), forge.key(kind));
        // With the seal and the MAC of a key of ours, which it would push aside by being newer.
        let sql = "insert into ah5.t_signing_keys (kid, kind, alg, public_jwk, sealed_private, mac,
                       reason, signs_from, token_seconds)
                   select $1, kind, alg, $2, sealed_private, mac, 'operator', now(), 300
                   from ah5.t_signing_keys where kid = $3";
        let (kid, jwk) = (key.kid(), key.public_jwk());
        client
            .execute(sql, &[&kid, &jwk, &ours.kid()])
            .await
            .unwrap();
        planted.push(key);
    }
    let log = stack.logs().join("control-plane.log");
    let heard = |kid: &str| std::fs::read_to_string(&log).unwrap().contains(kid);
    for _ in 0..PATIENCE {
        if planted.iter().all(|key| heard(key.kid())) {
            break;
        }
        tokio::time::sleep(STEP).await;
    }
    assert!(planted.iter().all(|key| heard(key.kid())), "nobody is told");
    let jwks = http
        .send(Call::get("/.well-known/jwks.json"))
        .await
        .unwrap();
    assert!(planted.iter().all(|key| !jwks.text().contains(key.kid())));
    let (header, claims) = (header_of(&owner.token), claims_of(&owner.token));
    let forged = planted[1].token(&with(&header, "kid", planted[1].kid()), &claims);
    let data = Http::new(format!("http://{}", stack.data_plane(0).listen));
    for (plane, http) in [("control", &http), ("data", &data)] {
        let call = Call::post("/v1/vault/execute")
            .bearer(&forged)
            .json(&json!({}));
        let answer = match plane {
            "control" => {
                http.send(Call::get("/v1/connections").bearer(&forged))
                    .await
            }
            _ => http.send(call).await,
        };
        assert_eq!(answer.unwrap().status, 401, "{plane}");
    }
    // Ours go on, and are what a control plane that starts now signs with.
    let made = owner.create_agent("bot").await.unwrap();
    let further = stack.add_control_plane().unwrap();
    let further = Http::new(format!("http://{}", further.listen));
    let agent = Agent::ready(&further, stack.origin(), made).await.unwrap();
    let bare = agent.token.strip_prefix("ah5t_").unwrap();
    assert_eq!(header_of(bare)["kid"], forge.key("agent").kid());
    let listed = stack.operate(&["keys", "list"], "").unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(listed.matches("NOT OURS").count(), 2, "{listed}");
}

fn with(object: &Value, name: &str, value: &str) -> Value {
    let mut object = object.clone();
    object[name] = value.into();
    object
}

/// A user's token lives for five minutes, and the table should be through by then.
const AT_ONCE: usize = 8;
const STEP: Duration = Duration::from_millis(50);
const PATIENCE: usize = 200;
