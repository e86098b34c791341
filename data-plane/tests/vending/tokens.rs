//! Model A: access tokens for agents.

use http::Method;
use serde_json::json;

use crate::fixture::{Gmail, TOKEN, said};
use crate::support::{self, World};

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
