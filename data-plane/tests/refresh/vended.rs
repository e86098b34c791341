//! Tokens that are handed out (Model A): as good as new, with their real life, and never the one that
//! makes others.

use std::time::Duration;

use ah5_testkit::client::Answer;
use ah5_testkit::simulator::{Gate, Trouble};
use http::Method;
use serde_json::json;
use tokio::time::timeout;

use crate::fixture::{Account, Fixture, until};

/// Only the data plane is left to renew anything.
async fn vending() -> (Fixture, Account) {
    let mut fixture = Fixture::open(1).await;
    let account = fixture.account(3600).await;
    let path = "/v1/workspaces/current/vending";
    let on = fixture.owner.put(path, &json!({"modelA": true})).await;
    on.unwrap().expect(200).unwrap();
    let models = "update ah5.t_policies set allowed_models = '{A,B}', version = version + 1";
    fixture.sql(models).await;
    fixture.settled().await;
    fixture.stack.kill_control_plane();
    (fixture, account)
}

async fn ask(fixture: &Fixture, account: &Account) -> Answer {
    let body = json!({"model": "A", "connectionId": account.id});
    let call = fixture.agent.call(Method::POST, "/v1/vault/execute");
    fixture.planes[0].send(call.json(&body)).await.unwrap()
}

/// Of an hour so many seconds are left.
async fn age(fixture: &Fixture, account: &Account, left: i64) {
    let sql = format!(
        "update ah5.t_connection_credentials
         set expires_at = now() + interval '{left} seconds', updated_at = now() - interval '1 hour'
         where connection_id = '{}'",
        account.id
    );
    fixture.sql(&sql).await;
}

#[tokio::test]
async fn a_token_that_ends_soon_is_renewed_before_it_is_handed_out() {
    let (fixture, account) = vending().await;
    let first = ask(&fixture, &account).await.expect(200).unwrap();
    assert_eq!(first["accessToken"], account.first.access);
    let left = first["expiresIn"].as_i64().unwrap();
    assert!((3500..=3600).contains(&left), "{left}");
    assert_eq!(fixture.endpoint.counts().refreshed, 0);

    // The provider's next tokens live for half as long.
    fixture.endpoint.expire_in(1800);
    age(&fixture, &account, 90).await;
    until(|| async {
        let json = ask(&fixture, &account).await.json();
        json["accessToken"] != account.first.access
    })
    .await;
    let answer = ask(&fixture, &account).await;
    let next = answer.expect(200).unwrap();
    let token = next["accessToken"].as_str().unwrap();
    assert!(fixture.endpoint.accepts(token));
    let left = next["expiresIn"].as_i64().unwrap();
    assert!((1700..=1800).contains(&left), "{left}");
    assert_eq!(fixture.endpoint.counts().refreshed, 1);

    // Nor is the refresh token anywhere in it, by whatever name.
    let mut names: Vec<_> = next.as_object().unwrap().keys().collect();
    names.sort();
    let known = ["accessToken", "auditId", "expiresIn", "model", "tokenType"];
    assert_eq!(names, known);
    assert!(!answer.contains(&account.first.refresh));
}

#[tokio::test]
async fn while_the_provider_is_away_what_is_left_is_handed_out_and_after_that_nothing() {
    let (fixture, account) = vending().await;
    ask(&fixture, &account).await.expect(200).unwrap();
    fixture.endpoint.trouble(vec![Trouble::Reset; 1000]);
    age(&fixture, &account, 600).await;
    until(|| async {
        let json = ask(&fixture, &account).await.json();
        json["expiresIn"].as_i64().is_some_and(|left| left <= 600)
    })
    .await;
    let answer = ask(&fixture, &account).await.expect(200).unwrap();
    assert_eq!(answer["accessToken"], account.first.access);
    age(&fixture, &account, -1).await;
    until(|| async { ask(&fixture, &account).await.status == 503 }).await;
    let answer = ask(&fixture, &account).await;
    assert!(!answer.contains(&account.first.access));
    assert_eq!(fixture.state(&account.id).await.status, "healthy");
}

#[tokio::test]
async fn what_is_forbidden_while_a_token_is_renewed_is_not_handed_out() {
    let (fixture, account) = vending().await;
    ask(&fixture, &account).await.expect(200).unwrap();
    fixture.endpoint.gate(Gate::After);
    age(&fixture, &account, -1).await;
    let first = async {
        // Those of before the replica has heard of it are answered with what there was.
        loop {
            let answer = ask(&fixture, &account).await;
            if answer.json()["accessToken"] != account.first.access {
                return answer;
            }
        }
    };
    let forbidden = async {
        until(|| async { fixture.endpoint.counts().under_way == 1 }).await;
        fixture
            .sql("update ah5.t_policies set status = 'revoked'")
            .await;
        // Whoever comes before the replica has heard of that waits for the token, too.
        until(|| async {
            let asked = timeout(Duration::from_millis(500), ask(&fixture, &account));
            asked.await.is_ok_and(|answer| answer.status == 403)
        })
        .await;
        fixture.endpoint.gate(Gate::Open);
    };
    let (answer, ()) = futures_util::future::join(first, forbidden).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(fixture.endpoint.counts().refreshed, 1);
    assert!(answer.json().get("accessToken").is_none());
}
