//! What leaves a mailbox: to whom, and at most once.

use ah5_testkit::client::Answer;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

use crate::fixture::{Mailbox, body, failure, letter, until};

/// What was handed in with these words, and for whom.
fn handed_in(mailbox: &Mailbox, words: &str) -> Vec<(String, Value)> {
    let mut all = mailbox.post.smtp.taken();
    all.retain(|(_, to)| to["from"] == mailbox.user.as_str());
    all.retain(|(letter, _)| letter.contains(words));
    all
}

async fn send(mailbox: &Mailbox, letter: &Value) -> Answer {
    mailbox.call(Method::POST, "/messages/send", letter).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_sent_to_all_it_names_and_says_so_of_some() {
    let mailbox = Mailbox::open().await;
    let answer = send(&mailbox, &json!({
        "to": [{"address": "bob@x.example", "name": "Bob, Jr."}],
        "cc": [{"address": "cc@x.example"}],
        "bcc": [{"address": "hidden@x.example"}],
        "subject": "Grüße", "textBody": "Hi\n.\nMAIL FROM:<evil@x.example>\n", "htmlBody": "<p>Hi</p>",
        "replyTo": {"address": "office@acme.example"},
        "attachments": [{"filename": "ä.txt", "contentType": "text/plain",
                         "content": STANDARD.encode("file")}],
    })).await;
    let sent = body(&answer);
    assert_eq!(sent["sent"], true);
    let id = sent["messageId"].as_str().unwrap();
    assert!(id.ends_with("@acme.example>"), "{id}");
    let all = handed_in(&mailbox, id);
    assert_eq!(all.len(), 1);
    let (letter, to) = &all[0];
    assert_eq!(
        to["to"],
        json!(["bob@x.example", "cc@x.example", "hidden@x.example"])
    );
    let from = format!("From: Ann <{}>\r\n", mailbox.user);
    assert!(letter.contains(&from), "{letter}");
    assert!(
        letter.contains("\r\nReply-To: office@acme.example\r\n"),
        "{letter}"
    );
    assert!(!letter.contains("hidden@x.example"), "{letter}");
    assert!(letter.contains("filename*0*=utf-8''%C3%A4.txt"), "{letter}");

    let nobody = send(&mailbox, &json!({"to": [], "textBody": "x"})).await;
    let text = "At least one recipient (to) is required";
    assert_eq!(failure(&nobody), (400, 400, text.into()));
    // To all or to none.
    let refused = send(
        &mailbox,
        &json!({
            "to": [{"address": "bob@x.example"}, {"address": "refused@x.example"}],
            "subject": "half", "textBody": "x",
        }),
    )
    .await;
    let text = "Email operation failed: 550 5.1.1 no such mailbox";
    assert_eq!(failure(&refused), (500, 500, text.into()));
    assert!(handed_in(&mailbox, "half").is_empty());
    // A line that ends early would be a command of its own, or a header.
    for (field, value) in [
        ("subject", json!("a\r\nBcc: evil@x.example")),
        (
            "cc",
            json!([{"address": "a@x.example>\r\nRCPT TO:<evil@x.example"}]),
        ),
        (
            "from",
            json!({"address": "a@x.example", "name": "a\r\nBcc: evil@x.example"}),
        ),
        ("inReplyTo", json!("<a>\r\nBcc: evil@x.example")),
    ] {
        let mut letter = json!({"to": [{"address": "bob@x.example"}], "textBody": "x"});
        letter[field] = value;
        assert_eq!(send(&mailbox, &letter).await.status, 400, "{field}");
    }
    assert_eq!(handed_in(&mailbox, "").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_goes_to_whom_the_letter_was_from() {
    let mailbox = Mailbox::open().await;
    let original = format!(
        "From: Bob <bob@x.example>\r\nReply-To: evil@y.example\r\n\
         To: Ann <{}>, Eve <eve@x.example>\r\nCc: bob@x.example, cc@x.example\r\n\
         Subject: the plan\r\nMessage-ID: <1@x.example>\r\nReferences: <0@x.example>\r\n\
         Date: Mon, 30 Nov 2026 10:00:00 +0100\r\n\r\nShall we?\r\n",
        mailbox.user.to_uppercase()
    );
    mailbox.deliver(None, &original);
    let reply = json!({"textBody": "yes"});
    let sent = body(
        &mailbox
            .call(Method::POST, "/messages/1/reply", &reply)
            .await,
    );
    let all = handed_in(&mailbox, sent["messageId"].as_str().unwrap());
    let (letter, to) = &all[0];
    assert_eq!(to["to"], json!(["bob@x.example"]));
    for line in [
        "To: Bob <bob@x.example>",
        "Subject: Re: the plan",
        "In-Reply-To: <1@x.example>",
        "References: <0@x.example> <1@x.example>",
    ] {
        assert!(letter.contains(&format!("{line}\r\n")), "{line}: {letter}");
    }
    let reply = json!({"htmlBody": "<p>yes</p>", "replyAll": true});
    let sent = body(
        &mailbox
            .call(Method::POST, "/messages/1/reply", &reply)
            .await,
    );
    let all = handed_in(&mailbox, sent["messageId"].as_str().unwrap());
    // Not to ourselves, in whatever case, and to nobody twice.
    assert_eq!(
        all[0].1["to"],
        json!(["bob@x.example", "eve@x.example", "cc@x.example"])
    );

    let forward = json!({"to": [{"address": "dan@x.example"}], "textBody": "see below"});
    let sent = body(
        &mailbox
            .call(Method::POST, "/messages/1/forward", &forward)
            .await,
    );
    let all = handed_in(&mailbox, sent["messageId"].as_str().unwrap());
    let (letter, to) = &all[0];
    assert_eq!(to["to"], json!(["dan@x.example"]));
    assert!(letter.contains("Subject: Fwd: the plan\r\n"), "{letter}");
    for words in ["see below", "From: Bob <bob@x.example>", "Shall we?"] {
        assert!(letter.contains(words), "{words}: {letter}");
    }
    let nobody = mailbox
        .call(Method::POST, "/messages/1/forward", &json!({}))
        .await;
    assert_eq!(nobody.status, 400);
    let missing = mailbox
        .call(Method::POST, "/messages/9/reply", &json!({"textBody": "x"}))
        .await;
    assert_eq!(
        failure(&missing),
        (404, 404, "Message 9 not found in INBOX".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_approved_is_sent_once() {
    let mailbox = Mailbox::open().await;
    ask_before_sending(&mailbox).await;
    let draft = json!({
        "to": [{"address": "bob@x.example"}], "bcc": [{"address": "hidden@x.example"}],
        "subject": "approved", "textBody": "x",
    });
    // What nobody could do nobody is asked about.
    assert_eq!(send(&mailbox, &json!({"subject": "x"})).await.status, 400);
    let id = ask(&mailbox, &draft).await;
    let shown = mailbox.owner.get(&format!("/v1/approvals/{id}")).await;
    let shown = shown.unwrap();
    let mail = shown.expect(200).unwrap()["approval"]["preview"]["mails"][0].clone();
    let everybody = json!(["bob@x.example", "hidden@x.example"]);
    assert_eq!(mail["recipients"], everybody, "{}", shown.text());
    decide(&mailbox, &id).await;
    assert!(handed_in(&mailbox, "approved").is_empty());
    let mut other = draft.clone();
    other["to"] = json!([{"address": "evil@x.example"}]);
    assert_eq!(redeem(&mailbox, &other, &id).await.status, 403);
    let calls = (0..8).map(|_| redeem(&mailbox, &draft, &id));
    let answers = futures_util::future::join_all(calls).await;
    let good = answers.iter().filter(|it| it.status == 200).count();
    assert_eq!(
        good,
        1,
        "{:?}",
        answers.iter().map(|it| it.status).collect::<Vec<_>>()
    );
    assert_eq!(handed_in(&mailbox, "approved").len(), 1);
    until(async || status(&mailbox, &id).await == ("consumed".into(), json!("executed"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_up_on_a_letter_leaves_its_outcome_unknown() {
    let mailbox = Mailbox::open().await;
    ask_before_sending(&mailbox).await;
    let draft = json!({"to": [{"address": "silent@x.example"}], "subject": "quiet"});
    let id = ask(&mailbox, &draft).await;
    decide(&mailbox, &id).await;
    let broken = redeem(&mailbox, &draft, &id).await;
    let said = broken.expect(502).unwrap();
    assert_eq!(said["error"], "Provider request failed");
    assert!(
        said["hint"].as_str().unwrap().contains("not known"),
        "{said}"
    );
    until(async || status(&mailbox, &id).await == ("consumed".into(), json!("unknown"))).await;
    assert_eq!(redeem(&mailbox, &draft, &id).await.status, 409);
    // It has taken it all the same: once.
    assert_eq!(handed_in(&mailbox, "quiet").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_good_for_another_try_if_nothing_was_begun() {
    let mailbox = Mailbox::open().await;
    ask_before_sending(&mailbox).await;
    mailbox.deliver(None, letter("bob@x.example", "a", "x"));
    let reply = json!({"textBody": "later"});
    let call =
        |further: &Value| mailbox.asking(&Method::POST, "/messages/1/reply", &reply, further);
    let offer = mailbox.send(call(&Value::Null)).await.expect(202).unwrap();
    let id = offer["approvalRequestId"].as_str().unwrap();
    // To whom it goes follows from the letter: which that is is shown.
    let shown = mailbox.owner.get(&format!("/v1/approvals/{id}")).await;
    let shown = shown.unwrap().expect(200).unwrap();
    let about = json!({"kind": "reply", "folder": "INBOX", "message": 1});
    let mail = &shown["approval"]["preview"]["mails"][0];
    assert_eq!(mail["about"], about, "{shown}");
    decide(&mailbox, id).await;
    mailbox.post.imap.lock_out(&mailbox.user);
    until(async || mailbox.get("/folders").await.status != 200).await;
    let refused = mailbox.send(call(&json!({"approvalId": id}))).await;
    // The password is refused, or known to be, or that becomes known on the way.
    assert!(
        matches!(refused.status.as_u16(), 502 | 409 | 403),
        "{}",
        refused.text()
    );
    until(async || status(&mailbox, id).await == ("approved".into(), Value::Null)).await;
    assert!(handed_in(&mailbox, "later").is_empty());
}

async fn ask_before_sending(mailbox: &Mailbox) {
    let rule = json!([{
        "label": "Ask", "action": "require_approval",
        "match": {"methods": ["POST"], "urlPattern": "^/messages/(send|[0-9]+/(reply|forward))$"},
    }]);
    mailbox.rules(&rule, &json!([])).await;
}

async fn ask(mailbox: &Mailbox, draft: &Value) -> String {
    let offer = send(mailbox, draft).await.expect(202).unwrap();
    offer["approvalRequestId"].as_str().unwrap().to_owned()
}

async fn decide(mailbox: &Mailbox, id: &str) {
    let path = format!("/v1/approvals/{id}/approve");
    mailbox
        .owner
        .post(&path, &json!({}))
        .await
        .unwrap()
        .expect(200)
        .unwrap();
}

async fn redeem(mailbox: &Mailbox, draft: &Value, id: &str) -> Answer {
    let further = json!({"approvalId": id});
    mailbox
        .send(mailbox.asking(&Method::POST, "/messages/send", draft, &further))
        .await
}

async fn status(mailbox: &Mailbox, id: &str) -> (String, Value) {
    let answer = mailbox
        .owner
        .get(&format!("/v1/approvals/{id}"))
        .await
        .unwrap();
    let approval = answer.expect(200).unwrap()["approval"].clone();
    (
        approval["status"].as_str().unwrap().to_owned(),
        approval["outcome"].clone(),
    )
}
