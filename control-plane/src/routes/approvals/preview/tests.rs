use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;

fn shown(url: &str, body: Body) -> Value {
    shown_with(&[("accept", "a"), ("accept", "b")], url, body)
}

fn shown_with(headers: &[(&str, &str)], url: &str, body: Body) -> Value {
    let headers = headers.iter();
    let request = Request {
        method: "POST".into(),
        url: url.into(),
        headers: headers.map(|(n, v)| ((*n).into(), (*v).into())).collect(),
        body,
    };
    serde_json::to_value(show(request)).unwrap()
}

#[test]
fn everything_is_shown_as_often_as_it_is_there() {
    let body = r#"{"n": 1.0, "list": [1, 1]}"#;
    let shown = shown("https://h.example/x?a=1&a=%32&b=", Body::Text(body.into()));
    assert_eq!(shown["url"], "https://h.example/x");
    let pair = |name: &str, value: &str| json!({"name": name, "value": value});
    let query = json!([pair("a", "1"), pair("a", "2"), pair("b", "")]);
    assert_eq!(shown["query"], query);
    assert_eq!(
        shown["headers"],
        json!([pair("accept", "a"), pair("accept", "b")])
    );
    assert_eq!(shown["body"]["text"], body);
    assert_eq!(shown["masked"], 0);
}

#[test]
fn secrets_are_masked_and_counted_and_nothing_else_changes() {
    let body =
        r#"{"user":"ann","Pass-Word":"hunter2","x":{"api_key":"k"},"x":1.50,"max_tokens":5}"#;
    let body = body.replace("\"x\":1.50", "\"y\":1.50");
    let shown = shown(
        "https://h.example/x?client_secret=s&page=2",
        Body::Text(body),
    );
    let text = shown["body"]["text"].as_str().unwrap();
    assert!(!text.contains("hunter2") && !shown.to_string().contains("\"k\""));
    assert!(text.contains("\"user\":\"ann\"") && text.contains("1.50"));
    assert!(text.contains("\"max_tokens\":5"));
    assert_eq!(shown["query"][0]["value"], mask::MASKED);
    assert_eq!(shown["query"][1]["value"], "2");
    assert_eq!(shown["masked"], 3);
}

#[test]
fn secrets_in_forms_and_under_other_names_are_masked_too() {
    let url = "https://h.example/x?pageToken=p";
    let form = "grant_type=x&client_secret=s3cr3t&card%5Bcvc_token%5D=t&page_token=3&note=a";
    let form = shown(url, Body::Text(form.into()));
    let text =
        "grant_type=x&client_secret=[masked]&card%5Bcvc_token%5D=[masked]&page_token=3&note=a";
    assert_eq!(form["body"]["text"], text);
    assert_eq!(form["masked"], 2);
    for name in ["token", "credentials", "authorization", "pwd", "otp"] {
        let body = json!({name: "value-of-it"}).to_string();
        assert_eq!(shown(url, Body::Text(body))["masked"], 1, "{name}");
    }
}

#[test]
fn a_mail_shows_every_recipient_however_often_they_are_named() {
    let mail = "To: a@x.example\r\nBcc: hidden@evil.example\r\nto: b@x.example,\r\n c@x.example\r\n\
                Subject: Hi\r\n\r\nSee you.";
    let raw = URL_SAFE_NO_PAD.encode(mail);
    for body in [json!({"raw": raw}), json!({"message": {"raw": raw}})] {
        let shown = shown("https://h.example/send", Body::Text(body.to_string()));
        let mail = &shown["mails"][0];
        assert_eq!(
            mail["recipients"],
            json!([
                "a@x.example",
                "hidden@evil.example",
                "b@x.example, c@x.example"
            ])
        );
        assert_eq!(mail["headers"][1]["name"], "Bcc");
        assert_eq!(mail["headers"].as_array().unwrap().len(), 4);
        assert_eq!(mail["content"], "See you.");
    }
}

const MIXED: &str = "To: a@x.example\r\nSubject: =?utf-8?B?R3LDvMOfZQ==?=\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\nContent-Type: text/plain\r\n\r\nHi\r\n\
    --b\r\nContent-Type: application/pdf\r\n\
    Content-Disposition: attachment; filename=\"a.pdf\"\r\n\
    Content-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n\
    --b\r\nContent-Type: message/rfc822\r\n\r\nTo: z@x.example\r\n\r\nx\r\n--b--\r\n";

#[test]
fn a_mail_shows_what_is_attached_to_it() {
    let raw = json!({"raw": URL_SAFE_NO_PAD.encode(MIXED)}).to_string();
    let url = "https://gmail.googleapis.com/gmail/v1/users/me/messages/send";
    let coded = shown(url, Body::Text(raw));
    // The same as the body itself.
    let kind = ("content-type", "Message/RFC822; charset=utf-8");
    let url = "https://gmail.googleapis.com/upload/gmail/v1/users/me/messages/send";
    let plain = shown_with(&[kind], url, Body::Text(MIXED.into()));
    let bytes = [MIXED.as_bytes(), b"\xff"].concat();
    let bytes = shown_with(&[kind], url, Body::Base64(STANDARD.encode(bytes)));
    for shown in [coded, plain, bytes] {
        let mail = &shown["mails"][0];
        assert_eq!(mail["recipients"], json!(["a@x.example"]));
        assert_eq!(mail["subject"], "Grüße");
        let files = json!([
            {"filename": "a.pdf", "contentType": "application/pdf", "size": 4},
            {"filename": null, "contentType": "message/rfc822", "size": 20},
        ]);
        assert_eq!(mail["attachments"], files);
        assert!(mail.get("note").is_none());
    }
    let many = format!("To: a@x.example\n{}\n", "a:\n".repeat(600_000));
    let raw = json!({"raw": URL_SAFE_NO_PAD.encode(many)}).to_string();
    let shown = shown(url, Body::Text(raw));
    let mail = &shown["mails"][0];
    assert_eq!(mail["recipients"], json!(["a@x.example"]));
    let note = mail["note"].as_str().unwrap();
    assert!(note.contains("attached"), "{note}");
}

#[test]
fn a_letter_from_a_mailbox_shows_everybody_it_goes_to() {
    let body = json!({
        "to": [{"address": "a@x.example", "name": "Ann"}], "bcc": [{"address": "b@x.example"}],
        "subject": "Hi", "textBody": "Your password: hunter22, see you.",
        "attachments": [{"filename": "a.txt", "content": "eA=="}],
    });
    let url = "https://email-imap.internal/messages/send";
    let shown = shown(url, Body::Text(body.to_string()));
    let mail = &shown["mails"][0];
    assert_eq!(mail["recipients"], json!(["a@x.example", "b@x.example"]));
    let to = json!({"name": "To", "value": "\"Ann\" <a@x.example>"});
    assert_eq!(mail["headers"][0], to);
    assert_eq!(mail["headers"][1]["name"], "Bcc");
    let file = json!({"filename": "a.txt", "contentType": "application/octet-stream", "size": 1});
    assert_eq!(mail["attachments"], json!([file]));
    assert!(mail.get("note").is_none() && mail.get("about").is_none());
    // A secret is masked wherever it stands, and counted once.
    assert!(!shown.to_string().contains("hunter22"), "{shown}");
    assert_eq!(shown["masked"], 1);
}

#[test]
fn of_an_answer_it_is_said_whom_it_goes_to_as_far_as_that_is_known() {
    let asked = |target: &str, body: Value| {
        let url = format!("https://email-imap.internal/messages/{target}");
        shown(&url, Body::Text(body.to_string()))["mails"][0].clone()
    };
    let reply = asked("7/reply?folder=Later", json!({"textBody": "yes"}));
    assert_eq!(reply["recipients"], json!([]));
    let about = json!({"kind": "reply", "folder": "Later", "message": 7});
    assert_eq!(reply["about"], about);
    assert_eq!(reply["content"], "yes");
    let note = reply["note"].as_str().unwrap();
    let whom = "An answer to message 7 in folder Later. It goes to whom that message is from;";
    assert!(note.starts_with(whom), "{note}");
    let all = json!({"htmlBody": "<p>", "replyAll": true});
    let all = asked("7/reply?folder=INBOX", all);
    let note = all["note"].as_str().unwrap();
    assert!(note.contains("everybody else"), "{note}");
    assert_eq!(all["html"], "<p>");
    let forward = json!({"to": [{"address": "d@x.example"}]});
    let forward = asked("7/forward?folder=INBOX", forward);
    assert_eq!(forward["recipients"], json!(["d@x.example"]));
    assert_eq!(forward["about"]["kind"], "forward");
    // What sends nothing, and what is for no mailbox.
    let moved = asked("7/move?folder=INBOX", json!({"destination": "Later"}));
    assert_eq!(moved, Value::Null);
    let url = "https://h.example/messages/7/reply?folder=INBOX";
    let other = shown(url, Body::Text(json!({"textBody": "yes"}).to_string()));
    assert!(other.get("mails").is_none());
}
