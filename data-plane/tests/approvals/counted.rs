//! An approved call whose answer breaks off, or says no: the provider was asked once, and the approval
//! says what is known of it.

use serde_json::{Value, json};

use crate::asking::{Asking, error};

impl Asking {
    /// Asks, has it approved and redeems it at one replica; then tries it at all of them. How often the
    /// provider was asked, and the status and outcome.
    async fn counted(&self, path: &str, body: &Value) -> (u16, usize, (String, Value)) {
        let id = self.ask(path, body).await;
        self.decide(&id, "approve").await;
        let answer = self.redeem(path, body, &id).await;
        let status = answer.status.as_u16();
        self.world
            .until(|| async { self.status(&id).await.1 != "executing" })
            .await;
        for plane in &self.world.planes {
            let call = self.again(path, body, &id, &json!({}));
            let again = plane.send(call).await.unwrap();
            let consumed = "Approval request is consumed, not approved";
            assert_eq!(error(&again), (409, consumed.into()), "{path}");
        }
        let (path, _) = path.split_once('?').unwrap_or((path, ""));
        let seen = self.world.seen(path).await.len();
        (status, seen, self.status(&id).await)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_breaks_off_was_asked_once_and_what_is_known_is_told() {
    let asking = Asking::open().await;
    let agent = &asking.world.agent.id;
    let raw = |text: &str| json!(text);
    for (n, (route, body, outcome)) in [
        // Nothing of an answer, and the beginning of a head: nobody knows.
        ("close", json!({"n": 1}), "unknown"),
        ("raw", raw("HTTP/1.1 200 OK\r\ncontent-le"), "unknown"),
        (
            "raw",
            raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n"),
            "unknown",
        ),
        // A head is an answer, whatever becomes of its body.
        (
            "raw",
            raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart"),
            "executed",
        ),
        ("reset", json!({"n": 2}), "executed"),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/v2/{route}/{agent}/{n}?reset=1&after=10");
        let (status, seen, approval) = asking.counted(&path, &body).await;
        assert_eq!((status, seen), (502, 1), "{route} {body}");
        assert_eq!(
            approval,
            ("consumed".into(), outcome.into()),
            "{route} {body}"
        );
    }
}

/// Also one that could be repeated without harm: a person approved one call.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_says_no_uses_the_approval_up() {
    let asking = Asking::open().await;
    let agent = &asking.world.agent.id;
    for (n, status) in ["401 No", "429 Later\r\nretry-after: 0", "500 Oh", "503 No"]
        .into_iter()
        .enumerate()
    {
        let path = format!("/v2/raw/{agent}/{n}");
        let body = json!(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n"));
        let (told, seen, approval) = asking.counted(&path, &body).await;
        assert_eq!((told, seen), (200, 1), "{status}");
        assert_eq!(approval, ("consumed".into(), "executed".into()), "{status}");
    }
}
