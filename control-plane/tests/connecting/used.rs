//! What was connected, in use: an agent calls the API behind the provider, and never sees the token.

use std::sync::Arc;
use std::time::Duration;

use ah5_testkit::client::Http;
use http::Method;
use serde_json::json;
use tokio::time::Instant;

use crate::fixture::{Fixture, Pair, connection_of};

#[tokio::test]
async fn an_agent_calls_with_the_token_that_a_person_consented_to() {
    let pair = Pair::start(&json!({}), |builder| builder.data_planes(1));
    let fixture = Fixture::of(Arc::new(pair)).await;
    let id = fixture.connect(&["openid", "email"], "ann").await;
    let agent = fixture.world.agent().await;
    let issuer = &fixture.pair.provider.issuer;
    let allow = json!([{"baseUrl": issuer, "methods": ["GET"], "pathPatterns": ["/me"]}]);
    let owner = &fixture.world.owner;
    owner.allow(&agent.id, &id, &allow).await.unwrap();
    let plane = fixture.world.stack.data_plane(0).listen;
    let plane = Http::new(format!("http://{plane}"));
    let who = async || {
        // The snapshot is a moment behind.
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let answer = plane
                .send(agent.proxy(&id, Method::GET, "/me"))
                .await
                .unwrap();
            if answer.status == 200 || Instant::now() > deadline {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let answer = who().await;
    assert_eq!(
        answer.json()["sub"],
        "ann",
        "{} {}",
        answer.status,
        answer.text()
    );

    // After a new consent it is the new token, sealed for the same place.
    let reauth = format!("/v1/connections/{id}/reauth");
    let begun = fixture.world.post(&reauth, &json!({})).await;
    let url = begun.expect(200).unwrap()["authorizationUrl"].clone();
    let path = fixture.consent(url.as_str().unwrap(), "ann").await;
    assert_eq!(connection_of(&fixture.ends(&path).await), id);
    assert_eq!(who().await.json()["sub"], "ann");
}
