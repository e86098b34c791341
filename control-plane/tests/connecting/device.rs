//! Connecting by a code that the person types at the provider.

use std::collections::BTreeMap;

use ah5_testkit::client::{Answer, Call, Http};
use serde_json::json;

use crate::fixture::{Fixture, dressed, keep};
use crate::support::error;

const START: &str = "/v1/connections/device/start";
const POLL: &str = "/v1/connections/device/poll";

#[tokio::test]
async fn an_account_is_connected_by_a_device_code() {
    let fixture = Fixture::open().await;
    let world = &fixture.world;
    let body = fixture.body(&["openid", "read"]);
    let started = world.post(START, &body).await.expect(200).unwrap();
    let id = json!({"pendingConnectionId": started["pendingConnectionId"]});
    assert_eq!(started["interval"], 5);
    assert_eq!(started["client"], "workspace");
    let member = world.member("admin").await;
    let theirs = member.post(POLL, &id).await.unwrap();
    assert_eq!(
        error(&theirs),
        "Pending connection not found",
        "not who began"
    );

    // However often it is asked here, the provider is not before its time.
    for _ in 0..20 {
        let polled = world.post(POLL, &id).await.expect(200).unwrap();
        assert_eq!(polled["status"], "pending");
    }
    let untouched = "select count(*) from ah5.t_pending_connections
                     where next_poll_at = created_at + interval '5 seconds' and oauth_app_id";
    assert_eq!(
        fixture
            .count(&format!("{untouched} = '{}'", fixture.app))
            .await,
        1
    );

    due(&fixture).await;
    let polled = world.post(POLL, &id).await.expect(200).unwrap();
    assert_eq!(polled["status"], "pending", "nobody has typed it in");
    let link = started["verificationUriComplete"].as_str().unwrap();
    type_in(&fixture, link).await;
    due(&fixture).await;
    // Of many at once one has the turn.
    let many = (0..6).map(|_| world.post(POLL, &id));
    let answers = futures_util::future::join_all(many).await;
    let connected: Vec<&Answer> = answers
        .iter()
        .filter(|it| it.contains("connected"))
        .collect();
    assert_eq!(
        connected.len(),
        1,
        "{:?}",
        answers.iter().map(Answer::text).collect::<Vec<_>>()
    );
    let connection = connected[0].json()["connectionId"].clone();
    let shown = fixture.shown(connection.as_str().unwrap()).await;
    assert_eq!(shown["status"], "healthy");
    let again = world.post(POLL, &id).await;
    assert_eq!(again.status, 404, "once");
}

#[tokio::test]
async fn a_device_code_that_is_over_connects_nothing() {
    let fixture = Fixture::open().await;
    let started = fixture.world.post(START, &fixture.body(&["openid"])).await;
    let started = started.expect(200).unwrap();
    let id = json!({"pendingConnectionId": started["pendingConnectionId"]});
    let late = "update ah5.t_pending_connections set expires_at = now() where oauth_app_id";
    fixture
        .world
        .sql(&format!("{late} = '{}'", fixture.app))
        .await;
    let answer = fixture.world.post(POLL, &id).await;
    assert_eq!(
        (answer.status.as_u16(), &*error(&answer)),
        (400, "Connection request expired")
    );
    assert_eq!(fixture.world.post(POLL, &id).await.status, 404);
}

#[tokio::test]
async fn a_token_without_a_session_ends_no_device_code() {
    let fixture = Fixture::open().await;
    let made = json!({"name": "cli", "scopes": ["connections:write"]});
    let made = fixture
        .world
        .post("/v1/tokens", &made)
        .await
        .expect(200)
        .unwrap();
    let token = made["plainToken"].as_str().unwrap();
    let call = Call::post(START).json(&fixture.body(&["openid"]));
    let started = fixture
        .world
        .send(call.bearer(token))
        .await
        .expect(200)
        .unwrap();
    let id = json!({"pendingConnectionId": started["pendingConnectionId"]});
    let polled = Call::post(POLL).json(&id).bearer(token);
    assert_eq!(fixture.world.send(polled).await.status, 403);
    assert_eq!(fixture.world.post(POLL, &id).await.status, 200);
}

/// As if the interval had passed.
async fn due(fixture: &Fixture) {
    let now = "update ah5.t_pending_connections set next_poll_at = now() where oauth_app_id";
    fixture
        .world
        .sql(&format!("{now} = '{}'", fixture.app))
        .await;
}

/// A person follows the link, confirms the code, signs in and consents.
async fn type_in(fixture: &Fixture, link: &str) {
    let issuer = &fixture.pair.provider.issuer;
    let there = Http::new(&**issuer);
    let mut jar = BTreeMap::new();
    let mut call = Call::get(link.strip_prefix(issuer.as_str()).unwrap());
    for _ in 0..15 {
        let answer = there.send(dressed(call, &jar, "ann", None)).await.unwrap();
        keep(&mut jar, &answer);
        let text = answer.text().to_owned();
        if text.contains("Sign-in Success") {
            return;
        }
        call = match answer.header("location") {
            Some(next) => Call::get(next.strip_prefix(issuer.as_str()).unwrap_or(next)),
            None => {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                for name in ["xsrf", "user_code", "confirm"] {
                    if let Some(value) = field(&text, name) {
                        form.append_pair(name, &value);
                    }
                }
                Call::post("/device")
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(form.finish())
            }
        };
    }
    panic!("the code was never confirmed");
}

/// The value of a form's field.
fn field(page: &str, name: &str) -> Option<String> {
    let at = page.find(&format!("name=\"{name}\""))?;
    let rest = &page[at..];
    let (_, rest) = rest.split_once("value=\"")?;
    Some(rest.split('"').next()?.to_owned())
}
