//! Letters and servers that mean no good: the agent gets an answer, and everybody else goes on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

use crate::fixture::{Mailbox, failure, letter, until};

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_are_not_well_formed_are_read_as_far_as_they_go() {
    let mailbox = Mailbox::open().await;
    let nested = (0..200).fold(String::new(), |text, i| {
        format!("{text}Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n")
    });
    let letters: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"\r\n\r\n".to_vec(),
        b"no header at all".to_vec(),
        b"From: \xff\xfe\xfd <a@x.example>\r\nSubject: \xe9\xe8 =?utf-8?b?!!?= =?x?q?=zz?=\r\n\r\n\xff\xc3\x28\r\n".to_vec(),
        b"From: a@x.example\r\nContent-Type: text/plain; charset=nonsense\r\nContent-Transfer-Encoding: base64\r\n\r\n!!not base64!!".to_vec(),
        b"From: a@x.example\r\nContent-Type: multipart/mixed\r\n\r\n--\r\n--x--".to_vec(),
        format!("From: a@x.example\r\n{nested}deep").into_bytes(),
        message_in_message(60).into_bytes(),
        // Deeper than a thread's stack, as it comes and in base64.
        "Content-Type: message/rfc822\r\n\r\n".repeat(100_000).into_bytes(),
        coded(&"Content-Type: message/rfc822\r\n\r\n".repeat(50_000)).into_bytes(),
        format!("From: a@x.example\r\nSubject: {}\r\n\r\nx", "y".repeat(200_000)).into_bytes(),
        format!("From: {}\r\n\r\nx", "a@x.example, ".repeat(5_000)).into_bytes(),
        many_parts(3_000).into_bytes(),
        b"From: a@x.example\r\nDate: Foo, 99 Bar 99999 99:99:99 +9999\r\nMessage-ID: <\r\nReferences: <<<>>> \x01\r\n\r\nx".to_vec(),
    ];
    let count = letters.len();
    for text in letters {
        mailbox.deliver(None, text);
    }
    mailbox.deliver(None, letter("bob@x.example", "good", "x"));
    let listed = mailbox.body("/messages").await;
    assert_eq!(listed["messages"].as_array().unwrap().len(), count + 1);
    assert_eq!(listed["messages"][0]["subject"], "good");
    for uid in 1..=count {
        let read = mailbox.get(&format!("/messages/{uid}")).await;
        assert_eq!(read.status, 200, "{uid}: {}", read.text());
        let first = mailbox.get(&format!("/messages/{uid}/attachments/1")).await;
        assert!(
            matches!(first.status.as_u16(), 200 | 404),
            "{uid}: {}",
            first.text()
        );
        let reply = mailbox
            .call(
                Method::POST,
                &format!("/messages/{uid}/reply"),
                &json!({"textBody": "x"}),
            )
            .await;
        assert!(
            matches!(reply.status.as_u16(), 200 | 400),
            "{uid}: {}",
            reply.text()
        );
    }
    assert_eq!(mailbox.subjects("limit=1").await, ["good"]);
}

fn message_in_message(depth: usize) -> String {
    (0..depth).fold("Subject: core\r\n\r\nx".to_owned(), |inner, _| {
        format!("From: a@x.example\r\nContent-Type: message/rfc822\r\n\r\n{inner}")
    })
}

fn coded(letter: &str) -> String {
    let coded = STANDARD.encode(letter).into_bytes();
    let lines = coded.chunks(76).map(String::from_utf8_lossy);
    let lines: Vec<_> = lines.collect();
    format!(
        "From: a@x.example\r\nContent-Type: message/rfc822\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        lines.join("\r\n")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_of_too_many_headers_is_not_taken_apart() {
    let mailbox = Mailbox::open().await;
    mailbox.deliver(
        None,
        format!("From: a@x.example\r\n{}\r\nx", "a:\r\n".repeat(600_000)),
    );
    let text = "The message has too many headers or parts to be read";
    let refused = mailbox.get("/messages/1").await;
    assert_eq!(failure(&refused), (422, 422, text.into()));
    assert_eq!(mailbox.get("/folders").await.status, 200);
}

fn many_parts(count: usize) -> String {
    let part = "--b\r\nContent-Disposition: attachment; filename=\"f\"\r\n\r\nx\r\n";
    format!(
        "From: a@x.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{}--b--\r\n",
        part.repeat(count)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_breaks_off_is_a_bad_gateway() {
    let mailbox = Mailbox::fake("cut@fake.example").await;
    // It takes any name for what it has; what a rule has judged is the name that was asked for.
    for name in ["INBOX.", "secret", "SECRET"] {
        let other = mailbox.get(&format!("/messages/1?folder={name}")).await;
        let text = format!("Folder {name} not found");
        assert_eq!(failure(&other), (404, 404, text));
    }
    let named = mailbox.get("/messages/1?folder=Secret").await;
    named.expect(502).unwrap();
    let broken = mailbox.get("/messages/1").await;
    assert_eq!(
        broken.expect(502).unwrap()["error"],
        "Provider request failed"
    );
    assert_eq!(broken.header("x-ah5-source"), Some("gateway"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_stop_is_stopped() {
    let mailbox = Mailbox::fake("endless@fake.example").await;
    let text = "Email operation failed: the server's line is too long";
    let stopped = mailbox.get("/messages/1").await;
    assert_eq!(stopped.expect(502).unwrap()["error"], text);
    let mailbox = Mailbox::fake("huge@fake.example").await;
    let text = "Email operation failed: the server says too much";
    let stopped = mailbox.get("/messages/1").await;
    assert_eq!(stopped.expect(502).unwrap()["error"], text);
    // Nonsense is a letter that is not there.
    let mailbox = Mailbox::fake("nonsense@fake.example").await;
    assert_eq!(mailbox.get("/messages/1").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_the_password_is_not_quoted() {
    let mailbox = Mailbox::fake("echo@fake.example").await;
    let (outer, inner, error) = failure(&mailbox.get("/messages/1").await);
    assert_eq!((outer, inner), (500, 500));
    assert_eq!(error, "Email operation failed: NO I do not like …");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_no_longer_opens_is_told_and_noticed() {
    let mailbox = Mailbox::open().await;
    assert_eq!(mailbox.get("/folders").await.status, 200);
    mailbox.post.imap.lock_out(&mailbox.user);
    let text = "Email authentication failed: the server refuses the user name or the password";
    // The first that is refused; the server looks at its file of users once a second.
    let refused = std::cell::OnceCell::new();
    until(async || {
        let answer = mailbox.get("/folders").await;
        answer.status != 200 && refused.set(answer).is_ok()
    })
    .await;
    // Not by 401, which would be about the agent's own token.
    assert_eq!(failure(refused.get().unwrap()), (502, 401, text.into()));
    // It was shown to the server once more, which said no again.
    until(async || mailbox.get("/folders").await.status == 409).await;
    let call = mailbox.asking(&Method::GET, "/folders", &Value::Null, &Value::Null);
    assert_eq!(
        mailbox.send(call).await.json()["error"],
        "Connection requires reauthentication"
    );
}
