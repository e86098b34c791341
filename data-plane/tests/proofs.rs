//! Tokens that are bound to a key, at data planes: what a proof must say, that each is good once
//! wherever it is shown, and that nothing else opens the door.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use ah5_testkit::client::{Answer, Call, Prover};
use serde_json::{Value, json};

use support::World;

/// A world whose agent holds a token that is bound to the prover's key.
async fn bound() -> (World, Prover) {
    let mut world = World::open().await;
    let mut prover = Prover::new(world.stack.origin()).unwrap();
    world.agent.renew_bound(&mut prover).await.unwrap();
    (world, prover)
}

/// A call to the provider, without a credential yet.
fn call(world: &World, target: &str) -> Call {
    Call::get(format!("/v1/proxy/{}{target}", world.connection))
}

impl World {
    async fn at(&self, plane: usize, call: Call) -> Answer {
        self.planes[plane].send(call).await.unwrap()
    }
}

/// What `WWW-Authenticate` names; empty where there is none.
fn error(answer: &Answer) -> String {
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    let error = challenge.strip_prefix("DPoP error=\"").unwrap_or_default();
    error.split('"').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_bound_token_passes_with_a_proof_of_its_own_at_each_call() {
    let (world, mut prover) = bound().await;
    let token = world.agent.token.clone();
    let first = prover
        .try_once(&world.planes[0], call(&world, "/mine"), Some(&token))
        .await
        .unwrap();
    assert_eq!(
        (first.status.as_u16(), &*error(&first)),
        (401, "use_dpop_nonce"),
        "the token endpoint's nonce is none of this replica's"
    );
    assert_eq!(first.json()["error"], "use_dpop_nonce");
    for target in ["/mine", "/mine?x=1", "/b"] {
        let call = call(&world, target);
        let answer = prover.try_once(&world.planes[0], call, Some(&token)).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        assert_eq!(answer.header("dpop-nonce"), None, "the nonce is young");
    }
    let execute = json!({"model": "B", "connectionId": world.connection, "method": "GET",
                         "url": world.url("/v2/mine"), "headers": {"DPoP": "planted-proof"}});
    let execute = Call::post("/v1/vault/execute").json(&execute);
    let answer = prover
        .try_once(&world.planes[0], execute, Some(&token))
        .await;
    assert_eq!(answer.unwrap().status, 200);
    let seen = world.seen("/v2/mine").await;
    assert_eq!(seen.len(), 3);
    for entry in seen {
        let text = format!("{entry:?}").to_lowercase();
        assert!(
            !text.contains("dpop") && !text.contains("planted-proof"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_bound_token_opens_nothing_by_any_other_way() {
    let (world, mut prover) = bound().await;
    let token = world.agent.token.clone();
    let known = prover.send(&world.planes[0], call(&world, "/a"), Some(&token));
    assert_eq!(
        known.await.unwrap().status,
        200,
        "it is remembered from here on"
    );
    for plane in 0..2 {
        let plain = || call(&world, "/stolen");
        let proven = prover.prove(plain(), Some(&token)).unwrap();
        for (attempt, name) in [
            (plain().bearer(&token), "invalid_token"),
            (plain().header("x-api-key", &token), "invalid_token"),
            (plain().header("x-goog-api-key", &token), "invalid_token"),
            (
                plain().header("authorization", format!("DPoP {token}")),
                "invalid_dpop_proof",
            ),
            (proven.clone().header("x-api-key", &token), ""),
            (
                plain()
                    .bearer(&token)
                    .header("dpop", prover.proof(&plain(), Some(&token)).unwrap()),
                "invalid_token",
            ),
        ] {
            let answer = world.at(plane, attempt).await;
            assert_eq!(
                (answer.status.as_u16(), &*error(&answer)),
                (401, name),
                "{}",
                answer.text()
            );
        }
    }
    assert!(world.seen("/v2/stolen").await.is_empty());
}

#[tokio::test]
async fn what_is_bound_to_no_key_does_not_come_as_dpop() {
    let world = World::open().await;
    let prover = Prover::new(world.stack.origin()).unwrap();
    for token in [&world.agent.token, &world.owner.token, "ah5p_x"] {
        let call = prover.prove(call(&world, "/a"), Some(token)).unwrap();
        let answer = world.at(0, call).await;
        assert_eq!(
            (answer.status.as_u16(), &*error(&answer)),
            (401, "invalid_token")
        );
    }
    // Beside a plain token a proof is of no account.
    let call = call(&world, "/a")
        .bearer(&world.agent.token)
        .header("dpop", "x");
    assert_eq!(world.at(0, call).await.status, 200);
}

#[tokio::test]
async fn a_proof_must_be_of_this_key_call_token_and_minute() {
    let (world, mut prover) = bound().await;
    let token = world.agent.token.clone();
    let plain = || call(&world, "/refused");
    let warm = prover.send(&world.planes[0], call(&world, "/a"), Some(&token));
    assert_eq!(warm.await.unwrap().status, 200);
    let now = prover.claims(&plain(), None)["iat"].as_i64().unwrap();
    let mut private = prover.header();
    private["jwk"]["d"] = "AAAA".into();
    let header = |name: &str, value: Value| {
        let mut header = prover.header();
        header[name] = value;
        (header, prover.claims(&plain(), Some(&token)))
    };
    let claim = |name: &str, value: Value| {
        let mut claims = prover.claims(&plain(), Some(&token));
        claims[name] = value;
        (prover.header(), claims)
    };
    let other_url = |url: &str| claim("htu", format!("{url}{}", plain().target).into());
    let thief = Prover::new(world.stack.origin()).unwrap();
    for (header, claims) in [
        header("typ", json!("JWT")),
        header("alg", json!("none")),
        header("alg", json!("EdDSA")),
        header("jwk", thief.signer.public_jwk()),
        (private, prover.claims(&plain(), Some(&token))),
        claim("htm", json!("POST")),
        claim("htu", json!(format!("{}/v1/proxy/x", world.stack.origin()))),
        // Where the call was sent to, by itself, proves nothing.
        other_url(world.planes[0].base()),
        claim("ath", json!("AAAA")),
        claim("ath", Value::Null),
        claim("iat", json!(now - 70)),
        claim("iat", json!(now + 70)),
        claim("jti", json!("")),
    ] {
        let proof = prover.signer.sign(&header, &claims).unwrap();
        let call = plain().header("authorization", format!("DPoP {token}"));
        let answer = world.at(0, call.header("dpop", proof)).await;
        assert_eq!(
            (answer.status.as_u16(), &*error(&answer)),
            (401, "invalid_dpop_proof"),
            "{header} {claims}"
        );
    }
    // A good proof of another key.
    let mut thief = thief;
    thief.nonce = prover.nonce.clone();
    let stolen = world
        .at(0, thief.prove(plain(), Some(&token)).unwrap())
        .await;
    assert_eq!(
        (stolen.status.as_u16(), &*error(&stolen)),
        (401, "invalid_token")
    );
    let twice = prover.prove(plain(), Some(&token)).unwrap();
    let twice = twice.header("dpop", prover.proof(&plain(), Some(&token)).unwrap());
    assert_eq!(error(&world.at(0, twice).await), "invalid_dpop_proof");
    for nonce in [Value::Null, json!("x"), json!("A".repeat(44))] {
        let (header, claims) = claim("nonce", nonce);
        let proof = prover.signer.sign(&header, &claims).unwrap();
        let call = plain().header("authorization", format!("DPoP {token}"));
        let answer = world.at(0, call.header("dpop", proof)).await;
        assert_eq!(error(&answer), "use_dpop_nonce");
        assert!(answer.header("dpop-nonce").is_some());
    }
    assert!(world.seen("/v2/refused").await.is_empty());
}

#[tokio::test]
async fn a_proof_is_good_once_wherever_it_is_shown() {
    let (world, mut prover) = bound().await;
    let token = world.agent.token.clone();
    let warm = prover.send(&world.planes[0], call(&world, "/a"), Some(&token));
    assert_eq!(warm.await.unwrap().status, 200);
    // The first plane alone remembers proofs with its nonce, so the second takes none.
    let once = prover.prove(call(&world, "/once"), Some(&token)).unwrap();
    assert_eq!(world.at(0, once.clone()).await.status, 200);
    assert_eq!(
        error(&world.at(0, once.clone()).await),
        "invalid_dpop_proof"
    );
    let elsewhere = world.at(1, once.clone()).await;
    assert_eq!(error(&elsewhere), "use_dpop_nonce");
    let unused = prover.prove(call(&world, "/unused"), Some(&token)).unwrap();
    assert_eq!(error(&world.at(1, unused).await), "use_dpop_nonce");

    // The nonce that the second plane gave is good at both, and the database remembers for both.
    prover.nonce = elsewhere.header("dpop-nonce").map(str::to_owned);
    for (first, second) in [(0, 1), (1, 0), (0, 0), (1, 1)] {
        let call = prover.prove(call(&world, "/shared"), Some(&token)).unwrap();
        assert_eq!(world.at(first, call.clone()).await.status, 200);
        for plane in [second, first] {
            let again = world.at(plane, call.clone()).await;
            assert_eq!(error(&again), "invalid_dpop_proof", "{first} then {plane}");
        }
    }
    assert_eq!(world.seen("/v2/once").await.len(), 1);
    assert_eq!(world.seen("/v2/shared").await.len(), 4);
}

#[tokio::test]
async fn whoever_meets_another_replica_at_each_call_is_asked_again_twice_in_all() {
    let (world, mut prover) = bound().await;
    let token = world.agent.token.clone();
    let mut asked = 0;
    for i in 0..10 {
        let call = call(&world, &format!("/hop{i}"));
        let plane = &world.planes[i % 2];
        let answer = prover
            .try_once(plane, call.clone(), Some(&token))
            .await
            .unwrap();
        if error(&answer) == "use_dpop_nonce" {
            asked += 1;
            let again = prover.try_once(plane, call, Some(&token)).await.unwrap();
            assert_eq!(again.status, 200);
        } else {
            assert_eq!(answer.status, 200);
        }
    }
    assert_eq!(
        asked, 2,
        "for this replica's nonce, and for one that both take"
    );
}

#[tokio::test]
async fn of_many_who_show_the_same_proof_at_once_one_passes() {
    let (world, mut prover) = bound().await;
    let token = world.agent.token.clone();
    for shared in [false, true] {
        let warm = prover.send(&world.planes[0], call(&world, "/a"), Some(&token));
        assert_eq!(warm.await.unwrap().status, 200);
        if shared {
            let hop = prover.send(&world.planes[1], call(&world, "/a"), Some(&token));
            assert_eq!(hop.await.unwrap().status, 200);
        }
        let target = format!("/race{shared}");
        let proven = prover.prove(call(&world, &target), Some(&token)).unwrap();
        let attempts = (0..12).map(|i| world.at(i % 2, proven.clone()));
        let answers = futures_util::future::join_all(attempts).await;
        let passed = answers.iter().filter(|answer| answer.status == 200);
        assert_eq!(passed.count(), 1, "{target}");
        assert_eq!(world.seen(&format!("/v2{target}")).await.len(), 1);
    }
}

#[tokio::test]
async fn an_agent_of_which_proofs_are_demanded_does_nothing_without() {
    let mut world = World::open().await;
    let plain = world.agent.token.clone();
    for plane in 0..2 {
        assert_eq!(world.get_at(plane, "/before").await.status, 200);
    }
    let path = format!("/v1/agents/{}", world.agent.id);
    let demand = json!({"requireDpop": true});
    let demand = world.owner.put(&path, &demand).await.unwrap();
    let demand = demand.expect(200).unwrap();
    assert_eq!(demand["agent"]["requireDpop"], true);
    for plane in 0..2 {
        world
            .until(|| async { world.get_at(plane, "/after").await.status == 401 })
            .await;
    }
    let request = world.agent.token_request(60, "plain").unwrap();
    let refused = world.agent.ask_token(&request).await.unwrap();
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["error"]),
        (400, &json!("invalid_dpop_proof"))
    );
    let mut prover = Prover::new(world.stack.origin()).unwrap();
    world.agent.renew_bound(&mut prover).await.unwrap();
    let token = world.agent.token.clone();
    for plane in &world.planes {
        let answer = prover
            .send(plane, call(&world, "/bound"), Some(&token))
            .await;
        assert_eq!(answer.unwrap().status, 200, "at once, on every replica");
    }
    // Even if its epoch were no other: as of the snapshot, not of the token.
    let epoch = format!(
        "update ah5.t_agents set epoch = epoch - 1 where id = '{}'",
        world.agent.id
    );
    world.sql(&epoch).await;
    let bearer = || call(&world, "/later").bearer(&plain);
    world
        .until(|| async {
            let answer = world.at(0, bearer()).await;
            answer.contains("must be bound to a key")
        })
        .await;
    assert!(world.seen("/v2/later").await.is_empty());
}
