use serde_json::{Value, json};

use super::*;
use crate::mailbox::Content;

fn parse(method: Method, target: &str, body: &Value) -> Result<Operation, (u16, String)> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = query.split('&').filter(|pair| !pair.is_empty());
    let query = query.map(|pair| pair.split_once('=').unwrap());
    let text = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    let request = Request {
        method,
        path,
        query: query.map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        body: text.as_bytes(),
        download: false,
    };
    Operation::parse(&request).map_err(|answer| {
        let Content::Json(text) = answer.content else {
            panic!("a refusal is JSON");
        };
        let error: Value = serde_json::from_slice(&text).unwrap();
        (answer.status, error["error"].as_str().unwrap().to_owned())
    })
}

fn refused(method: Method, target: &str, body: &Value) -> (u16, String) {
    parse(method, target, body).unwrap_err()
}

#[test]
fn what_is_nothing_of_a_mailbox_is_unknown() {
    for (method, target) in [
        (Method::Get, "/"),
        (Method::Get, "/folders/x"),
        (Method::Put, "/folders"),
        (Method::Delete, "/folders"),
        (Method::Delete, "/messages"),
        (Method::Get, "/messages/"),
        (Method::Get, "/messages/07"),
        (Method::Get, "/messages/0"),
        (Method::Get, "/messages/1,2"),
        (Method::Get, "/messages/1:*"),
        (Method::Get, "/messages/99999999999"),
        (Method::Get, "/messages/4294967296"),
        (Method::Get, "/messages/1%0D%0A"),
        (Method::Get, "/messages/1/attachments/0"),
        (Method::Post, "/messages/1/attachments/1"),
        (Method::Get, "/Messages"),
        (Method::Post, "/messages/1/reply/x"),
        (Method::Post, "/messages/1/flags"),
    ] {
        let path = target.to_owned();
        let text = format!("Unknown email endpoint: {} {path}", method.as_str());
        assert_eq!(refused(method, target, &Value::Null), (404, text));
    }
}

#[test]
fn what_is_missing_is_said_in_the_words_that_clients_know() {
    let none = Value::Null;
    let text = |method, target, body: &Value| refused(method, target, body);
    assert_eq!(
        text(Method::Post, "/folders", &json!({"name": " "})),
        (400, "Folder name is required".into())
    );
    assert_eq!(
        text(Method::Post, "/messages/1/move", &none),
        (400, "Destination folder is required".into())
    );
    for body in [none, json!({"to": []}), json!({"subject": "x"})] {
        assert_eq!(
            text(Method::Post, "/messages/send", &body),
            (400, "At least one recipient (to) is required".into())
        );
    }
}

#[test]
fn nothing_that_ends_a_line_gets_through() {
    let to = json!([{"address": "a@x.example"}]);
    let evil = "a\r\nBcc: b@evil.example";
    for body in [
        json!({"to": [{"address": evil}]}),
        json!({"to": [{"address": "a@x.example, b@evil.example"}]}),
        json!({"to": [{"address": "a@x.example", "name": evil}]}),
        json!({"to": to, "cc": [{"address": evil}]}),
        json!({"to": to, "bcc": [{"address": "b@x.example>\r\nDATA"}]}),
        json!({"to": to, "subject": evil}),
        json!({"to": to, "from": {"address": evil}}),
        json!({"to": to, "replyTo": {"address": "a@x.example", "name": evil}}),
        json!({"to": to, "inReplyTo": evil}),
        json!({"to": to, "references": evil}),
        json!({"to": to, "attachments": [{"filename": evil, "content": "YQ=="}]}),
        json!({"to": to, "attachments": [{"filename": "a", "contentType": evil, "content": "YQ=="}]}),
        json!({"to": to, "attachments": [{"filename": "a", "content": "no base64!"}]}),
        json!({"to": "a@x.example"}),
        json!({"to": ["a@x.example"]}),
    ] {
        let (status, why) = refused(Method::Post, "/messages/send", &body);
        assert_eq!(status, 400, "{body}: {why}");
    }
    for folder in ["*", "a%", "../x", "a\r\nb"] {
        for (method, target) in [
            (Method::Get, "/messages"),
            (Method::Delete, "/messages/1"),
            (Method::Get, "/messages/1"),
        ] {
            let target = format!("{target}?folder={folder}");
            assert_eq!(refused(method, &target, &Value::Null).0, 400, "{target}");
        }
        let body = json!({"destination": folder, "name": folder});
        assert_eq!(refused(Method::Post, "/messages/1/copy", &body).0, 400);
        assert_eq!(refused(Method::Post, "/folders", &body).0, 400);
    }
}

#[test]
fn numbers_and_words_are_bounded_and_given_once() {
    for target in [
        "/messages?limit=0",
        "/messages?limit=-1",
        "/messages?limit=x",
        "/messages?offset=99999999999",
        "/messages?since=yesterday",
        "/messages?folder=a&folder=b",
        "/messages?q=a&q=b",
        "/messages?q=from:",
    ] {
        assert_eq!(
            refused(Method::Get, target, &Value::Null).0,
            400,
            "{target}"
        );
    }
    let found = parse(
        Method::Get,
        "/messages?limit=500&offset=3&since=2026-11-30T10:00:00Z",
        &Value::Null,
    );
    let Ok(Operation::Messages(page)) = found else {
        panic!("no page");
    };
    assert_eq!((page.limit, page.offset), (100, 3));
    assert_eq!(page.since, Some(jiff::civil::date(2026, 11, 30)));
}

#[test]
fn a_flag_that_deletes_is_not_set_as_a_flag() {
    for add in [
        json!(["\\Deleted"]),
        json!(["a b"]),
        json!([""]),
        json!(["\\Seen)\r\nx"]),
    ] {
        let refused = refused(Method::Patch, "/messages/1/flags", &json!({"add": add}));
        assert_eq!(refused.0, 400, "{add}");
    }
    let (status, _) = refused(Method::Patch, "/messages/1/flags", &json!({}));
    assert_eq!(status, 400);
    let body = json!({"add": ["\\Seen"], "remove": ["todo"]});
    assert!(parse(Method::Patch, "/messages/1/flags", &body).is_ok());
}

#[test]
fn a_member_that_is_given_twice_is_refused() {
    let request = Request {
        method: Method::Post,
        path: "/messages/1/move",
        query: Vec::new(),
        body: br#"{"destination":"a","destination":"b"}"#,
        download: false,
    };
    assert_eq!(Operation::parse(&request).unwrap_err().status, 400);
}

#[test]
fn a_name_with_slashes_is_one_folder() {
    let Ok(Operation::DeleteFolder(name)) =
        parse(Method::Delete, "/folders/a/b%20c/%C3%BC", &Value::Null)
    else {
        panic!("no folder");
    };
    assert_eq!(name.as_str(), "a/b c/ü");
}
