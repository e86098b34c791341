//! Addresses proven and passwords reset by mail, through a real mail server.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::Arc;

use ah5_harness::stack::{Builder, Stack};
use ah5_testkit::client::{Agent, Answer, Call, Http, Owner};
use ah5_testkit::servers::MailServer;
use serde_json::{Value, json};

use support::servers::link;
use support::{World, control_plane};

const OLD: &str = "planted-old-password";
const NEW: &str = "planted-new-password";

/// An installation that sends mail to a server of the test's own.
struct Post {
    http: Http,
    stack: Arc<Stack>,
    server: MailServer,
}

fn by_smtp(port: u16) -> Builder {
    control_plane()
        .env("SMTP_HOST", "localhost")
        .env("SMTP_PORT", &port.to_string())
        .env("SMTP_TLS", "none")
        .env("EMAIL_FROM", "AgentHiFive <noreply@ah5.example>")
}

impl Post {
    fn open() -> Self {
        let server = MailServer::start();
        Self::with(by_smtp(server.port), server)
    }

    fn with(builder: Builder, server: MailServer) -> Self {
        let stack = Arc::new(builder.start().unwrap());
        let http = Http::new(format!("http://{}", stack.control_plane().listen));
        Self {
            http,
            stack,
            server,
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        let call = Call::post(path).header("origin", self.stack.origin());
        self.http.send(call.json(body)).await.unwrap()
    }

    async fn sign_up(&self, email: &str) -> Answer {
        let body = json!({"email": email, "password": OLD, "name": "Ann"});
        self.post("/api/auth/sign-up/email", &body).await
    }

    async fn sign_in(&self, email: &str, password: &str) -> Answer {
        let body = json!({"email": email, "password": password});
        self.post("/api/auth/sign-in/email", &body).await
    }

    /// Follows the link of the mail, without following where that leads.
    async fn open_link(&self, to: &str, words: &str) -> (String, String) {
        let mail = self.server.wait_for(to, words).await;
        let path = link(&mail, self.stack.origin());
        let answer = self.http.send(Call::get(&path)).await.unwrap();
        assert_eq!(answer.status, 302);
        (path, answer.header("location").unwrap().to_owned())
    }

    async fn proven(&self, email: &str) -> Owner {
        assert_eq!(self.sign_up(email).await.status, 200);
        self.open_link(email, "Confirm your address").await;
        Owner::sign_in(&self.http, self.stack.origin(), email, OLD)
            .await
            .unwrap()
    }

    async fn sql(&self, sql: &str) {
        let world = support::at_database(&self.stack);
        world.await.batch_execute(sql).await.unwrap();
    }

    async fn waiting(&self) -> i64 {
        let client = support::at_database(&self.stack).await;
        let row = client
            .query_one("select count(*) from ah5.t_mail_outbox", &[])
            .await;
        row.unwrap().get(0)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.stack.logs().join("control-plane.log")).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_proven_by_a_link_that_works_once() {
    let post = Post::open();
    let signed_up = post.sign_up("ann@example.com").await;
    assert_eq!(signed_up.json()["user"]["emailVerified"], false);
    let refused = post.sign_in("ann@example.com", OLD).await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.json()["code"], "EMAIL_NOT_VERIFIED");

    let (path, location) = post.open_link("ann@example.com", "Confirm").await;
    assert_eq!(location, "/login?verified=true");
    let again = post.http.send(Call::get(&path)).await.unwrap();
    let location = again.header("location").unwrap();
    assert_eq!(location, "/login?verified=true&error=invalid_token");
    let signed_in = post.sign_in("ann@example.com", OLD).await;
    assert_eq!(signed_in.json()["user"]["emailVerified"], true);

    let token = path.split("token=").nth(1).unwrap()[..43].to_owned();
    assert!(!post.log().contains(&token));
    assert_eq!(post.waiting().await, 0, "what was sent is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_up_does_not_tell_who_has_an_account() {
    let post = Post::open();
    let first = post.sign_up("bob@example.com").await;
    let second = post.sign_up("bob@example.com").await;
    assert_eq!((first.status, second.status), (first.status, first.status));
    let members = |answer: &Answer| -> Vec<String> {
        let user = answer.json()["user"].clone();
        user.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(members(&first), members(&second));
    let mail = post
        .server
        .wait_for("bob@example.com", "You already have")
        .await;
    assert!(!mail.contains("token="));
    // What the stranger typed has not become the password.
    let verify = json!({"email": "nobody@example.com"});
    assert_eq!(
        post.post("/api/auth/send-verification-email", &verify)
            .await
            .status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_ends_all_that_was_got_with_the_old_password() {
    let post = Post::open();
    let owner = post.proven("cas@example.com").await;
    let made = owner.create_agent("bot").await.unwrap();
    let agent = Agent::ready(&post.http, post.stack.origin(), made)
        .await
        .unwrap();
    let token = json!({"name": "t", "scopes": ["agents:read"]});
    let personal = owner.post("/v1/tokens", &token).await.unwrap().json();
    let personal = personal["plainToken"].as_str().unwrap().to_owned();
    let by_token = || Call::get("/v1/agents").bearer(&personal);
    assert_eq!(post.http.send(by_token()).await.unwrap().status, 200);

    let ask = json!({"email": "cas@example.com", "redirectTo": "/reset-password?x=1"});
    let asked = post.post("/api/auth/request-password-reset", &ask).await;
    let unknown = json!({"email": "dan@example.com"});
    let nobody = post
        .post("/api/auth/request-password-reset", &unknown)
        .await;
    assert_eq!((asked.status, asked.text()), (nobody.status, nobody.text()));

    let (_, location) = post.open_link("cas@example.com", "new password").await;
    let token = location.strip_prefix("/reset-password?x=1&token=").unwrap();
    let short = json!({"newPassword": "short", "token": token});
    let refused = post.post("/api/auth/reset-password", &short).await;
    assert_eq!(refused.json()["code"], "PASSWORD_TOO_SHORT");
    let body = json!({"newPassword": NEW, "token": token});
    assert_eq!(
        post.post("/api/auth/reset-password", &body).await.status,
        200
    );
    let again = post.post("/api/auth/reset-password", &body).await;
    assert_eq!(
        (again.status.as_u16(), &again.json()["code"]),
        (400, &json!("INVALID_TOKEN"))
    );

    assert_eq!(
        owner.get("/v1/agents").await.unwrap().status,
        401,
        "session"
    );
    let by_agent = Call::get("/v1/connections").bearer(&agent.token);
    assert_eq!(post.http.send(by_agent).await.unwrap().status, 401, "agent");
    assert_eq!(
        post.http.send(by_token()).await.unwrap().status,
        401,
        "token"
    );
    assert_eq!(post.sign_in("cas@example.com", OLD).await.status, 401);
    assert_eq!(post.sign_in("cas@example.com", NEW).await.status, 200);
    post.server.wait_for("cas@example.com", "was changed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_was_never_proven_gets_no_reset() {
    let post = Post::open();
    post.sign_up("eve@example.com").await;
    post.server.wait_for("eve@example.com", "Confirm").await;
    let ask = json!({"email": "eve@example.com"});
    post.post("/api/auth/request-password-reset", &ask).await;
    // A later letter has come, so an earlier one would have.
    post.post("/api/auth/send-verification-email", &ask).await;
    post.proven("fay@example.com").await;
    let mails = post.server.mails();
    assert!(
        mails
            .iter()
            .all(|mail| !mail.contains("Choose a new password"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_wait_sealed_for_a_mail_server_that_is_away() {
    // The second first, so that it does not get the port of the one that goes.
    let (away, server) = (MailServer::start(), MailServer::start());
    let port = server.port;
    drop(server);
    let mut post = Post::with(by_smtp(port), away);
    assert_eq!(post.sign_up("gil@example.com").await.status, 200);
    let dump = post.stack.cluster().unwrap().dump("ah5").unwrap();
    assert_eq!(post.waiting().await, 1);
    assert!(!dump.contains("verify-email?token"), "the link can be read");
    post.server = MailServer::with(json!({"port": port}));
    post.sql("update ah5.t_mail_outbox set next_attempt_at = now()")
        .await;
    post.server.wait_for("gil@example.com", "Confirm").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_refused_for_good_is_given_up() {
    let post = Post::open();
    assert_eq!(post.sign_up("refused@example.com").await.status, 200);
    post.proven("hal@example.com").await;
    assert_eq!(post.waiting().await, 0);
    assert!(!post.log().contains("refused@example.com"));
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_under_tls_with_a_password_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    std::fs::write(&cert, certificate.cert.pem()).unwrap();
    std::fs::write(&key, certificate.signing_key.serialize_pem()).unwrap();
    let settings = json!({"certificate": cert, "key": key, "user": "u", "password": "p"});
    let server = MailServer::with(settings.clone());
    let tls = |port: u16| {
        by_smtp(port)
            .env("SMTP_TLS", "starttls")
            .env("SMTP_USERNAME", "u")
            .env("SMTP_PASSWORD", "p")
    };
    let trusting = tls(server.port).env("SMTP_CA_FILE", cert.to_str().unwrap());
    let post = Post::with(trusting, server);
    post.proven("ida@example.com").await;
    drop(post);

    // A server that nobody vouches for gets nothing.
    let server = MailServer::with(settings);
    let post = Post::with(tls(server.port), server);
    post.sign_up("jon@example.com").await;
    for _ in 0..400 {
        if post.log().contains("a letter was not taken") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(post.log().contains("a letter was not taken"));
    assert!(post.server.mails().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_takes_the_mail_of_a_developer() {
    let folder = tempfile::tempdir().unwrap();
    let stack = control_plane()
        .env("EMAIL_PROVIDER", "outbox")
        .env("EMAIL_OUTBOX_DIR", folder.path().to_str().unwrap());
    // Signs up and in at once: the address is taken at its word.
    let world = World::at(Arc::new(stack.start().unwrap())).await;
    for _ in 0..400 {
        let mut files = std::fs::read_dir(folder.path()).unwrap();
        if let Some(file) = files.find(|file| {
            let path = file.as_ref().unwrap().path();
            path.extension().is_some_and(|it| it == "eml")
        }) {
            let mail = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let path = link(&mail, world.stack.origin());
            assert_eq!(world.send(Call::get(path)).await.status, 302);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("no mail came");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_installation_without_mail_takes_nobody() {
    let builder = control_plane().env("PUBLIC_ORIGIN", "https://ah5.example.com");
    let stack = builder.start().unwrap();
    let http = Http::new(format!("http://{}", stack.control_plane().listen));
    let body = json!({"email": "a@example.com", "password": OLD, "name": "A"});
    let answer = http
        .send(Call::post("/api/auth/sign-up/email").json(&body))
        .await
        .unwrap();
    assert_eq!(answer.status, 403);
    assert_eq!(answer.json()["code"], "SIGN_UP_CLOSED");
}
