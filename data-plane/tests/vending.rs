//! What is handed out of the vault, and what isn't: access tokens to agents, credentials to admins.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use ah5_testkit::client::{Agent, Answer, Call};
use http::Method;
use serde_json::{Value, json};
use support::World;
use support::sealed::{Sealed, insert};

const TOKEN: &str = "ya29.access-token-0123456789abcdef";
const GMAIL: &str = "https://gmail.googleapis.com/";
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// A world with a connection by OAuth whose token is good for so long.
struct Gmail {
    world: World,
    id: String,
}

// === impl Gmail ===

impl Gmail {
    async fn good_for(expires_in: Option<i64>) -> Self {
        let world = World::closed(support::shared()).await;
        let new = Sealed {
            service: "google-gmail",
            base_url: GMAIL,
            secret: TOKEN,
            token_url: Some(TOKEN_URL),
            expires_in,
            ..Sealed::default()
        };
        let id = insert(&world, new).await;
        Self { world, id }
    }

    async fn policy(&self, changes: &Value) -> Answer {
        let mut policy = json!({
            "agentId": self.world.agent.id, "connectionId": self.id, "allowedModels": ["A", "B"],
            "defaultMode": "read_write", "stepUpApproval": "never",
            "allowlists": [{
                "baseUrl": "https://gmail.googleapis.com", "pathPatterns": ["/**"],
                "methods": ["GET", "POST", "PUT", "DELETE", "PATCH"],
            }],
        });
        for (name, value) in changes.as_object().unwrap() {
            policy[name] = value.clone();
        }
        let owner = &self.world.owner;
        owner.post("/v1/policies", &policy).await.unwrap()
    }

    /// Turns something on, and waits until a replica that gave `before` does not any more.
    async fn allow(&self, what: &Value) {
        let path = "/v1/workspaces/current/vending";
        let answer = self.world.owner.put(path, what).await.unwrap();
        answer.expect(200).unwrap();
    }

    /// Until the replica knows everything that is so now: who comes with the token of an agent that is
    /// new has the workspace read anew.
    async fn settled(&self) {
        let world = &self.world;
        let made = world.owner.create_agent("news").await.unwrap();
        let news = Agent::ready(&world.control, world.stack.origin(), made).await;
        let news = news.unwrap();
        let nowhere = uuid::Uuid::new_v4().to_string();
        world
            .until(|| async {
                let call = news.proxy(&nowhere, Method::GET, "/");
                world.send(call).await.status == 404
            })
            .await;
    }

    async fn ask(&self) -> Answer {
        let body = json!({"model": "A", "connectionId": self.id});
        let call = self.world.agent.call(Method::POST, "/v1/vault/execute");
        self.world.send(call.json(&body)).await
    }

    async fn ask_until(&self, status: u16) -> Answer {
        self.world
            .until(|| async { self.ask().await.status == status })
            .await;
        self.ask().await
    }
}

fn said(answer: &Answer) -> (u16, String, String) {
    let json = answer.json();
    let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
    (answer.status.as_u16(), text("error"), text("hint"))
}

const NO_POLICY: &str = "No policy allows Model A for this connection";

#[tokio::test]
async fn a_token_is_handed_out_once_an_owner_says_so_and_a_policy_too() {
    let gmail = Gmail::good_for(Some(1800)).await;
    gmail
        .policy(&json!({"allowedModels": ["B"]}))
        .await
        .expect(201)
        .unwrap();
    gmail
        .world
        .until(|| async { said(&gmail.ask().await).2.contains("Model B") })
        .await;
    assert_eq!(gmail.ask().await.status, 403);
    gmail.allow(&json!({"modelA": true})).await;
    // The policy that does not list it stands, whatever others say.
    gmail.policy(&json!({})).await.expect(201).unwrap();
    gmail.settled().await;
    let (status, error, hint) = said(&gmail.ask().await);
    assert_eq!((status, &*error), (403, NO_POLICY));
    assert!(hint.contains("Model B"), "{hint}");
    let listed = gmail.world.owner.get("/v1/policies").await.unwrap().json();
    let first = listed["policies"][0]["id"].as_str().unwrap().to_owned();
    let gone = gmail
        .world
        .owner
        .delete(&format!("/v1/policies/{first}"))
        .await;
    gone.unwrap().expect(200).unwrap();
    let token = gmail.ask_until(200).await.json();
    assert_eq!(token["accessToken"], TOKEN);
    assert_eq!(
        (&token["model"], &token["tokenType"]),
        (&json!("A"), &json!("Bearer"))
    );
    let left = token["expiresIn"].as_i64().unwrap();
    assert!((1500..=1800).contains(&left), "{left}");
    assert!(token.get("refreshToken").is_none());
    assert_eq!(
        gmail.world.audit("token_vended", 1).await[0]["decision"],
        "allowed"
    );
    // Whoever turns the agent off is told what is out.
    let path = format!("/v1/agents/{}/disable", gmail.world.agent.id);
    let off = gmail.world.owner.post(&path, &json!({})).await.unwrap();
    let off = off.expect(200).unwrap();
    assert_eq!(off["vendedTokens"][0]["connectionId"], *gmail.id);
}

#[tokio::test]
async fn nothing_is_handed_out_until_an_owner_turns_it_on() {
    let gmail = Gmail::good_for(Some(1800)).await;
    gmail.policy(&json!({})).await.expect(201).unwrap();
    gmail
        .world
        .until(|| async {
            said(&gmail.ask().await)
                .2
                .contains("not enabled for this workspace")
        })
        .await;
    gmail.allow(&json!({"modelA": true})).await;
    gmail.ask_until(200).await;
    gmail.allow(&json!({"modelA": false})).await;
    let (_, error, _) = said(&gmail.ask_until(403).await);
    assert_eq!(error, NO_POLICY);
}

/// A replica that does not know of a revocation yet asks before anything leaves.
#[tokio::test]
async fn what_was_revoked_a_moment_ago_or_cannot_be_written_down_stays_here() {
    let gmail = Gmail::good_for(Some(1800)).await;
    gmail.allow(&json!({"modelA": true})).await;
    gmail.policy(&json!({})).await.expect(201).unwrap();
    gmail.ask_until(200).await;

    let mut other = gmail.world.database().await;
    let held = other.transaction().await.unwrap();
    let row = format!(
        "select from ah5.t_connections where id = '{}' for update",
        gmail.id
    );
    held.batch_execute(&row).await.unwrap();
    let answer = gmail.ask().await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(!answer.contains(TOKEN));
    held.rollback().await.unwrap();
    assert_eq!(gmail.ask().await.status, 200);

    // Without the triggers that tell the replicas.
    let unseen = format!(
        "set session_replication_role = replica;
         update ah5.t_connections set status = 'revoked' where id = '{}'",
        gmail.id
    );
    other.batch_execute(&unseen).await.unwrap();
    let answer = gmail.ask().await;
    assert_eq!(answer.status, 409, "{}", answer.text());
    assert!(!answer.contains(TOKEN));
}

#[tokio::test]
async fn outside_of_a_policys_hours_nothing_is_handed_out() {
    let gmail = Gmail::good_for(Some(1800)).await;
    gmail.allow(&json!({"modelA": true})).await;
    // Yesterday, wherever on earth it is today.
    let now = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(72);
    let day = now.to_zoned(jiff::tz::TimeZone::UTC).weekday();
    let day = day.to_sunday_zero_offset();
    let window = json!([{"dayOfWeek": day, "startHour": 0, "endHour": 24, "timezone": "UTC"}]);
    gmail
        .policy(&json!({"timeWindows": window}))
        .await
        .expect(201)
        .unwrap();
    gmail
        .world
        .until(|| async { !said(&gmail.ask().await).1.contains("No policy") })
        .await;
    let answer = gmail.ask().await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert!(!answer.contains(TOKEN));
}

#[tokio::test]
async fn a_token_without_an_end_or_past_it_stays_here() {
    for (life, status) in [(None, 403), (Some(-5), 503)] {
        let gmail = Gmail::good_for(life).await;
        gmail.allow(&json!({"modelA": true})).await;
        gmail.policy(&json!({})).await.expect(201).unwrap();
        gmail
            .world
            .until(|| async { said(&gmail.ask().await).1.contains("expire") })
            .await;
        let answer = gmail.ask().await;
        assert_eq!(answer.status, status);
        assert!(!answer.contains(TOKEN));
    }
}

#[tokio::test]
async fn an_hours_tokens_are_counted() {
    let gmail = Gmail::good_for(Some(1800)).await;
    gmail.allow(&json!({"modelA": true})).await;
    let limits = json!({"rateLimits": {"maxRequestsPerHour": 1}});
    gmail.policy(&limits).await.expect(201).unwrap();
    // The one that is given is the one that ends the waiting.
    gmail
        .world
        .until(|| async { gmail.ask().await.status == 200 })
        .await;
    let answer = gmail.ask().await;
    let (status, _, hint) = said(&answer);
    assert_eq!(status, 429);
    assert!(hint.contains("1 requests/hour"), "{hint}");
    assert!(answer.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn what_a_token_would_get_around_must_be_acknowledged() {
    let gmail = Gmail::good_for(Some(1800)).await;
    let narrow = json!([{
        "baseUrl": "https://gmail.googleapis.com", "methods": ["GET"], "pathPatterns": ["/gmail/**"],
    }]);
    let deny =
        json!({"request": [{"match": {"methods": ["DELETE"]}, "action": "deny"}], "response": []});
    let filter = json!({
        "request": [],
        "response": [{"match": {}, "filter": {"denyFields": ["snippet"]}}],
    });
    for part in [
        json!({"stepUpApproval": "always"}),
        json!({"defaultMode": "read_only"}),
        json!({"allowlists": narrow}),
        json!({"rules": deny}),
        json!({"rules": filter}),
    ] {
        let refused = gmail.policy(&part).await;
        let (status, error, hint) = said(&refused);
        assert_eq!(status, 400, "{part} {error}");
        assert!(
            hint.contains("acknowledgeUnfiltered"),
            "{part} {error} {hint}"
        );
        let mut known = part.clone();
        known["acknowledgeUnfiltered"] = json!(true);
        let made = gmail.policy(&known).await.expect(201).unwrap();
        assert_eq!(made["policy"]["acknowledgeUnfiltered"], true);
    }
    // Nor is it slipped in later.
    let made = gmail.policy(&json!({})).await.expect(201).unwrap();
    let path = format!(
        "/v1/policies/{}/rules",
        made["policy"]["id"].as_str().unwrap()
    );
    let later = gmail
        .world
        .owner
        .put(&path, &json!({"rules": deny}))
        .await
        .unwrap();
    assert_eq!(later.status, 400);
}

#[tokio::test]
async fn only_tokens_by_oauth_are_for_agents() {
    let world = World::closed(support::shared()).await;
    let policy = json!({
        "agentId": world.agent.id, "connectionId": world.connection, "allowedModels": ["A"],
    });
    let refused = world.owner.post("/v1/policies", &policy).await.unwrap();
    assert_eq!(said(&refused).0, 400);
    assert!(said(&refused).1.starts_with("Model A is not supported for"));
    // A row that says so all the same: the key is none of OAuth's, however long it lives.
    let on = json!({"modelA": true});
    let path = "/v1/workspaces/current/vending";
    world
        .owner
        .put(path, &on)
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    world.allow(&["GET"], "/**").await;
    let connection = &world.connection;
    world
        .sql(&format!(
            "update ah5.t_policies set allowed_models = '{{A}}', version = version + 1
             where connection_id = '{connection}';
             update ah5.t_connection_credentials set expires_at = now() + interval '1 hour'
             where connection_id = '{connection}'"
        ))
        .await;
    let body = json!({"model": "A", "connectionId": connection});
    let call = world.agent.call(Method::POST, "/v1/vault/execute");
    let call = call.json(&body);
    world
        .until(|| async {
            said(&world.send(call.clone()).await)
                .2
                .contains("Only OAuth access tokens")
        })
        .await;
}

struct Resolver<'a> {
    world: &'a World,
    token: String,
}

// === impl Resolver ===

impl Resolver<'_> {
    async fn resolve(&self, body: &Value) -> Answer {
        let call = Call::post("/v1/credentials/resolve").bearer(&self.token);
        self.world.send(call.json(body)).await
    }
}

async fn personal(world: &World, scopes: &[&str]) -> String {
    let body = json!({"name": "t", "scopes": scopes});
    let made = world.owner.post("/v1/tokens", &body).await.unwrap();
    let made = made.expect(200).unwrap();
    made["plainToken"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn credentials_are_for_admins_who_may_and_never_for_agents() {
    let gmail = Gmail::good_for(Some(1800)).await;
    let world = &gmail.world;
    let google = json!({"kind": "plugin_config", "provider": "google"});
    let agent = world.agent.call(Method::POST, "/v1/credentials/resolve");
    let (status, error, hint) = said(&world.send(agent.json(&google)).await);
    assert_eq!(status, 403);
    assert!(error.contains("Agents cannot access credentials/resolve directly"));
    assert!(hint.contains("vault/execute"));
    let mut resolver = Resolver {
        token: world.owner.token.clone(),
        world,
    };
    let (status, error, _) = said(&resolver.resolve(&google).await);
    assert_eq!(
        (status, &*error),
        (403, "credentials/resolve is not enabled for this workspace")
    );
    gmail.allow(&json!({"resolve": true})).await;
    world
        .until(|| async { resolver.resolve(&google).await.status == 200 })
        .await;
    let found = resolver.resolve(&google).await.json();
    assert_eq!(
        (&found["apiKey"], &found["mode"]),
        (&json!(TOKEN), &json!("oauth"))
    );
    assert_eq!(found["source"], format!("vault:google:{}", gmail.id));
    let ttl = found["cacheTtlMs"].as_i64().unwrap();
    assert!((30_000..=300_000).contains(&ttl), "{ttl}");
    for (body, status, text) in [
        (
            json!({"kind": "channel", "provider": "nobody"}),
            404,
            "No credential found for provider: nobody",
        ),
        (
            json!({"kind": "channel"}),
            400,
            "kind and provider are required",
        ),
        (
            json!({"kind": "x", "provider": "google"}),
            400,
            "body/kind must be equal to one of the allowed values",
        ),
        (
            json!({"kind": "channel", "provider": "slack"}),
            404,
            "No credential found for provider: slack",
        ),
        // It has a place of its owner's choice.
        (
            json!({"kind": "channel", "provider": "custom", "profileId": world.connection}),
            404,
            "No credential found for provider: custom",
        ),
    ] {
        let (got, error, _) = said(&resolver.resolve(&body).await);
        assert_eq!((got, &*error), (status, text), "{body}");
    }
    // A token must name the scope; that of calls is not it, nor the other way round.
    resolver.token = personal(world, &["vault:execute", "*"]).await;
    world
        .until(|| async { resolver.resolve(&google).await.status == 403 })
        .await;
    let (_, error, _) = said(&resolver.resolve(&google).await);
    assert_eq!(error, "Missing required scope: credentials:resolve");
    resolver.token = personal(world, &["credentials:resolve"]).await;
    world
        .until(|| async { resolver.resolve(&google).await.status == 200 })
        .await;
    let call = Call::get(format!("/v1/proxy/{}/x", gmail.id)).bearer(&resolver.token);
    let call = call.header("x-ah5-agent-id", &*world.agent.id);
    assert_eq!(
        said(&world.send(call).await).1,
        "Missing required scope: vault:execute"
    );
    world
        .until(|| async {
            let audited = world.owner.audit("action=credential_resolved").await;
            audited
                .unwrap()
                .iter()
                .any(|row| row["decision"] == "allowed")
        })
        .await;
}

#[tokio::test]
async fn a_keys_connection_stays_healthy_when_its_key_is_resolved() {
    let gmail = Gmail::good_for(Some(1800)).await;
    let slack = Sealed {
        service: "slack",
        base_url: "https://slack.com/",
        secret: "xoxb-0123456789-abcdef",
        ..Sealed::default()
    };
    let slack = insert(&gmail.world, slack).await;
    gmail.allow(&json!({"resolve": true})).await;
    let resolver = Resolver {
        token: gmail.world.owner.token.clone(),
        world: &gmail.world,
    };
    let body = json!({"kind": "channel", "provider": "slack"});
    gmail
        .world
        .until(|| async { resolver.resolve(&body).await.status == 200 })
        .await;
    let found = resolver.resolve(&body).await.json();
    assert_eq!(
        (&found["mode"], &found["cacheTtlMs"]),
        (&json!("token"), &json!(300_000))
    );
    let listed = gmail
        .world
        .owner
        .get("/v1/connections")
        .await
        .unwrap()
        .json();
    let all = listed["connections"].as_array().unwrap();
    let shown = all.iter().find(|it| it["id"] == *slack).unwrap();
    assert_eq!(shown["status"], "healthy");
    gmail.world.owner.revoke(&slack).await.unwrap();
    let profile = json!({"kind": "channel", "provider": "slack", "profileId": slack});
    gmail
        .world
        .until(|| async { resolver.resolve(&profile).await.status == 404 })
        .await;
    assert_eq!(
        said(&resolver.resolve(&profile).await).1,
        "Connection is revoked"
    );
}

#[tokio::test]
async fn panic_stops_agents_first_and_connections_only_as_they_were_seen() {
    let gmail = Gmail::good_for(Some(1800)).await;
    gmail.allow(&json!({"modelA": true, "resolve": true})).await;
    let world = &gmail.world;
    let path = "/v1/workspaces/current/panic";
    let seen = world.owner.get(path).await.unwrap().expect(200).unwrap();
    assert_eq!(seen["agents"].as_array().unwrap().len(), 1);
    assert_eq!(seen["connections"].as_array().unwrap().len(), 2);
    let stopped = world
        .owner
        .post(path, &json!({"stop": true}))
        .await
        .unwrap();
    assert_eq!(stopped.expect(200).unwrap()["agentsDisabled"], 1);
    world
        .until(|| async { gmail.ask().await.status == 401 })
        .await;
    // Turning the agent on again turns on nothing else.
    let vends = format!(
        "select count(*) from ah5.t_workspaces w join ah5.t_agents a on a.workspace_id = w.id
         where a.id = '{}' and (w.vends_tokens or w.resolves_credentials)",
        world.agent.id
    );
    assert_eq!(world.number(&vends).await, 0);
    world.owner.enable(&world.agent.id).await.unwrap();
    // Something new has come up since it was looked at.
    let slack = Sealed {
        service: "slack",
        base_url: "https://slack.com/",
        secret: "xoxb-0123456789-abcdef",
        ..Sealed::default()
    };
    insert(world, slack).await;
    let revoke = format!("{path}/revoke");
    let digest = json!({"digest": seen["digest"]});
    let refused = world.owner.post(&revoke, &digest).await.unwrap();
    assert_eq!(refused.status, 409);
    let seen = world.owner.get(path).await.unwrap().expect(200).unwrap();
    let token = personal(world, &["panic"]).await;
    let digest = json!({"digest": seen["digest"]});
    let by_token = Call::post(&*revoke).bearer(&token).json(&digest);
    assert_eq!(world.control.send(by_token).await.unwrap().status, 403);
    let done = world.owner.post(&revoke, &digest).await.unwrap();
    let done = done.expect(200).unwrap();
    let report = done["connections"].as_array().unwrap();
    assert_eq!(report.len(), 3);
    let at = |id: &str| report.iter().find(|it| it["id"] == id).unwrap()["atProvider"].clone();
    assert_eq!(
        (at(&gmail.id), at(&world.connection)),
        (json!("queued"), json!("by_hand"))
    );
    let left = world
        .number(
            "select count(*) from ah5.t_connection_credentials s
        join ah5.t_connections c on c.id = s.connection_id where c.status = 'revoked'",
        )
        .await;
    assert_eq!(left, 0);
}
