//! What is in a mailbox: folders, letters, and the files in them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

use crate::fixture::{BASE, Mailbox, body, failure, letter};

#[tokio::test(flavor = "multi_thread")]
async fn folders_are_listed_made_and_taken_away() {
    let mailbox = Mailbox::open().await;
    mailbox.deliver(None, letter("bob@x.example", "one", "x"));
    let made = mailbox
        .call(Method::POST, "/folders", &json!({"name": "Entwürfe"}))
        .await;
    let made = made.expect(200).unwrap();
    assert_eq!(made["status"], 201);
    assert_eq!(made["body"], json!({"created": true, "path": "Entwürfe"}));
    assert_eq!(made["headers"], json!({"content-type": "application/json"}));
    let listed = mailbox.body("/folders").await;
    let find = |path: &str| {
        let mut folders = listed["folders"].as_array().unwrap().iter();
        folders.find(|it| it["path"] == path).unwrap().clone()
    };
    let inbox = find("INBOX");
    assert_eq!(
        (&inbox["totalMessages"], &inbox["unseenMessages"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        (&inbox["specialUse"], &inbox["delimiter"]),
        (&json!("\\Inbox"), &json!("."))
    );
    let drafts = find("Entwürfe");
    assert_eq!(
        (&drafts["name"], &drafts["specialUse"]),
        (&json!("Entwürfe"), &Value::Null)
    );
    assert!(drafts["flags"].is_array());

    let again = mailbox
        .call(Method::POST, "/folders", &json!({"name": "Entwürfe"}))
        .await;
    let (outer, inner, error) = failure(&again);
    assert_eq!((outer, inner), (500, 500));
    assert!(error.starts_with("Email operation failed: NO "), "{error}");
    let none = mailbox.call(Method::POST, "/folders", &json!({})).await;
    assert_eq!(failure(&none), (400, 400, "Folder name is required".into()));
    let path = "/folders/Entw%C3%BCrfe";
    let gone = body(&mailbox.call(Method::DELETE, path, &Value::Null).await);
    assert_eq!(gone, json!({"deleted": true, "path": "Entwürfe"}));
    let gone = mailbox.call(Method::DELETE, path, &Value::Null).await;
    assert_eq!(
        failure(&gone),
        (404, 404, "Folder Entwürfe not found".into())
    );
    let unknown = mailbox.get("/nothing").await;
    let text = "Unknown email endpoint: GET /nothing";
    assert_eq!(failure(&unknown), (404, 404, text.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_come_newest_first_and_page_by_page() {
    let mailbox = Mailbox::open().await;
    assert_eq!(mailbox.body("/messages").await["total"], 0);
    for subject in ["a", "bb", "ccc", "dddd", "eeeee"] {
        mailbox.deliver(None, letter("\"Bob, Jr.\" <bob@x.example>", subject, "x"));
    }
    let page = mailbox.body("/messages?limit=2&offset=1").await;
    assert_eq!(
        (&page["total"], &page["offset"], &page["limit"]),
        (&json!(5), &json!(1), &json!(2))
    );
    let first = &page["messages"][0];
    assert_eq!(first["subject"], "dddd");
    assert_eq!(
        first["from"],
        json!({"name": "Bob, Jr.", "address": "bob@x.example"})
    );
    assert_eq!(
        first["to"],
        json!([{"name": "Ann", "address": "ann@acme.example"}])
    );
    assert_eq!((&first["cc"], &first["flags"]), (&json!([]), &json!([])));
    assert_eq!(first["messageId"], "<4@x.example>");
    assert_eq!(first["date"], "2026-11-30T09:00:00.000Z");
    assert_eq!(first["hasAttachments"], false);
    assert!(first["size"].as_u64().unwrap() > 100);
    let uids: Vec<u64> = page["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["uid"].as_u64().unwrap())
        .collect();
    assert_eq!(uids, [4, 3]);
    assert_eq!(mailbox.subjects("offset=4").await, ["a"]);
    assert!(mailbox.subjects("offset=5").await.is_empty());
    // Parameters are the same wherever they stand, and win over those of the URL.
    let further = json!({"query": {"limit": "1", "offset": 2}});
    let merged = mailbox.asking(&Method::GET, "/messages?limit=5", &Value::Null, &further);
    let merged = body(&mailbox.send(merged).await);
    assert_eq!(merged["messages"].as_array().unwrap().len(), 1);
    assert_eq!(merged["messages"][0]["subject"], "ccc");
    // So is the target: a whole URL, and the other form of call.
    let whole = mailbox.body(&format!("{BASE}/messages?limit=1")).await;
    assert_eq!(whole["messages"][0]["subject"], "eeeee");
    let proxied = mailbox
        .agent
        .proxy(&mailbox.connection, Method::GET, "/messages?limit=1");
    let proxied = mailbox.send(proxied).await;
    assert_eq!(proxied.header("x-ah5-source"), Some("provider"));
    assert_eq!(proxied.expect(200).unwrap()["messages"][0]["uid"], 5);
    let many = mailbox.body("/messages?limit=1000").await;
    assert_eq!(many["limit"], 100);
    let twice = mailbox.get("/messages?folder=INBOX&folder=Other").await;
    assert_eq!(twice.status, 400, "{}", twice.text());
    let missing = mailbox.get("/messages?folder=Missing").await;
    assert_eq!(
        failure(&missing),
        (404, 404, "Folder Missing not found".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_found_by_words() {
    let mailbox = Mailbox::open().await;
    mailbox.deliver(
        None,
        letter("Bob Lee <bob@x.example>", "next week", "about the plan"),
    );
    mailbox.deliver(
        None,
        letter(
            "=?utf-8?q?J=C3=BCrgen?= <j@y.example>",
            "=?utf-8?q?Gr=C3=BC=C3=9Fe?=",
            "x",
        ),
    );
    mailbox.deliver(None, with_file("plan.pdf"));
    let flags = json!({"add": ["\\Seen", "\\Flagged"]});
    body(
        &mailbox
            .call(Method::PATCH, "/messages/1/flags", &flags)
            .await,
    );
    for (q, found) in [
        ("from:bob", vec!["next week"]),
        ("from:\"Bob Lee\" subject:\"next week\"", vec!["next week"]),
        ("to:ann", vec!["a file", "Grüße", "next week"]),
        ("body:plan", vec!["next week"]),
        ("next", vec!["next week"]),
        ("grüße", vec!["Grüße"]),
        ("from:jürgen", vec!["Grüße"]),
        ("unseen", vec!["a file", "Grüße"]),
        ("seen", vec!["next week"]),
        ("flagged from:bob", vec!["next week"]),
        ("has:attachment", vec!["a file"]),
        ("\"unseen\"", vec![]),
        ("from:\") UNSEEN (\"", vec![]),
        ("subject:x\" OR FROM \"bob", vec![]),
    ] {
        let further = json!({"query": {"q": q}});
        let call = mailbox.asking(&Method::GET, "/messages", &Value::Null, &further);
        let answer = body(&mailbox.send(call).await);
        let letters = answer["messages"].as_array().unwrap();
        let subjects: Vec<_> = letters
            .iter()
            .map(|it| it["subject"].as_str().unwrap())
            .collect();
        assert_eq!(subjects, found, "{q}");
        assert_eq!(answer["total"], found.len());
    }
    // By the day that they came, which is today, and not what they say.
    assert_eq!(mailbox.subjects("since=2020-01-01").await.len(), 3);
    assert!(
        mailbox
            .subjects("before=2020-01-01T00:00:00Z")
            .await
            .is_empty()
    );
    assert_eq!(
        mailbox.subjects("since=2020-01-01&q=seen&limit=1").await,
        ["next week"]
    );
    for bad in [
        "q=a%0D%0Ab",
        "since=soon",
        "limit=0",
        "offset=-1",
        "q=from:",
    ] {
        let refused = mailbox.get(&format!("/messages?{bad}")).await;
        assert_eq!(refused.status, 400, "{bad}: {}", refused.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_read_with_what_is_in_it() {
    let mailbox = Mailbox::open().await;
    mailbox.deliver(None, with_file("=?utf-8?q?=C3=9Cber=22=3B=2Epdf?="));
    let read = mailbox.body("/messages/1").await;
    assert_eq!(read["textBody"].as_str().unwrap().trim(), "Schöne Grüße");
    assert_eq!(
        read["htmlBody"].as_str().unwrap().trim(),
        "<p>Schöne Grüße</p>"
    );
    assert_eq!(
        read["headers"],
        json!({"in-reply-to": "<0@x.example>",
                                       "references": "<-1@x.example> <0@x.example>"})
    );
    let size = FILE.len();
    assert_eq!(
        read["attachments"],
        json!([{
            "filename": "Über\";.pdf", "contentType": "application/pdf", "size": size, "partId": "1",
        }])
    );
    assert!(read.get("size").is_none() && read.get("truncated").is_none());
    // Reading it has not made it seen.
    assert_eq!(
        mailbox.body("/messages").await["messages"][0]["flags"],
        json!([])
    );
    assert_eq!(
        mailbox.body("/messages").await["messages"][0]["hasAttachments"],
        true
    );

    let file = mailbox.body("/messages/1/attachments/1").await;
    assert_eq!(file["content"], STANDARD.encode(FILE));
    assert_eq!(
        (&file["size"], &file["filename"]),
        (&json!(size), &json!("Über\";.pdf"))
    );
    let download = |url: &str| {
        let further = json!({"download": true});
        mailbox.asking(&Method::GET, url, &Value::Null, &further)
    };
    let raw = mailbox.send(download("/messages/1/attachments/1")).await;
    assert_eq!(raw.status, 200);
    assert_eq!(raw.body, FILE.as_bytes());
    assert_eq!(raw.header("content-type"), Some("application/pdf"));
    assert_eq!(raw.header("content-length"), Some(&*size.to_string()));
    assert_eq!(
        raw.header("content-disposition"),
        Some("attachment; filename=\"_ber_;.pdf\"; filename*=UTF-8''%C3%9Cber%22%3B.pdf")
    );
    let missing = "Attachment 2 not found in message 1";
    let answer = mailbox.get("/messages/1/attachments/2").await;
    assert_eq!(failure(&answer), (404, 404, missing.into()));
    let answer = mailbox.send(download("/messages/1/attachments/2")).await;
    assert_eq!(failure(&answer), (404, 404, missing.into()));
    let answer = mailbox.get("/messages/7").await;
    assert_eq!(
        failure(&answer),
        (404, 404, "Message 7 not found in INBOX".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_is_had_as_a_file() {
    let mailbox = Mailbox::open().await;
    let content = "x".repeat(600 * 1024);
    let head = "From: a@x.example\r\nSubject: large\r\nMIME-Version: 1.0\r\n\
                Content-Type: application/x-large; name=\"l\"\r\n\
                Content-Disposition: attachment; filename=\"l.bin\"\r\n\
                Content-Transfer-Encoding: base64\r\n\r\n";
    let coded = STANDARD.encode(&content);
    let lines: Vec<_> = coded
        .as_bytes()
        .chunks(76)
        .map(|it| String::from_utf8_lossy(it))
        .collect();
    mailbox.deliver(None, format!("{head}{}\r\n", lines.join("\r\n")));
    let shown = mailbox.body("/messages/1/attachments/1").await;
    assert_eq!(
        (&shown["content"], &shown["truncated"]),
        (&Value::Null, &json!(true))
    );
    assert_eq!(shown["size"], content.len());
    assert!(shown["message"].as_str().unwrap().contains("download"));
    let further = json!({"download": true});
    let url = "/messages/1/attachments/1";
    let raw = mailbox
        .send(mailbox.asking(&Method::GET, url, &Value::Null, &further))
        .await;
    assert_eq!((raw.status.as_u16(), raw.body.len()), (200, content.len()));
    assert_eq!(
        raw.header("content-disposition"),
        Some("attachment; filename=\"l.bin\"")
    );
}

const FILE: &str = "%PDF-1.4 not really";

/// With words in two forms, and a file of this name.
fn with_file(name: &str) -> String {
    let file = STANDARD.encode(FILE);
    format!(
        "From: carl@x.example\r\nTo: ann@acme.example\r\nSubject: a file\r\nMIME-Version: 1.0\r\n\
         In-Reply-To: <0@x.example>\r\nReferences: <-1@x.example>\r\n <0@x.example>\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n\
         --b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n\
         --c\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\nSch=F6ne Gr=FC=DFe\r\n\
         --c\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\n<p>Schöne Grüße</p>\r\n--c--\r\n\
         --b\r\nContent-Type: application/pdf; name=\"{name}\"\r\n\
         Content-Disposition: attachment\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{file}\r\n--b--\r\n"
    )
}
