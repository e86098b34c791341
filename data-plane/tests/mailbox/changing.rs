//! What an agent changes in a mailbox, and that it changes nothing else.

use http::Method;
use serde_json::{Value, json};

use crate::fixture::{Mailbox, body, failure, letter};

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_moved_copied_and_deleted_one_by_one() {
    let mailbox = Mailbox::open().await;
    for subject in ["a", "bb", "ccc"] {
        mailbox.deliver(None, letter("bob@x.example", subject, "x"));
    }
    body(
        &mailbox
            .call(Method::POST, "/folders", &json!({"name": "Later"}))
            .await,
    );
    let to = json!({"destination": "Later"});
    let moved = body(&mailbox.call(Method::POST, "/messages/1/move", &to).await);
    assert_eq!(
        moved,
        json!({"moved": true, "from": "INBOX", "to": "Later"})
    );
    let copied = body(&mailbox.call(Method::POST, "/messages/2/copy", &to).await);
    assert_eq!(
        copied,
        json!({"copied": true, "from": "INBOX", "to": "Later"})
    );
    assert_eq!(mailbox.subjects("folder=Later").await, ["bb", "a"]);
    assert_eq!(mailbox.subjects("folder=INBOX").await, ["ccc", "bb"]);
    let gone = body(
        &mailbox
            .call(Method::DELETE, "/messages/2", &Value::Null)
            .await,
    );
    assert_eq!(gone, json!({"deleted": true, "uid": 2}));
    assert_eq!(mailbox.subjects("").await, ["ccc"]);
    let url = "/messages/1?folder=Later";
    body(&mailbox.call(Method::DELETE, url, &Value::Null).await);
    assert_eq!(mailbox.subjects("folder=Later").await, ["bb"]);

    let gone = mailbox
        .call(Method::DELETE, "/messages/2", &Value::Null)
        .await;
    assert_eq!(
        failure(&gone),
        (404, 404, "Message 2 not found in INBOX".into())
    );
    let gone = mailbox.call(Method::POST, "/messages/2/move", &to).await;
    assert_eq!(
        failure(&gone),
        (404, 404, "Message 2 not found in INBOX".into())
    );
    for (body, status, text) in [
        (json!({}), 400, "Destination folder is required"),
        (
            json!({"destination": "Nowhere"}),
            404,
            "Folder Nowhere not found",
        ),
        (
            json!({"destination": "a\r\nb LOGOUT"}),
            400,
            "not the name of a folder",
        ),
        (json!({"destination": "*"}), 400, "not the name of a folder"),
    ] {
        let refused = mailbox.call(Method::POST, "/messages/3/move", &body).await;
        assert_eq!(
            failure(&refused),
            (status, status.into(), text.into()),
            "{body}"
        );
    }
    assert_eq!(mailbox.subjects("").await, ["ccc"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_are_set_and_taken_away() {
    let mailbox = Mailbox::open().await;
    mailbox.deliver(None, letter("bob@x.example", "a", "x"));
    let change = json!({"add": ["\\seen", "todo"], "remove": ["\\Flagged"]});
    let done = body(
        &mailbox
            .call(Method::PATCH, "/messages/1/flags", &change)
            .await,
    );
    assert_eq!(
        done,
        json!({"updated": true, "uid": 1, "flagsAdded": ["\\Seen", "todo"],
                            "flagsRemoved": ["\\Flagged"]})
    );
    let flags = mailbox.body("/messages/1").await["flags"].clone();
    let flags: Vec<_> = flags
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(
        flags.contains(&"\\Seen") && flags.contains(&"todo"),
        "{flags:?}"
    );
    // It would be deleted without `DELETE`.
    let delete = json!({"add": ["\\Deleted"]});
    let refused = mailbox
        .call(Method::PATCH, "/messages/1/flags", &delete)
        .await;
    assert_eq!(refused.status, 400);
    body(
        &mailbox
            .call(
                Method::PATCH,
                "/messages/1/flags",
                &json!({"remove": ["todo"]}),
            )
            .await,
    );
    let flags = mailbox.body("/messages/1").await["flags"].to_string();
    assert!(
        !flags.contains("todo") && !flags.contains("Deleted"),
        "{flags}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_takes_nothing_along_that_others_have_marked() {
    let mailbox = Mailbox::open().await;
    for subject in ["a", "bb"] {
        mailbox.deliver(None, letter("bob@x.example", subject, "x"));
    }
    // Marked by another program: the name says so in a Maildir.
    assert_eq!(mailbox.subjects("").await.len(), 2);
    mailbox.post.imap.mark_deleted(&mailbox.user, 1);
    body(
        &mailbox
            .call(Method::DELETE, "/messages/2", &Value::Null)
            .await,
    );
    assert_eq!(mailbox.subjects("").await, ["a"]);
}
