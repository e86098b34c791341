//! How agents enrol, get tokens, and see what they were given.

use ah5_testkit::client::{Agent, Call};
use http::Method;
use serde_json::{Value, json};

use crate::status;
use crate::support::{self, World, error, of};

#[tokio::test]
async fn an_agent_enrols_and_sees_only_what_it_was_given() {
    let world = World::open().await;
    let agent = world.agent().await;
    let connections = || agent.call(Method::GET, "/v1/connections");
    assert_eq!(
        world.send(connections()).await.json()["connections"],
        json!([])
    );

    let connection = world.connect().await;
    let allowlists = json!([{"baseUrl": "https://api.example.com", "methods": ["GET"], "pathPatterns": ["/v2/**"]}]);
    let draft = json!({"agentId": agent.id, "connectionId": connection, "allowlists": allowlists});
    let (status, policy) = of(&world.post("/v1/policies", &draft).await);
    assert_eq!(
        (status, &policy["policy"]["allowlists"]),
        (201, &allowlists)
    );
    let seen = world.send(connections()).await;
    assert_eq!(
        seen.json()["connections"][0]["policies"][0]["agentName"],
        "bot"
    );
    assert!(!seen.contains(support::SECRET));
}

#[tokio::test]
async fn an_agent_cannot_use_what_is_its_owners() {
    let world = World::open().await;
    let agent = world.agent().await;
    let connection = world.connect().await;
    for path in [
        "/v1/agents",
        "/v1/policies",
        "/v1/audit",
        "/v1/workspaces/current",
        "/agents",
    ] {
        assert_eq!(status(&world, &agent, path).await, 403, "{path}");
    }
    let draft = json!({"agentId": agent.id, "connectionId": connection});
    let secret = format!("/v1/agents/{}/bootstrap-secret", agent.id);
    for (path, body) in [("/v1/policies", draft), (&secret, json!({}))] {
        let call = agent.call(Method::POST, path).json(&body);
        assert_eq!(world.send(call).await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn an_assertion_works_once_and_only_when_young() {
    let world = World::open().await;
    let agent = world.agent().await;
    let request = |life, jti| agent.token_request(life, jti).unwrap();
    let ask = async |body: &Value| agent.ask_token(body).await.unwrap();
    let once = request(60, "once");
    assert_eq!(ask(&once).await.status, 200);
    assert_eq!(error(&ask(&once).await), "Replay detected");
    let long = ask(&request(61, "long")).await;
    assert_eq!(
        (long.status.as_u16(), &*error(&long)),
        (401, "Assertion lifetime must be 60 seconds or less")
    );
    let late = ask(&request(-10, "late")).await.text();
    assert!(late.contains("\"reason\":\"clock_skew\""), "{late}");
    let junk = json!({"client_assertion": "junk", "grant_type": "client_assertion",
                      "client_assertion_type": once["client_assertion_type"]});
    assert_eq!(error(&ask(&junk).await), "Malformed client assertion");
}

#[tokio::test]
async fn an_assertion_of_nobody_is_refused_like_a_strangers() {
    let world = World::open().await;
    let mut agent = world.agent().await;
    for id in ["nobody", "00000000-0000-4000-8000-000000000000"] {
        id.clone_into(&mut agent.id);
        let request = agent.token_request(60, "a").unwrap();
        let refused = agent.ask_token(&request).await.unwrap();
        let text = json!({"error": "Invalid agent or agent not active"});
        assert_eq!(of(&refused), (401, text), "{id}");
    }
    assert!(world.audit("action=agent_token_denied").await.is_empty());
}

#[tokio::test]
async fn a_bootstrap_secret_is_dead_once_its_agent_works() {
    let world = World::open().await;
    let made = world.owner.create_agent("bot").await.unwrap();
    let agent = Agent::ready(&world.http, world.stack.origin(), made).await;
    let agent = agent.unwrap();
    assert_eq!(status(&world, &agent, "/v1/connections").await, 200);
    let again = agent.enrol().await.unwrap();
    let text = json!({"error": "Invalid or expired bootstrap secret"});
    assert_eq!(of(&again), (401, text));
    assert_eq!(
        status(&world, &agent, "/v1/connections").await,
        200,
        "its tokens live on"
    );
    let failed = world.audit("action=agent_bootstrap_failed").await;
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["actor"], "system");
}

#[tokio::test]
async fn a_secret_may_be_used_again_before_the_first_token_is() {
    let world = World::open().await;
    let agent = world.agent().await;
    let other = || {
        let made = ah5_testkit::client::NewAgent {
            id: agent.id.clone(),
            bootstrap_secret: agent.bootstrap_secret.clone(),
        };
        Agent::new(&world.http, world.stack.origin(), made).unwrap()
    };
    let mut second = other();
    assert_eq!(second.enrol().await.unwrap().status, 200);
    assert_eq!(
        status(&world, &agent, "/v1/connections").await,
        401,
        "the first key's tokens ended with it"
    );
    second.renew().await.unwrap();
    assert_eq!(other().enrol().await.unwrap().status, 401, "only once");
    assert_eq!(status(&world, &second, "/v1/connections").await, 200);
}

#[tokio::test]
async fn a_new_secret_ends_those_before_it() {
    let world = World::open().await;
    let made = world.owner.create_agent("bot").await.unwrap();
    let agent = Agent::new(&world.http, world.stack.origin(), made).unwrap();
    let path = format!("/v1/agents/{}/bootstrap-secret", agent.id);
    let newer = world.post(&path, &json!(null)).await.expect(200).unwrap();
    assert_eq!(agent.enrol().await.unwrap().status, 401);
    let enrol =
        json!({"bootstrapSecret": newer["bootstrapSecret"], "publicKey": agent.public_jwk()});
    let enrol = Call::post("/v1/agents/bootstrap").json(&enrol);
    assert_eq!(world.send(enrol).await.status, 200);
}

#[tokio::test]
async fn only_public_keys_that_agents_may_have_are_enrolled() {
    let world = World::open().await;
    let made = world.owner.create_agent("bot").await.unwrap();
    let agent = Agent::new(&world.http, world.stack.origin(), made).unwrap();
    let enrol = async |key: Value| {
        let body = json!({"bootstrapSecret": agent.bootstrap_secret, "publicKey": key});
        of(&world
            .send(Call::post("/v1/agents/bootstrap").json(&body))
            .await)
    };
    let with = |name: &str, value: &str| {
        let mut key = agent.public_jwk();
        key[name] = value.into();
        key
    };
    let point = with("y", agent.public_jwk()["x"].as_str().unwrap());
    for bad in [
        with("d", "AAAA"),
        with("crv", "P-384"),
        with("kty", "RSA"),
        point,
    ] {
        let refused = (400, json!({"error": "Invalid ES256 public key"}));
        assert_eq!(enrol(bad.clone()).await, refused, "{bad}");
    }
    let edwards = json!({"kty": "OKP", "crv": "Ed25519", "use": "sig",
                         "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let mut private = edwards.clone();
    private["d"] = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A".into();
    let refused = (400, json!({"error": "Invalid Ed25519 public key"}));
    assert_eq!(enrol(private).await, refused);
    let (status, enrolled) = enrol(edwards).await;
    assert_eq!((status, &enrolled["status"]), (200, &json!("active")));
    // The key and its thumbprint are those of RFC 8037, appendix A.3.
    let trail = world.audit("action=agent_bootstrapped").await;
    assert_eq!(
        trail[0]["metadata"]["publicKeyThumbprint"],
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
}
