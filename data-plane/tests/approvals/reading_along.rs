//! An agent that reads everything in which its question is told: the letter, by the very mailbox that it
//! may read, and the chats. It tries whatever is in them, and decides nothing.

use std::collections::BTreeSet;

use ah5_testkit::client::{Answer, Call};
use http::Method;
use serde_json::json;

use crate::house::{House, ORDERS};

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_reads_the_letter_and_the_chats_decides_nothing() {
    let house = House::open().await;
    let order = json!({"amount": 1000});
    let offer = house.order(&order, None).await;
    let id = offer.expect(202).unwrap()["approvalRequestId"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut texts = house.told(&id).await;
    // All of them lead to the page, which is nothing but a page.
    let page = format!("/dashboard/approvals/{id}");
    assert!(texts.iter().all(|text| text.contains(&page)), "{texts:?}");
    texts.push(offer.text());
    let tries = Tries::of(&texts, house.stack.origin(), &id);
    assert!(tries.links.contains(&page));
    let mut number = 0;
    for link in &tries.links {
        for method in [Method::GET, Method::HEAD, Method::POST] {
            for call in house.shown(&Call::new(method.clone(), link)) {
                number += 1;
                let answer = house.follow(call.clone()).await;
                is_of_no_use(&call, &id, &answer);
            }
        }
    }
    println!("{number} attempts");
    for body in [
        json!({}),
        json!({"decision": "approve"}),
        json!({"token": "x"}),
    ] {
        for verb in ["approve", "deny", "rule"] {
            let call = Call::post(format!("/v1/approvals/{id}/{verb}")).json(&body);
            for call in house.shown(&call) {
                let status = house.follow(call).await.status.as_u16();
                assert!([401, 403].contains(&status), "{verb}: {status}");
            }
        }
    }
    // Nothing of all that was a decision.
    assert_eq!(house.status(&id).await, json!(["pending", null]));
    let pending = house.order(&order, Some(&id)).await;
    assert_eq!(pending.status, 409, "{}", pending.text());
    assert_eq!(house.arrived(), 0);
    let decided = ["approval_approved", "approval_denied"];
    for action in decided {
        let query = format!("action={action}");
        assert!(house.owner.audit(&query).await.unwrap().is_empty());
    }

    let approve = format!("/v1/approvals/{id}/approve");
    let answer = house.owner.post(&approve, &json!({})).await.unwrap();
    answer.expect(200).unwrap();
    let passed = house.order(&order, Some(&id)).await;
    assert_eq!(passed.status, 200, "{}", passed.text());
    assert_eq!(house.arrived(), 1);
}

/// What an agent makes of texts.
struct Tries {
    links: BTreeSet<String>,
}

impl Tries {
    fn of(texts: &[String], origin: &str, id: &str) -> Self {
        let mut links = BTreeSet::new();
        let mut words = BTreeSet::from(["a".repeat(64), id.to_owned()]);
        for text in texts {
            // As it is written in a letter.
            let text = text.replace("=\r\n", "").replace("=3D", "=");
            // What stands before the first link is no link.
            for after in text.split(origin).skip(1) {
                let end = after.find(['"', '|', '\\', '<', '>', ' ', '\r', '\n']);
                links.insert(after[..end.unwrap_or(after.len())].to_owned());
            }
            let is_part = |c: char| c.is_ascii_alphanumeric() || "-_:.".contains(c);
            let long = text.split(|c| !is_part(c)).filter(|word| word.len() >= 20);
            words.extend(long.map(str::to_owned));
        }
        links.insert(format!("/v1/approvals/{id}"));
        for verb in ["approve", "deny"] {
            links.insert(format!("/dashboard/approvals/{id}/{verb}"));
            links.insert(format!("/v1/approvals/{id}/{verb}"));
            links.insert(format!("/api/approvals/{id}/{verb}"));
            for word in &words {
                links.insert(format!("/api/quick-action/{word}/{verb}"));
                links.insert(format!("/v1/approvals/{id}/{verb}?token={word}"));
            }
        }
        Self { links }
    }
}

/// A page that says nothing, what its own agent may know, or no.
fn is_of_no_use(call: &Call, id: &str, answer: &Answer) {
    let (status, text) = (answer.status.as_u16(), answer.text());
    let what = format!("{} {}: {status} {text}", call.method, call.target);
    if status != 200 {
        assert!([400, 401, 403, 404, 405].contains(&status), "{what}");
        return;
    }
    assert_ne!(call.method, Method::POST, "{what}");
    let kind = answer.header("content-type").unwrap_or_default();
    if kind.contains("html") {
        assert!(!text.contains(ORDERS), "{what}");
    } else {
        let shows = |name: &str| call.headers.iter().any(|(other, _)| other == name);
        let is_itself = shows("authorization") || shows("x-api-key");
        let is_state = call.target == format!("/v1/approvals/{id}");
        assert!(is_itself && is_state && !text.contains("1000"), "{what}");
    }
}
