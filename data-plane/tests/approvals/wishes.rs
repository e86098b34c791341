//! What an agent may wish for and gets from a person only: personal data as it is, and every field. The
//! person's word must still say so when the call comes again.

use ah5_testkit::client::{Answer, Call};
use http::Method;
use serde_json::{Value, json};

use crate::asking::{Asking, asked, error};
use crate::support::{self, World};

const CARD: &str = "4111 1111 1111 1111";

/// A call with a wish of the envelope's, and with an approval if there is one.
fn wishing(world: &World, url: &str, method: &str, wishes: &Value) -> Call {
    let mut envelope = json!({"model": "B", "method": method, "url": world.url(url)});
    for (name, value) in wishes.as_object().unwrap() {
        envelope[name] = value.clone();
    }
    let call = world.agent.call(Method::POST, "/v1/vault/execute");
    call.json(&envelope)
}

#[tokio::test(flavor = "multi_thread")]
async fn personal_data_goes_as_it_is_once_a_person_said_so() {
    let asking = Asking::open().await;
    let world = &asking.world;
    let redact = json!([{
        "label": "No cards", "match": {"methods": ["POST"]}, "action": "redact",
        "redactConfig": {"fields": ["text"], "types": [{"type": "credit_card"}]},
    }]);
    asking.rules(&redact).await;
    let body = json!({"text": format!("pay with {CARD}"), "n": 1.5});
    let send = async |wishes: Value| -> Answer {
        let mut members = json!({"connectionId": world.connection, "body": body});
        for (name, value) in wishes.as_object().unwrap() {
            members[name] = value.clone();
        }
        world
            .send(wishing(world, &asking.path, "POST", &members))
            .await
    };
    let id = asked(&send(json!({"bypassPiiRedaction": true})).await);
    assert!(world.seen(&asking.path).await.is_empty());
    asking.decide(&id, "approve").await;
    // What was approved is this and no call without the wish.
    let other = send(json!({"approvalId": id})).await;
    assert_eq!(other.status, 403, "{}", other.text());
    let sent = send(json!({"approvalId": id, "bypassPiiRedaction": true})).await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    let seen = world.seen(&asking.path).await;
    assert_eq!(seen.len(), 1);
    // To the byte: nothing is taken out, and no note of the approval put in.
    assert_eq!(seen[0].body, body.to_string());
    let again = send(json!({"approvalId": id, "bypassPiiRedaction": true})).await;
    assert_eq!(error(&again).0, 409);
    // Nobody's word is needed where it is taken out.
    assert_eq!(send(json!({})).await.status, 200);
    assert!(!world.seen(&asking.path).await[1].contains(CARD));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_a_contact_comes_once_a_person_said_so() {
    let asking = Asking::open().await;
    let world = &asking.world;
    let (base, auth) = (world.url("/v1/people"), json!({"kind": "bearer"}));
    let contacts = world
        .owner
        .connect(&base, &auth, support::SECRET)
        .await
        .unwrap();
    let lists = world.allowlists(&["GET"], "/v1/people/**");
    let policy = world
        .owner
        .allow(&world.agent.id, &contacts, &lists)
        .await
        .unwrap();
    // The provider of tests says which path it was asked for; that is the private field here.
    let rules = json!({"rules": {
        "request": [], "fieldStepUpEnabled": true,
        "response": [{"label": "Strip contact PII fields", "match": {},
                      "filter": {"denyFields": ["path"]}}],
    }});
    let path = format!("/v1/policies/{policy}/rules");
    world
        .owner
        .put(&path, &rules)
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    asking.settled().await;
    let get = async |wishes: Value| -> Answer {
        let mut members = json!({"connectionId": contacts});
        for (name, value) in wishes.as_object().unwrap() {
            members[name] = value.clone();
        }
        world
            .send(wishing(world, "/v1/people/c12", "GET", &members))
            .await
    };
    let fewer = get(json!({})).await.expect(200).unwrap();
    assert_eq!(fewer["body"], json!({"ok": true}));
    let id = asked(&get(json!({"requestFullFields": true})).await);
    asking.decide(&id, "approve").await;
    let other = get(json!({"approvalId": id})).await;
    assert_ne!(other.json()["body"]["path"], "/v1/people/c12");
    let all = get(json!({"approvalId": id, "requestFullFields": true})).await;
    let all = all.expect(200).unwrap();
    assert_eq!(all["body"], json!({"ok": true, "path": "/v1/people/c12"}));
    let again = get(json!({"approvalId": id, "requestFullFields": true})).await;
    assert_eq!(error(&again).0, 409);
}
