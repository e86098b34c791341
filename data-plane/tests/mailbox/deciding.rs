//! Policies about mailboxes: what they deny is not done, in whatever spelling, and what they take out
//! of letters is out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

use crate::fixture::{BASE, Mailbox, PASSWORD, body, failure, letter, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_denied_is_denied_in_every_spelling() {
    let mailbox = Mailbox::open().await;
    mailbox.deliver(None, letter("bob@x.example", "open", "x"));
    mailbox.deliver(
        Some("Secret"),
        letter("bob@x.example", "hush", "hidden words"),
    );
    let deny = json!([
        {"label": "not there", "action": "deny", "match": {"queryPattern": "folder=Secret(&|$)"}},
        {"label": "nor there", "action": "deny", "match": {"queryPattern": "folder=INBOX(&|$)"}},
        {"label": "nor to it", "action": "deny",
         "match": {"body": [{"path": "destination", "op": "eq", "value": "Secret"}]}},
    ]);
    mailbox.rules(&deny, &json!([])).await;
    for url in [
        "/messages?folder=Secret",
        "/messages?folder=%53ecret",
        "/messages/1?folder=Secret",
        &format!("{BASE}/messages?folder=Secret"),
        // The inbox is what is meant where nothing is said.
        "/messages",
        "/messages/1",
        "/messages?folder=inbox",
        "/messages?folder=",
        "/messages/1/attachments/1",
    ] {
        let denied = mailbox.get(url).await;
        assert_eq!(denied.status, 403, "{url}: {}", denied.text());
    }
    let further = json!({"query": {"folder": "Secret"}});
    let call = mailbox.asking(
        &Method::GET,
        "/messages?folder=Other",
        &Value::Null,
        &further,
    );
    assert_eq!(mailbox.send(call).await.status, 403);
    // What is spelled in another way is not there: nothing of it is shown.
    for folder in [
        "secret",
        "Secret.",
        "Secret%2F",
        "Secret%20",
        ".Secret",
        "INBOX.Secret",
        "*",
        "%25",
        "S%65cret.",
        "~/Secret",
        "Secr%65t%00",
        "%22Secret%22",
        "Se*",
    ] {
        let answer = mailbox.get(&format!("/messages?folder={folder}")).await;
        assert!(
            matches!(answer.status.as_u16(), 400 | 404),
            "{folder}: {}",
            answer.text()
        );
        assert!(!answer.contains("hush"), "{folder}");
    }
    let twice = mailbox.get("/messages?folder=Other&folder=Secret").await;
    assert_eq!(twice.status, 400);
    let to = json!({"destination": "Secret"});
    let denied = mailbox
        .call(Method::POST, "/messages/1/move?folder=Other", &to)
        .await;
    assert_eq!(denied.status, 403);
    let proxied = mailbox
        .agent
        .proxy(&mailbox.connection, Method::GET, "/messages");
    assert_eq!(mailbox.send(proxied).await.status, 403);
    // The rest is as it was.
    assert_eq!(mailbox.get("/folders").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn sending_is_denied_while_reading_is_not() {
    let mailbox = Mailbox::open().await;
    mailbox.deliver(None, letter("bob@x.example", "a", "x"));
    let lists = json!([{"baseUrl": BASE, "methods": ["GET"],
                        "pathPatterns": ["/folders", "/messages", "/messages/*"]}]);
    mailbox
        .owner
        .set_allowlists(&mailbox.policy, &lists)
        .await
        .unwrap();
    // What is in the way of one is in the way of all.
    until(async || mailbox.get("/messages/1/attachments/1").await.status == 403).await;
    let draft = json!({"to": [{"address": "bob@x.example"}], "subject": "denied"});
    let denied = mailbox.call(Method::POST, "/messages/send", &draft).await;
    assert_eq!(denied.status, 403);
    for (method, url) in [
        (Method::POST, "/messages/1/reply"),
        (Method::DELETE, "/messages/1"),
        (Method::PATCH, "/messages/1/flags"),
        (Method::GET, "/messages/1/attachments/1"),
        (Method::POST, "/folders"),
    ] {
        assert_eq!(
            mailbox.call(method, url, &json!({})).await.status,
            403,
            "{url}"
        );
    }
    assert_eq!(mailbox.get("/messages/1").await.status, 200);
    let taken = mailbox.post.smtp.mails();
    assert!(!taken.iter().any(|it| it.contains("Subject: denied")));
}

#[tokio::test(flavor = "multi_thread")]
async fn personal_data_is_taken_out_of_letters() {
    let mailbox = Mailbox::open().await;
    let text = "my card is 4111 1111 1111 1111, write to carl@private.example";
    mailbox.deliver(
        None,
        letter("bob@x.example", "card 4111 1111 1111 1111", text),
    );
    mailbox.deliver(
        None,
        format!(
            "From: bob@x.example\r\nSubject: f\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
         Content-Type: text/plain; name=\"a.txt\"\r\n\
         Content-Disposition: attachment; filename=\"a.txt\"\r\n\r\n{text}\r\n--b--\r\n"
        ),
    );
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    mailbox.deliver(
        None,
        format!(
            "From: bob@x.example\r\nSubject: w\r\nMIME-Version: 1.0\r\n\
             Content-Type: application/octet-stream; name=\"w\"\r\n\
             Content-Disposition: attachment\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n{}\r\n",
            STANDARD.encode(wide)
        ),
    );
    let response = json!([
        {"label": "pii", "match": {}, "filter": {"redact": [{"type": "credit_card"}]}},
        {"label": "fewer", "match": {"urlPattern": "^/messages/[0-9]+$"},
         "filter": {"denyFields": ["cc"]}},
    ]);
    mailbox.rules(&json!([]), &response).await;
    let read = mailbox.get("/messages/1").await;
    let shown = body(&read);
    assert!(!read.contains("4111"), "{}", read.text());
    assert!(shown["textBody"].as_str().unwrap().contains("[REDACTED]"));
    assert_eq!(shown.get("cc"), None);
    assert!(!mailbox.get("/messages").await.contains("4111"));
    let further = json!({"download": true});
    let url = "/messages/2/attachments/1";
    let file = mailbox
        .send(mailbox.asking(&Method::GET, url, &Value::Null, &further))
        .await;
    assert!(!file.contains("4111"), "{}", file.text());
    // In base64 it is what the rule looks into, too.
    let file = mailbox.body(url).await;
    let content = file["content"].as_str().unwrap();
    let bytes = STANDARD.decode(content).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("4111"), "{file}");
    assert_eq!(file["size"], bytes.len());
    // What it can't look into has no second way out.
    let call = mailbox.asking(
        &Method::GET,
        "/messages/3/attachments/1",
        &Value::Null,
        &further,
    );
    mailbox.send(call).await.expect(403).unwrap();
    let refused = mailbox.get("/messages/3/attachments/1").await;
    let error = refused.expect(403).unwrap()["error"].clone();
    assert!(
        error.as_str().unwrap().contains("cannot be filtered"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_does_not_come_back_in_a_letter() {
    let mailbox = Mailbox::open().await;
    mailbox.deliver(
        None,
        letter("bob@x.example", "yours", &format!("it is {PASSWORD}!")),
    );
    // `send` of the fixture looks for it in everything.
    let shown = mailbox.body("/messages/1").await;
    assert!(
        shown["textBody"].as_str().unwrap().contains("***"),
        "{shown}"
    );
    let agent = &mailbox.agent;
    let vended = agent.call(Method::POST, "/v1/vault/execute").json(&json!({
        "model": "A", "connectionId": mailbox.connection,
    }));
    assert!(mailbox.send(vended).await.status.is_client_error());
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_and_recorded() {
    let mailbox = Mailbox::open().await;
    mailbox.deliver(None, letter("bob@x.example", "a", "x"));
    let read = mailbox.get("/messages/1").await;
    let id = read.json()["auditId"].as_str().unwrap().to_owned();
    until(async || {
        let events = mailbox
            .owner
            .audit(&format!("agentId={}", mailbox.agent.id))
            .await
            .unwrap();
        let text = json!(events).to_string();
        text.contains(&id)
            && text.contains("execution_requested")
            && text.contains("execution_completed")
    })
    .await;
    let denied = mailbox.get("/nothing").await;
    let id = denied.json()["auditId"].as_str().unwrap().to_owned();
    until(async || {
        let events = mailbox
            .owner
            .audit(&format!("agentId={}", mailbox.agent.id))
            .await
            .unwrap();
        json!(events).to_string().contains(&id)
    })
    .await;
    assert_eq!(failure(&denied).0, 404);
    let relative = mailbox
        .owner
        .connect(
            "https://api.example.com",
            &json!({"kind": "bearer"}),
            "planted-secret-0123",
        )
        .await;
    let call = mailbox
        .agent
        .execute(&relative.unwrap(), &Method::GET, "/messages");
    let refused = mailbox.send(call).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_must_be_recorded_is_so_before_it_is_made() {
    let mailbox = Mailbox::open().await;
    let path = format!("/v1/policies/{}", mailbox.policy);
    let change = json!({"audit": "required"});
    let written = mailbox.owner.put(&path, &change).await.unwrap();
    written.expect(200).unwrap();
    // By then the data plane has that change, too.
    mailbox.rules(&json!([]), &json!([])).await;
    let read = mailbox.get("/folders").await;
    let id = read.expect(200).unwrap()["auditId"].clone();
    until(async || {
        let query = format!("action=execution_completed&agentId={}", mailbox.agent.id);
        let events = mailbox.owner.audit(&query).await.unwrap();
        events
            .iter()
            .any(|row| row["auditId"] == id && row["metadata"]["intentId"].is_string())
    })
    .await;
}
