//! One stack and its mail servers for all tests; a mailbox, its owner and an agent for each.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use ah5_harness::stack::Stack;
use ah5_testkit::certificates::Authority;
use ah5_testkit::client::{Agent, Answer, Call, Http, Owner};
use ah5_testkit::dovecot::Dovecot;
use ah5_testkit::servers::MailServer;
use http::Method;
use serde_json::{Value, json};

use crate::fake::Fake;
use crate::support::settings;

pub const PASSWORD: &str = "planted mail pässword 0123";
pub const BASE: &str = "https://email-imap.internal";
const HOST: &str = "mail.acme.example";

pub struct Post {
    pub imap: Dovecot,
    pub smtp: MailServer,
    pub fake: Fake,
    taken: AtomicUsize,
    // The last: it must outlive whatever talks to it.
    pub stack: Stack,
    _folder: tempfile::TempDir,
}

pub struct Mailbox {
    pub user: String,
    pub owner: Owner,
    pub agent: Agent,
    pub plane: Http,
    pub connection: String,
    pub policy: String,
    pub post: Arc<Post>,
}

// === impl Post ===

impl Post {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::generate().unwrap();
        let leaf = authority.issue(&[HOST]).unwrap();
        let (certificate, key) = leaf.write(folder.path(), "mail").unwrap();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, authority.pem()).unwrap();
        let users: Vec<String> = (0..USERS).map(user).collect();
        let users: Vec<&str> = users.iter().map(String::as_str).collect();
        let imap = Dovecot::start(&users, PASSWORD, &certificate, &key);
        let handing: Vec<&str> = users.iter().copied().chain(crate::fake::USERS).collect();
        let smtp = MailServer::with(json!({
            "certificate": certificate, "key": key, "user": "x", "users": handing,
            "password": PASSWORD,
        }));
        let fake = Fake::start();
        let resolve = format!(
            "{HOST}:993={},{HOST}:143={},{HOST}:587=127.0.0.1:{}",
            imap.imaps, imap.imap, smtp.port
        );
        let builder = Stack::builder()
            .data_planes(1)
            .simulator(false)
            .front_door(false);
        let stack = settings(builder)
            .env("UPSTREAM_RESOLVE", &resolve)
            .env("UPSTREAM_CA_FILE", ca.to_str().unwrap())
            .env("SSRF_ALLOWLIST_HOSTS", &fake.host())
            .start()
            .unwrap();
        Self {
            imap,
            smtp,
            fake,
            taken: AtomicUsize::new(0),
            stack,
            _folder: folder,
        }
    }

    fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Post>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(post) = shared.upgrade() {
            return post;
        }
        let post = Arc::new(Self::start());
        *shared = Arc::downgrade(&post);
        post
    }
}

// === impl Mailbox ===

impl Mailbox {
    pub async fn open() -> Self {
        let post = Post::shared();
        let number = post.taken.fetch_add(1, Ordering::Relaxed);
        assert!(number < USERS, "there are more tests than mailboxes");
        let account = json!({"email": user(number), "imapHost": HOST});
        Self::with(post, &user(number), account).await
    }

    /// At the server that means no good, as the user whose name says what it does.
    pub async fn fake(name: &str) -> Self {
        let post = Post::shared();
        let (host, port) = post.fake.address();
        let account = json!({
            "email": name, "imapHost": host, "imapPort": port, "imapSecurity": "none",
        });
        Self::with(post, name, account).await
    }

    async fn with(post: Arc<Post>, user: &str, mut account: Value) -> Self {
        let stack = &post.stack;
        let control = Http::new(format!("http://{}", stack.control_plane().listen));
        let plane = Http::new(format!("http://{}", stack.data_plane(0).listen));
        let owner = Owner::sign_up(&control, stack.origin()).await.unwrap();
        let agent = owner.create_agent("bot").await.unwrap();
        let agent = Agent::ready(&control, stack.origin(), agent).await.unwrap();
        account["smtpHost"] = HOST.into();
        account["password"] = PASSWORD.into();
        account["displayName"] = "Ann".into();
        let made = owner.post("/v1/connections/email", &account).await.unwrap();
        let made = made.expect(200).unwrap();
        let connection = made["connection"]["id"].as_str().unwrap().to_owned();
        let lists = json!([{
            "baseUrl": BASE, "methods": ["GET", "POST", "PATCH", "DELETE"],
            "pathPatterns": ["/**"],
        }]);
        let policy = owner.allow(&agent.id, &connection, &lists).await.unwrap();
        let mailbox = Self {
            user: user.to_owned(),
            owner,
            agent,
            plane,
            connection,
            policy,
            post,
        };
        // What it is asked for does not exist, which is said without a server.
        until(async || mailbox.get("/nothing").await.status == 404).await;
        mailbox
    }

    pub fn deliver(&self, folder: Option<&str>, letter: impl AsRef<[u8]>) {
        self.post.imap.deliver(&self.user, folder, letter.as_ref());
    }

    /// `POST /v1/vault/execute`, with further members.
    pub fn asking(&self, method: &Method, url: &str, body: &Value, further: &Value) -> Call {
        let mut envelope = json!({
            "model": "B", "connectionId": self.connection, "method": method.as_str(), "url": url,
        });
        if !body.is_null() {
            envelope["body"] = body.clone();
        }
        for (name, value) in further.as_object().into_iter().flatten() {
            envelope[name] = value.clone();
        }
        self.agent
            .call(Method::POST, "/v1/vault/execute")
            .json(&envelope)
    }

    pub async fn send(&self, call: Call) -> Answer {
        let answer = self.plane.send(call).await.unwrap();
        assert!(!answer.contains(PASSWORD), "{}", answer.text());
        answer
    }

    pub async fn call(&self, method: Method, url: &str, body: &Value) -> Answer {
        self.send(self.asking(&method, url, body, &Value::Null))
            .await
    }

    pub async fn get(&self, url: &str) -> Answer {
        self.call(Method::GET, url, &Value::Null).await
    }

    /// The body of a good answer.
    pub async fn body(&self, url: &str) -> Value {
        body(&self.get(url).await)
    }

    /// What each letter of a folder is about, newest first.
    pub async fn subjects(&self, query: &str) -> Vec<String> {
        let found = self.body(&format!("/messages?{query}")).await;
        let letters = found["messages"].as_array().unwrap().iter();
        letters
            .map(|it| it["subject"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Until the data plane has them: it has by then whatever was made before.
    pub async fn rules(&self, request: &Value, response: &Value) {
        let body = json!({"rules": {"request": request, "response": response}});
        let path = format!("/v1/policies/{}/rules", self.policy);
        self.owner
            .put(&path, &body)
            .await
            .unwrap()
            .expect(200)
            .unwrap();
        let base = "https://api.example.com";
        let later = self
            .owner
            .connect(base, &json!({"kind": "bearer"}), "planted-secret-0123")
            .await;
        let call = self.agent.proxy(&later.unwrap(), Method::GET, "/x");
        self.send(call).await.expect(403).unwrap();
    }
}

/// The body in the envelope of a good answer.
pub fn body(answer: &Answer) -> Value {
    answer
        .expect(200)
        .unwrap_or_else(|_| panic!("{}", answer.text()))["body"]
        .clone()
}

/// The status, that in the envelope, and what the error is.
pub fn failure(answer: &Answer) -> (u16, u64, String) {
    let envelope = answer.json();
    let error = envelope["error"].as_str().unwrap_or_default().to_owned();
    assert_eq!(envelope["body"]["error"], error.as_str(), "{envelope}");
    let inner = envelope["status"].as_u64().unwrap_or_default();
    (answer.status.as_u16(), inner, error)
}

pub async fn until(is_so: impl AsyncFn() -> bool) {
    for _ in 0..1000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it did not come to that");
}

pub fn letter(from: &str, subject: &str, text: &str) -> String {
    format!(
        "From: {from}\r\nTo: Ann <ann@acme.example>\r\nSubject: {subject}\r\n\
         Date: Mon, 30 Nov 2026 10:00:00 +0100\r\nMessage-ID: <{}@x.example>\r\n\r\n{text}\r\n",
        subject.len()
    )
}

fn user(number: usize) -> String {
    format!("user{number}@acme.example")
}

const USERS: usize = 40;
