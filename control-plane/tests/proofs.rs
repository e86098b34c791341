//! Tokens that are bound to a key: how agents get them, and what a control plane asks of whoever
//! shows one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use ah5_testkit::client::{Agent, Answer, Call, Prover};
use serde_json::{Value, json};

use support::{World, error};

const TOKEN: &str = "/v1/agents/token";
const MINE: &str = "/v1/capabilities/me";

/// What `WWW-Authenticate` names; empty where there is none.
fn challenged(answer: &Answer) -> String {
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    let error = challenge.strip_prefix("DPoP error=\"").unwrap_or_default();
    error.split('"').next().unwrap_or_default().to_owned()
}

fn request(agent: &Agent, jti: &str) -> Call {
    Call::post(TOKEN).json(&agent.token_request(60, jti).unwrap())
}

async fn open() -> (World, Agent, Prover) {
    let world = World::open().await;
    let agent = world.agent().await;
    let prover = Prover::new(world.stack.origin()).unwrap();
    (world, agent, prover)
}

#[tokio::test]
async fn an_assertion_with_a_proof_gives_a_bound_token() {
    let (world, agent, mut prover) = open().await;
    let call = request(&agent, "once");
    let asked = prover
        .try_once(&world.http, call.clone(), None)
        .await
        .unwrap();
    assert_eq!(
        (asked.status.as_u16(), &*error(&asked)),
        (400, "use_dpop_nonce")
    );
    assert_eq!(
        asked.header("www-authenticate"),
        None,
        "no resource is asked for"
    );
    // The assertion is not lost by that.
    let given = prover.try_once(&world.http, call, None).await.unwrap();
    let given = given.expect(200).unwrap();
    assert_eq!(given["token_type"], "DPoP");
    let token = given["access_token"].as_str().unwrap().to_owned();
    let mine = || Call::get(MINE);
    let answer = prover
        .send(&world.http, mine(), Some(&token))
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    // An alias is another path.
    let alias = Call::get("/capabilities/me");
    let answer = prover.send(&world.http, alias.clone(), Some(&token)).await;
    assert_eq!(answer.unwrap().status, 200);
    let proof = prover.proof(&mine(), Some(&token)).unwrap();
    let crossed = alias.header("authorization", format!("DPoP {token}"));
    let crossed = world.send(crossed.header("dpop", proof)).await;
    assert_eq!(challenged(&crossed), "invalid_dpop_proof");
}

#[tokio::test]
async fn a_bound_token_opens_nothing_by_any_other_way() {
    let (world, mut agent, mut prover) = open().await;
    let plain = agent.token.clone();
    agent.renew_bound(&mut prover).await.unwrap();
    let token = &agent.token;
    let mine = || Call::get(MINE);
    let proven = prover.prove(mine(), Some(token)).unwrap();
    let mut other = Prover::new(world.stack.origin()).unwrap();
    other.nonce.clone_from(&prover.nonce);
    for (attempt, name) in [
        (mine().bearer(token), "invalid_token"),
        (mine().header("x-api-key", token), "invalid_token"),
        (mine().header("x-goog-api-key", token), "invalid_token"),
        (
            mine().header("authorization", format!("DPoP {token}")),
            "invalid_dpop_proof",
        ),
        (proven.clone().header("x-api-key", token), ""),
        (other.prove(mine(), Some(token)).unwrap(), "invalid_token"),
        (prover.prove(mine(), Some(&plain)).unwrap(), "invalid_token"),
        (
            prover.prove(mine(), Some(&world.owner.token)).unwrap(),
            "invalid_token",
        ),
    ] {
        let answer = world.send(attempt).await;
        assert_eq!(
            (answer.status.as_u16(), &*challenged(&answer)),
            (401, name),
            "{}",
            answer.text()
        );
    }
    assert_eq!(world.send(proven.clone()).await.status, 200);
    let again = world.send(proven).await;
    assert_eq!(challenged(&again), "invalid_dpop_proof");
    prover.nonce = None;
    let bare = world.send(prover.prove(mine(), Some(token)).unwrap()).await;
    assert_eq!(challenged(&bare), "use_dpop_nonce");
    assert!(bare.header("dpop-nonce").is_some());
    assert_eq!(world.send(mine().bearer(&plain)).await.status, 200);
}

#[tokio::test]
async fn a_request_for_a_token_takes_one_good_proof_once() {
    let (world, agent, mut prover) = open().await;
    let first = prover
        .send(&world.http, request(&agent, "first"), None)
        .await;
    assert_eq!(first.unwrap().status, 200);
    let now = prover.claims(&Call::post(TOKEN), None)["iat"]
        .as_i64()
        .unwrap();
    for (name, value) in [
        ("htm", json!("GET")),
        ("htu", json!(format!("{}/v1/agents", world.stack.origin()))),
        ("htu", json!(format!("https://evil.example{TOKEN}"))),
        ("iat", json!(now - 70)),
        ("jti", Value::Null),
    ] {
        let mut claims = prover.claims(&Call::post(TOKEN), None);
        claims[name] = value;
        let proof = prover.signer.sign(&prover.header(), &claims).unwrap();
        let answer = world
            .send(request(&agent, "kept").header("dpop", proof))
            .await;
        assert_eq!(
            (answer.status.as_u16(), &*error(&answer)),
            (400, "invalid_dpop_proof"),
            "{claims}"
        );
    }
    let proof = prover.proof(&Call::post(TOKEN), None).unwrap();
    let twice = request(&agent, "kept")
        .header("dpop", &proof)
        .header("dpop", &proof);
    assert_eq!(error(&world.send(twice).await), "invalid_dpop_proof");
    let kept = world
        .send(request(&agent, "kept").header("dpop", &proof))
        .await;
    assert_eq!(
        kept.status,
        200,
        "the assertion was not lost: {}",
        kept.text()
    );
    let again = world
        .send(request(&agent, "other").header("dpop", &proof))
        .await;
    assert_eq!(
        (again.status.as_u16(), &*error(&again)),
        (400, "invalid_dpop_proof")
    );
    let denied = world.audit("action=agent_token_denied").await;
    assert_eq!(denied[0]["metadata"]["reason"], "proof used before");
    let other = world.send(request(&agent, "other")).await;
    assert_eq!(other.json()["token_type"], "Bearer", "that one neither");
}

#[tokio::test]
async fn admins_demand_proofs_of_an_agent() {
    let (world, mut agent, mut prover) = open().await;
    let path = format!("/v1/agents/{}", agent.id);
    let shown = async || world.get(&path).await.json()["agent"]["requireDpop"].clone();
    assert_eq!(shown().await, false);
    let wrong = world.put(&path, &json!({"requireDpop": "yes"})).await;
    assert_eq!(error(&wrong), "body/requireDpop must be boolean");
    let plain = agent.token.clone();
    world
        .put(&path, &json!({"requireDpop": true}))
        .await
        .expect(200)
        .unwrap();
    assert_eq!(shown().await, true);
    let ended = world.send(Call::get(MINE).bearer(&plain)).await;
    assert_eq!(ended.status, 401);
    let refused = world.send(request(&agent, "plain")).await;
    assert_eq!(
        (refused.status.as_u16(), &*error(&refused)),
        (400, "invalid_dpop_proof")
    );
    agent.renew_bound(&mut prover).await.unwrap();
    let bound = agent.token.clone();
    let works = async |prover: &mut Prover| {
        let answer = prover
            .send(&world.http, Call::get(MINE), Some(&bound))
            .await;
        answer.unwrap().status.as_u16()
    };
    assert_eq!(works(&mut prover).await, 200);
    // A change of something else, and the same demand again, end nothing.
    let again = json!({"name": "bot", "requireDpop": true});
    world.put(&path, &again).await.expect(200).unwrap();
    assert_eq!(works(&mut prover).await, 200);
    // Also a token that its epoch does not end.
    world
        .sql(&format!(
            "update ah5.t_agents set epoch = epoch - 1 where id = '{}'",
            agent.id
        ))
        .await;
    let answer = world.send(Call::get(MINE).bearer(&plain)).await;
    assert_eq!(challenged(&answer), "invalid_token");

    let made = json!({"name": "strict", "requireDpop": true});
    let made = world.post("/v1/agents", &made).await.expect(200).unwrap();
    assert_eq!(made["agent"]["requireDpop"], true);
}

#[tokio::test]
async fn whoever_gives_the_demand_up_has_proved_himself_lately() {
    let world = World::open().await;
    let made = json!({"name": "strict", "requireDpop": true});
    let made = world.post("/v1/agents", &made).await.expect(200).unwrap();
    let path = format!("/v1/agents/{}", made["agent"]["id"].as_str().unwrap());
    let token = json!({"name": "p", "scopes": ["agents:write"]});
    let token = world.post("/v1/tokens", &token).await.expect(200).unwrap();
    let token = token["plainToken"].as_str().unwrap();
    let by_token = |body: Value| world.send(Call::put(&path).bearer(token).json(&body));
    let given_up = json!({"requireDpop": false});
    assert_eq!(by_token(given_up.clone()).await.status, 403);
    assert_eq!(
        by_token(json!({"name": "n", "requireDpop": true}))
            .await
            .status,
        200
    );
    let long_ago =
        "update ah5.t_sessions set authenticated_at = now() - interval '6 minutes' where user_id";
    let me = format!(
        "{long_ago} = (select id from ah5.t_users where email = '{}')",
        world.owner.email
    );
    world.sql(&me).await;
    assert_eq!(world.put(&path, &given_up).await.status, 403);
    world
        .sql(&me.replace("now() - interval '6 minutes'", "now()"))
        .await;
    let answer = world.put(&path, &given_up).await.expect(200).unwrap();
    assert_eq!(answer["agent"]["requireDpop"], false);
}
