//! Mailboxes, at real servers: Dovecot, and aiosmtpd for handing in.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ah5_harness::stack::Builder;
use ah5_testkit::certificates::Authority;
use ah5_testkit::dovecot::Dovecot;
use ah5_testkit::servers::MailServer;
use serde_json::{Value, json};

use crate::fixture::{id, nothing_leaked, shown};
use crate::support::{World, control_plane, error};

pub const HOST: &str = "mail.acme.example";
/// Its certificate is for another.
const OTHER_HOST: &str = "mail.other.example";
pub const USER: &str = "ann@acme.example";
/// Blanks at both ends, and letters beyond ASCII: to be taken as it is.
pub const PASSWORD: &str = "  planted mail pässword 0123 ";
const NEW_PASSWORD: &str = "planted-other-mail-password-0123";

pub struct Post {
    pub world: World,
    imap: Dovecot,
    smtp: MailServer,
    smtps: MailServer,
    _folder: tempfile::TempDir,
}

// === impl Post ===

impl Post {
    pub async fn open() -> Self {
        Self::with(|builder, _| builder).await
    }

    /// With settings that may name the port of Dovecot that begins unprotected.
    async fn with(settings: impl FnOnce(Builder, u16) -> Builder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key, ca) = certificates(&folder);
        let imap = Dovecot::start(&[USER], PASSWORD, &certificate, &key);
        let keys = json!({"certificate": certificate, "key": key, "user": USER,
                          "password": PASSWORD});
        let smtp = MailServer::with(keys.clone());
        let mut implicit = keys;
        implicit["tls"] = true.into();
        let smtps = MailServer::with(implicit);
        let mut resolve = Vec::new();
        for host in [HOST, OTHER_HOST] {
            resolve.push(format!("{host}:993={}", imap.imaps));
            resolve.push(format!("{host}:143={}", imap.imap));
            resolve.push(format!("{host}:587=127.0.0.1:{}", smtp.port));
            resolve.push(format!("{host}:465=127.0.0.1:{}", smtps.port));
        }
        let builder = control_plane()
            .env("UPSTREAM_RESOLVE", &resolve.join(","))
            .env("UPSTREAM_CA_FILE", ca.to_str().unwrap());
        let stack = settings(builder, imap.imap.port()).start().unwrap();
        let world = World::at(Arc::new(stack)).await;
        Self {
            world,
            imap,
            smtp,
            smtps,
            _folder: folder,
        }
    }

    pub async fn connect(&self, change: Value) -> ah5_testkit::client::Answer {
        let mut body = json!({"email": USER, "password": PASSWORD, "imapHost": HOST,
                              "smtpHost": HOST});
        let all = body.as_object_mut().unwrap();
        all.extend(change.as_object().unwrap().clone());
        self.world.post("/v1/connections/email", &body).await
    }

    async fn test(&self, id: &str) -> Value {
        let path = format!("/v1/connections/{id}/test");
        self.world.post(&path, &json!({})).await.json()
    }
}

/// Dovecot looks at its file of users once a second.
async fn until(is_so: impl AsyncFn() -> bool) {
    for _ in 0..200 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it does not come to that");
}

fn certificates(folder: &tempfile::TempDir) -> (PathBuf, PathBuf, PathBuf) {
    let authority = Authority::generate().unwrap();
    let leaf = authority.issue(&[HOST, "127.0.0.1"]).unwrap();
    let (certificate, key) = leaf.write(folder.path(), "mail").unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    (certificate, key, ca)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_is_connected_once_both_servers_take_the_password() {
    let post = Post::open().await;
    let made = post.connect(json!({"displayName": "Ann"})).await;
    let mailbox = id(&made);
    let made = made.json();
    assert_eq!(made["message"], "Email connection created successfully");
    assert_eq!(made["connection"]["label"], format!("{USER} (IMAP/SMTP)"));
    assert_eq!(made["connection"]["service"], "email-imap");
    let seen = shown(&post.world, &mailbox).await;
    let preview = json!({"primaryLabel": "Email", "primaryMasked": "ann@...mple"});
    assert_eq!(seen["credentialPreview"], preview);
    assert_eq!(seen["grantedScopes"], json!(["imap", "smtp", "write"]));
    assert_eq!(
        seen["metadata"],
        json!({"email": USER, "displayName": "Ann"})
    );
    let tested = post.test(&mailbox).await;
    let detail = "IMAP connected — 1 folder(s) found";
    assert_eq!(
        tested,
        json!({"ok": true, "provider": "email", "detail": detail})
    );
    // The other way of each: STARTTLS for reading, TLS at once for handing in.
    let ports = json!({"imapPort": 143, "smtpPort": 465, "imapTls": false, "label": "Other"});
    let made = post.connect(ports).await;
    assert_eq!(made.expect(200).unwrap()["connection"]["label"], "Other");

    let wrong = "planted-wrong-mail-password";
    let sent = post.connect(json!({"password": wrong})).await;
    let text = "IMAP authentication failed — check username and password";
    assert_eq!((sent.status.as_u16(), error(&sent)), (400, text.into()));
    // Verbatim: what is trimmed is another password.
    let trimmed = post.connect(json!({"password": PASSWORD.trim()})).await;
    assert_eq!(error(&trimmed), text);
    let name = post.connect(json!({"imapHost": OTHER_HOST})).await;
    assert_eq!(
        error(&name),
        "IMAP connection failed: TLS with the provider failed"
    );
    let name = post.connect(json!({"smtpHost": OTHER_HOST})).await;
    assert_eq!(
        error(&name),
        "SMTP connection failed: TLS with the provider failed"
    );
    // Each speaks TLS at another time than it is told to.
    let late = post.connect(json!({"imapSecurity": "starttls"})).await;
    assert!(
        error(&late).starts_with("IMAP connection failed: "),
        "{}",
        late.text()
    );
    assert!(post.smtp.mails().is_empty() && post.smtps.mails().is_empty());
    nothing_leaked(&post.world, &[PASSWORD, PASSWORD.trim(), wrong]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_was_changed_is_noticed_and_replaced() {
    let post = Post::open().await;
    let world = &post.world;
    let mailbox = id(&post.connect(json!({})).await);
    post.imap.set_password(USER, NEW_PASSWORD);
    let text = "IMAP test failed: the server refuses the user name or the password";
    until(async || post.test(&mailbox).await["error"] == text).await;
    assert_eq!(shown(world, &mailbox).await["status"], "needs_reauth");
    let path = format!("/v1/connections/{mailbox}/credentials");
    let put = async |body: Value| world.put(&path, &body).await;
    assert_eq!(error(&put(json!({})).await), "password is required");
    let refused = put(json!({"password": PASSWORD})).await;
    assert!(error(&refused).starts_with("IMAP authentication failed"));
    // Reading works by now; handing in still takes the old one.
    let refused = put(json!({"password": NEW_PASSWORD})).await;
    let text = "SMTP authentication failed — check username and password";
    assert_eq!(error(&refused), text);
    post.imap.set_password(USER, PASSWORD);
    let path = format!("/v1/connections/{mailbox}/reauth");
    let body = json!({"password": PASSWORD, "imapPort": 143});
    let done = "Email (IMAP/SMTP) reconnected successfully";
    until(async || world.post(&path, &body).await.json()["message"] == done).await;
    assert_eq!(shown(world, &mailbox).await["status"], "healthy");
    assert_eq!(post.test(&mailbox).await["ok"], true);
    // The seal is for these servers: a row that names another opens nothing.
    let moved = format!(
        "update ah5.t_connections set mail = jsonb_set(mail, '{{imap,host}}', '\"{OTHER_HOST}\"')
         where id = '{mailbox}'"
    );
    world.sql(&moved).await;
    let path = format!("/v1/connections/{mailbox}/test");
    assert_eq!(world.post(&path, &json!({})).await.status, 500);
    nothing_leaked(world, &[PASSWORD, NEW_PASSWORD]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_will_not_do_is_refused_before_anything_is_dialed() {
    let post = Post::open().await;
    let before = post.imap.log();
    let without = |name: &str| json!({name: " "});
    for (change, text) in [
        (without("email"), "email is required"),
        (without("imapHost"), "imapHost is required"),
        (without("smtpHost"), "smtpHost is required"),
        (without("password"), "password is required"),
        (
            json!({"password": "short"}),
            "body/password must be 8 to 8192 bytes long",
        ),
        (
            json!({"password": "planted\r\nb LOGOUT"}),
            "body/password holds characters that cannot be sent",
        ),
        (
            json!({"email": "nobody"}),
            "body/email must be an e-mail address",
        ),
        (
            json!({"username": "ann\r\nb LOGOUT"}),
            "body/username cannot be sent",
        ),
        (
            json!({"imapHost": "a b"}),
            "body/imapHost is not a host name",
        ),
        (json!({"imapPort": 25}), "body/imapPort must be 993 or 143"),
        (json!({"smtpPort": 25}), "body/smtpPort must be 587 or 465"),
        (
            json!({"smtpPort": 2525}),
            "body/smtpPort must be 587 or 465",
        ),
        (
            json!({"imapPort": "x"}),
            "body/imapPort must be a port number",
        ),
        (json!({"imapTls": "yes"}), "body/imapTls must be boolean"),
        (
            json!({"imapSecurity": "none"}),
            "body/imapSecurity must be tls or starttls",
        ),
        (
            json!({"smtpSecurity": "none"}),
            "body/smtpSecurity must be tls or starttls",
        ),
    ] {
        let refused = post.connect(change.clone()).await;
        assert_eq!(
            (refused.status.as_u16(), error(&refused)),
            (400, text.into()),
            "{change}"
        );
    }
    assert_eq!(post.imap.log(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exempted_server_may_be_anywhere_and_do_without_tls() {
    let exempt = |builder: Builder, port: u16| {
        builder.env("SSRF_ALLOWLIST_HOSTS", &format!("127.0.0.1:{port}"))
    };
    let post = Post::with(exempt).await;
    let port = post.imap.imap.port();
    let at = |security: &str| json!({"imapHost": "127.0.0.1", "imapPort": port, "imapSecurity": security});
    let made = post.connect(at("starttls")).await;
    made.expect(200).unwrap();
    // Dovecot takes a password from its own machine without TLS, too.
    post.connect(at("none")).await.expect(200).unwrap();
    // Its neighbour is not exempt.
    let other = post.imap.imaps.port();
    let refused = post
        .connect(json!({"imapHost": "127.0.0.1", "imapPort": other}))
        .await;
    assert_eq!(error(&refused), "body/imapPort must be 993 or 143");
}
