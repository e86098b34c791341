//! Workloads that others vouch for: who is trusted, what is taken of a token, and how the issuers are
//! asked for their keys. One issuer is a real OpenID provider, the other makes tokens like those of
//! Kubernetes and counts who asks.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;

use ah5_testkit::client::{Agent, Answer, Call, Owner, Prover, Signer};
use http::Method;
use serde_json::{Value, json};

use cluster::{Cluster, SUBJECT};
use support::servers::OpenId;
use support::{World, control_plane, error, of};

const TOKEN: &str = "/v1/agents/token";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// A workspace at an installation that may ask the cluster, and an agent that nothing proves yet.
struct Place {
    world: World,
    cluster: Cluster,
    agent: String,
}

impl Place {
    async fn open() -> Self {
        let cluster = Cluster::start().await;
        let host = cluster.issuer.trim_start_matches("http://").to_owned();
        let stack = control_plane().env("SSRF_ALLOWLIST_HOSTS", &host).start();
        let world = World::at(Arc::new(stack.unwrap())).await;
        let agent = world.owner.create_agent("buyer").await.unwrap().id;
        Self {
            world,
            cluster,
            agent,
        }
    }

    /// With the cluster's service account for the agent.
    async fn trusting() -> Self {
        let place = Self::open().await;
        let body = json!({"issuer": place.cluster.issuer, "subject": SUBJECT});
        place.trust(&body).await.expect(201).unwrap();
        place
    }

    fn trusts(&self) -> String {
        format!("/v1/agents/{}/trusts", self.agent)
    }

    async fn trust(&self, body: &Value) -> Answer {
        self.world.post(&self.trusts(), body).await
    }

    fn audience(&self) -> String {
        format!("{}/agents/{}", self.world.stack.origin(), self.agent)
    }

    fn token(&self) -> String {
        self.cluster.sign(&self.cluster.claims(&self.audience()))
    }

    async fn exchange(&self, token: &str) -> Answer {
        self.world.send(exchange(token)).await
    }

    async fn refused(&self, patch: impl FnOnce(&mut Value)) -> (u16, String) {
        let mut claims = self.cluster.claims(&self.audience());
        patch(&mut claims);
        let answer = self.exchange(&self.cluster.sign(&claims)).await;
        (answer.status.as_u16(), error(&answer))
    }

    async fn works(&self, token: &str) -> bool {
        let call = Call::get("/v1/capabilities/me").bearer(token);
        self.world.send(call).await.status == 200
    }
}

fn exchange(token: &str) -> Call {
    let body = json!({"grant_type": GRANT, "subject_token": token, "subject_token_type": JWT});
    Call::post(TOKEN).json(&body)
}

fn access(answer: &Answer) -> String {
    let answer = answer.expect(200).unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

fn invalid() -> (u16, String) {
    (400, "invalid_request".to_owned())
}

#[tokio::test]
async fn a_service_account_token_becomes_an_agents_token() {
    let place = Place::trusting().await;
    let token = place.token();
    let given = place.exchange(&token).await;
    let body = given.expect(200).unwrap();
    assert_eq!(
        (&body["token_type"], &body["issued_token_type"]),
        (
            &json!("Bearer"),
            &json!("urn:ietf:params:oauth:token-type:access_token")
        )
    );
    let first = access(&given);
    assert!(place.works(&first).await, "nothing was enrolled");
    let agent = place
        .world
        .get(&format!("/v1/agents/{}", place.agent))
        .await
        .json();
    assert_eq!(agent["agent"]["status"], "active");

    let again = place.exchange(&token).await;
    assert_eq!((again.status.as_u16(), error(&again)), invalid());
    assert!(again.contains("used once"), "{}", again.text());
    assert!(
        place
            .works(&access(&place.exchange(&place.token()).await))
            .await
    );
    assert!(place.works(&first).await, "tokens live side by side");

    let issued = place.world.audit("action=agent_token_issued").await;
    let details = &issued[0]["metadata"];
    assert_eq!(
        (&details["issuer"], &details["subject"]),
        (&json!(place.cluster.issuer), &json!(SUBJECT))
    );
    let denied = place.world.audit("action=agent_token_denied").await;
    assert_eq!(denied[0]["metadata"]["reason"], "replay");
    assert_eq!(denied[0]["actor"], "system");
    let log = place.world.log();
    assert!(!log.contains(&token) && !log.contains(&first));
}

#[tokio::test]
async fn the_standards_form_does_as_well() {
    let place = Place::trusting().await;
    let ask = async |more: &[(&str, &str)]| {
        let token = place.token();
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", GRANT)
            .append_pair("subject_token", &token)
            .append_pair(
                "subject_token_type",
                "urn:ietf:params:oauth:token-type:id_token",
            )
            .extend_pairs(more);
        let call = Call::post(TOKEN)
            .header(
                "content-type",
                "application/x-www-form-urlencoded; charset=utf-8",
            )
            .body(form.finish());
        let answer = place.world.send(call).await;
        (answer.status.as_u16(), error(&answer))
    };
    let given = (200, String::new());
    assert_eq!(ask(&[]).await, given);
    assert_eq!(ask(&[("audience", &place.audience())]).await, given);
    let access = "urn:ietf:params:oauth:token-type:access_token";
    assert_eq!(ask(&[("requested_token_type", access)]).await, given);
    let target = (400, "invalid_target".to_owned());
    assert_eq!(ask(&[("audience", "https://other.example")]).await, target);
    assert_eq!(ask(&[("actor_token", "x")]).await, invalid());
    assert_eq!(ask(&[("requested_token_type", JWT)]).await, invalid());
    assert_eq!(ask(&[("subject_token", "x")]).await, invalid());
    let assertion = Call::post(TOKEN)
        .header("content-type", "application/x-www-form-urlencoded")
        .body("grant_type=client_assertion");
    assert_eq!(place.world.send(assertion).await.status, 415);
}

#[tokio::test]
async fn only_exactly_what_is_trusted_is_taken() {
    let place = Place::trusting().await;
    let (other, origin) = (
        place.world.owner.create_agent("other").await.unwrap().id,
        place.world.stack.origin().to_owned(),
    );
    let issuer = place.cluster.issuer.clone();
    for (name, value) in [
        ("sub", json!(format!("{SUBJECT}2"))),
        ("sub", json!("system:serviceaccount:shop:Buyer")),
        ("sub", json!("")),
        ("iss", json!(format!("{issuer}/"))),
        ("iss", json!("https://evil.example")),
        ("iss", json!(origin)),
        ("iss", json!("web")),
        ("aud", json!([format!("{origin}/agents/{other}")])),
        ("aud", json!([place.audience(), "https://other.example"])),
        ("aud", json!([])),
        ("aud", json!(format!("{}/", place.audience()))),
        (
            "aud",
            json!(format!("https://evil.example/agents/{}", place.agent)),
        ),
        ("aud", json!(place.agent)),
    ] {
        let refused = place.refused(|claims| claims[name] = value.clone()).await;
        assert_eq!(refused, invalid(), "{name} {value}");
    }
    assert_eq!(place.cluster.asked(), 0, "nobody made us ask");
    let now = jiff::Timestamp::now().as_second();
    for (name, value) in [
        ("exp", json!(now + 3700)),
        ("exp", json!(now - 70)),
        ("exp", Value::Null),
        ("iat", Value::Null),
        ("iat", json!(now + 90)),
        ("nbf", json!(now + 90)),
    ] {
        let refused = place.refused(|claims| claims[name] = value.clone()).await;
        assert_eq!(refused, invalid(), "{name} {value}");
    }
    let claims = place.cluster.claims(&place.audience());
    let thief = Signer::new().unwrap();
    let forged = thief
        .sign(&json!({"alg": "ES256", "kid": "k1"}), &claims)
        .unwrap();
    let unsigned = thief.sign(&json!({"alg": "none"}), &claims).unwrap();
    let (unsigned, _) = unsigned.rsplit_once('.').unwrap();
    for token in [&*forged, &format!("{unsigned}."), unsigned, "junk", ""] {
        let answer = place.exchange(token).await;
        assert_eq!(
            (answer.status.as_u16(), error(&answer)),
            invalid(),
            "{token}"
        );
    }
    assert_eq!(place.cluster.asked(), 2, "its document and its keys, once");
    assert!(
        place
            .works(&access(&place.exchange(&place.token()).await))
            .await
    );
}

#[tokio::test]
async fn an_issuer_is_asked_seldom_and_may_be_away_for_a_while() {
    let place = Place::trusting().await;
    place.exchange(&place.token()).await.expect(200).unwrap();
    assert_eq!(place.cluster.asked(), 2);
    for _ in 0..5 {
        let unknown = place
            .cluster
            .sign_as("k2", &place.cluster.claims(&place.audience()));
        let answer = place.exchange(&unknown).await;
        assert_eq!((answer.status.as_u16(), error(&answer)), invalid());
    }
    assert_eq!(
        place.cluster.asked(),
        2,
        "unknown keys don't make us ask at will"
    );
    place.cluster.go_down();
    place.exchange(&place.token()).await.expect(200).unwrap();

    // One that was never there is asked once, too.
    let down = Place::trusting().await;
    down.cluster.go_down();
    for _ in 0..3 {
        let answer = down.exchange(&down.token()).await;
        assert_eq!(answer.status, 503, "{}", answer.text());
    }
    assert_eq!(down.cluster.asked(), 1);
    let denied = down.world.audit("action=agent_token_denied").await;
    assert_eq!(denied[0]["metadata"]["reason"], "issuer not available");
}

#[tokio::test]
async fn what_ends_an_agent_ends_its_workload() {
    let place = Place::trusting().await;
    let exchanged = async || access(&place.exchange(&place.token()).await);
    let refused = async || {
        let answer = place.exchange(&place.token()).await;
        assert_eq!((answer.status.as_u16(), error(&answer)), invalid());
    };
    let first = exchanged().await;
    place.world.owner.disable(&place.agent).await.unwrap();
    assert!(!place.works(&first).await);
    refused().await;
    let enable = format!("/v1/agents/{}/enable", place.agent);
    place
        .world
        .post(&enable, &json!({}))
        .await
        .expect(200)
        .unwrap();
    let second = exchanged().await;
    assert!(place.works(&second).await && !place.works(&first).await);

    let listed = place.world.get(&place.trusts()).await.json();
    let trust = &listed["trusts"][0];
    assert_eq!(
        (&trust["issuer"], &trust["subject"], &trust["audience"]),
        (
            &json!(place.cluster.issuer),
            &json!(SUBJECT),
            &json!(place.audience())
        )
    );
    let path = format!("{}/{}", place.trusts(), trust["id"].as_str().unwrap());
    let gone = place.world.owner.delete(&path).await.unwrap();
    gone.expect(200).unwrap();
    assert!(!place.works(&second).await, "its tokens went with it");
    refused().await;
    let agent = place
        .world
        .get(&format!("/v1/agents/{}", place.agent))
        .await
        .json();
    assert_eq!(
        agent["agent"]["status"], "created",
        "nothing vouches for it now"
    );
    let again = place.world.owner.delete(&path).await.unwrap();
    assert_eq!(again.status, 404);
    let trail = place.world.audit("action=agent_trust_removed").await;
    assert_eq!(trail[0]["metadata"]["tokensRevoked"], 1);
    assert_eq!(place.world.audit("action=agent_trust_added").await.len(), 1);
}

#[tokio::test]
async fn a_workload_that_proves_possession_gets_a_bound_token() {
    let place = Place::trusting().await;
    let path = format!("/v1/agents/{}", place.agent);
    let demand = json!({"requireDpop": true});
    place.world.put(&path, &demand).await.expect(200).unwrap();
    let token = place.token();
    let plain = place.exchange(&token).await;
    assert_eq!(error(&plain), "invalid_dpop_proof");
    let mut prover = Prover::new(place.world.stack.origin()).unwrap();
    let given = prover.send(&place.world.http, exchange(&token), None).await;
    let given = given.unwrap().expect(200).unwrap();
    assert_eq!(
        given["token_type"], "DPoP",
        "the subject token was not lost"
    );
    let access = given["access_token"].as_str().unwrap();
    assert!(!place.works(access).await);
    let mine = Call::get("/v1/capabilities/me");
    let answer = prover.send(&place.world.http, mine, Some(access)).await;
    assert_eq!(answer.unwrap().status, 200);
}

#[tokio::test]
async fn who_is_trusted_is_an_admins_word_given_lately() {
    let place = Place::open().await;
    let world = &place.world;
    let body = json!({"issuer": place.cluster.issuer, "subject": SUBJECT});
    let by = async |person: &Owner| {
        let answer = person.post(&place.trusts(), &body).await.unwrap();
        answer.status.as_u16()
    };
    assert_eq!(by(&world.member("approver").await).await, 403);
    assert_eq!(by(&world.stranger().await).await, 404);
    let token = json!({"name": "p", "scopes": ["agents:write"]});
    let token = world.post("/v1/tokens", &token).await.expect(200).unwrap();
    let call = Call::post(place.trusts()).bearer(token["plainToken"].as_str().unwrap());
    assert_eq!(world.send(call.json(&body)).await.status, 403);
    let agent: Agent = world.agent().await;
    let call = agent.call(Method::POST, &place.trusts()).json(&body);
    assert_eq!(world.send(call).await.status, 403);
    let since = |minutes| {
        format!(
            "update ah5.t_sessions set authenticated_at = now() - interval '{minutes} minutes'
             where user_id = (select id from ah5.t_users where email = '{}')",
            world.owner.email
        )
    };
    world.sql(&since(6)).await;
    let late = place.trust(&body).await;
    assert_eq!(late.json()["reason"], "reauthentication_required");
    world.sql(&since(0)).await;
    assert_eq!(place.trust(&body).await.status, 201);
    assert_eq!(place.trust(&body).await.status, 409);
    assert_eq!(
        by(&world.member("admin").await).await,
        409,
        "an admin may, too"
    );
}

#[tokio::test]
async fn nobody_is_trusted_whose_word_is_not_his_own() {
    let place = Place::open().await;
    let origin = place.world.stack.origin().to_owned();
    let issuer = &place.cluster.issuer;
    for bad in [
        origin.as_str(),
        &format!("{origin}/"),
        &format!("{origin}/x"),
        &origin.replace("localhost", "127.0.0.1"),
        "web",
        "http://issuer.example",
        "https://u:p@issuer.example",
        "https://issuer.example?x=1",
        "https://issuer.example#x",
        "https://issuer.example/ x",
        "ftp://issuer.example",
        "",
    ] {
        let answer = place.trust(&json!({"issuer": bad, "subject": "s"})).await;
        assert_eq!(answer.status, 400, "{bad}: {}", answer.text());
        if !bad.contains('?') {
            let body = json!({"issuer": issuer, "subject": "s", "jwksUri": bad});
            assert_eq!(place.trust(&body).await.status, 400, "{bad}");
        }
    }
    // Also if it came to be trusted in some other way.
    let sql = format!(
        "insert into ah5.t_agent_trusts (id, workspace_id, agent_id, issuer, subject, created_by)
         select gen_random_uuid(), workspace_id, id, '{origin}', '{SUBJECT}', gen_random_uuid()
         from ah5.t_agents where id = '{}'",
        place.agent
    );
    place.world.sql(&sql).await;
    let ours = place.refused(|claims| claims["iss"] = json!(origin)).await;
    assert_eq!(ours, invalid());
    place.world.sql("delete from ah5.t_agent_trusts").await;
    for subject in ["", "a\nb", &"x".repeat(513)] {
        let body = json!({"issuer": issuer, "subject": subject});
        assert_eq!(place.trust(&body).await.status, 400, "{subject:?}");
    }
    for i in 0..20 {
        let body = json!({"issuer": issuer, "subject": format!("s{i}")});
        assert_eq!(place.trust(&body).await.status, 201);
    }
    let more = place
        .trust(&json!({"issuer": issuer, "subject": "more"}))
        .await;
    assert_eq!(of(&more).0, 409);
}

#[tokio::test]
async fn keys_come_from_where_the_admin_says_and_from_nowhere_inside() {
    let place = Place::open().await;
    let jwks = format!("{}/openid/v1/jwks", place.cluster.issuer);
    let body = json!({"issuer": place.cluster.issuer, "subject": SUBJECT, "jwksUri": jwks});
    place.trust(&body).await.expect(201).unwrap();
    place.exchange(&place.token()).await.expect(200).unwrap();
    assert_eq!(place.cluster.asked(), 1, "no discovery");
    // An address that is not public and not exempt is not connected to.
    let inside = "https://127.0.0.1:1";
    let body = json!({"issuer": inside, "subject": SUBJECT});
    place.trust(&body).await.expect(201).unwrap();
    let mut claims = place.cluster.claims(&place.audience());
    claims["iss"] = inside.into();
    let answer = place.exchange(&place.cluster.sign(&claims)).await;
    assert_eq!(answer.status, 503);
}

#[tokio::test]
async fn an_openid_providers_client_becomes_an_agent() {
    let provider = OpenId::start(&json!({}), &["https://nowhere.example/".to_owned()]);
    let stack = control_plane()
        .env("SSRF_ALLOWLIST_HOSTS", provider.host())
        .start();
    let world = World::at(Arc::new(stack.unwrap())).await;
    let agent = world.owner.create_agent("job").await.unwrap().id;
    let audience = format!("{}/agents/{agent}", world.stack.origin());
    let path = format!("/v1/agents/{agent}/trusts");
    let trust = json!({"issuer": provider.issuer, "subject": "workload"});
    world.post(&path, &trust).await.expect(201).unwrap();
    let token = provider.vouch(&audience).await;
    let access = access(&world.send(exchange(&token)).await);
    let mine = Call::get("/v1/capabilities/me").bearer(&access);
    assert_eq!(world.send(mine).await.status, 200);
    let again = world.send(exchange(&token)).await;
    assert_eq!((again.status.as_u16(), error(&again)), invalid());
    let other = provider.vouch("https://other.example").await;
    let other = world.send(exchange(&other)).await;
    assert_eq!((other.status.as_u16(), error(&other)), invalid());
}
