//! An installation that tells an owner's approvals by mail, Telegram and Slack, and an agent that may
//! read that mail.

use std::time::Duration;

use ah5_harness::stack::Stack;
use ah5_testkit::certificates::Authority;
use ah5_testkit::client::{Agent, Answer, Call, Http, Owner};
use ah5_testkit::dovecot::Dovecot;
use ah5_testkit::servers::MailServer;
use ah5_testkit::simulator::Simulator;
use http::Method;
use serde_json::{Value, json};

use crate::played::{self, HOSTS, PROVIDER};
use crate::support::{SECRET, settings};

/// Where the agent orders, at the provider.
pub const ORDERS: &str = "/v2/echo/orders";
const MAIL: &str = "mail.acme.example";
const ADDRESS: &str = "ann@acme.example";
const PASSWORD: &str = "planted-password-0123456789";
const TELEGRAM: &str = "12345678:AAplanted-telegram-token-0123456789";
const SLACK: &str = "xoxb-planted-slack-token-0123456789";
const CHATS: [&str; 2] = [
    "/bot12345678:AAplanted-telegram-token-0123456789/sendMessage",
    "/api/chat.postMessage",
];

pub struct House {
    pub owner: Owner,
    agent: Agent,
    front: Http,
    provider: Simulator,
    letters: MailServer,
    imap: Dovecot,
    mailbox: String,
    orders: String,
    // The last but what it needs itself: it must outlive whatever talks to it.
    pub stack: Stack,
    _smtp: MailServer,
    _folder: tempfile::TempDir,
}

// === impl House ===

impl House {
    pub async fn open() -> Self {
        let provider = played::start().await;
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::generate().unwrap();
        let leaf = authority.issue(&[MAIL]).unwrap();
        let (certificate, key) = leaf.write(folder.path(), "mail").unwrap();
        let trusted = folder.path().join("ca.pem");
        let both = format!("{}\n{}", authority.pem(), provider.ca_pem());
        std::fs::write(&trusted, both).unwrap();
        let imap = Dovecot::start(&[ADDRESS], PASSWORD, &certificate, &key);
        let smtp = MailServer::with(json!({
            "certificate": certificate, "key": key, "user": ADDRESS, "password": PASSWORD,
        }));
        let letters = MailServer::start();
        let played = HOSTS.map(|host| format!("{host}:443={}", provider.address()));
        let resolve = format!(
            "{},{MAIL}:993={},{MAIL}:587=127.0.0.1:{}",
            played.join(","),
            imap.imaps,
            smtp.port
        );
        let builder = Stack::builder().data_planes(1).simulator(false);
        // An agent that tries a lot is one caller.
        let stack = settings(builder)
            .env("RATE_LIMIT_FAILED_AUTH_PER_MINUTE", "100000")
            .env("RATE_LIMIT_PER_15_MINUTES", "100000")
            .env("UPSTREAM_RESOLVE", &resolve)
            .env("UPSTREAM_CA_FILE", trusted.to_str().unwrap())
            .env("SMTP_HOST", "localhost")
            .env("SMTP_PORT", &letters.port.to_string())
            .env("SMTP_TLS", "none")
            .env("EMAIL_FROM", "AgentHiFive <noreply@ah5.example>")
            .start()
            .unwrap();
        let front = Http::new(format!("http://{}", stack.front()));
        let owner = owner(&front, stack.origin(), &letters).await;
        let agent = owner.create_agent("bot").await.unwrap();
        let agent = Agent::ready(&front, stack.origin(), agent).await.unwrap();
        let mut house = Self {
            owner,
            agent,
            front,
            provider,
            letters,
            imap,
            mailbox: String::new(),
            orders: String::new(),
            stack,
            _smtp: smtp,
            _folder: folder,
        };
        house.connect().await;
        house.channels().await;
        house
    }

    async fn connect(&mut self) {
        let account = json!({
            "email": ADDRESS, "imapHost": MAIL, "smtpHost": MAIL, "password": PASSWORD,
            "displayName": "Ann",
        });
        self.mailbox = self.made("/v1/connections/email", &account).await;
        let lists = json!([{"baseUrl": "https://email-imap.internal", "methods": ["GET"],
                            "pathPatterns": ["/**"]}]);
        let (owner, agent) = (&self.owner, &self.agent.id);
        owner.allow(agent, &self.mailbox, &lists).await.unwrap();
        let base = format!("https://{PROVIDER}/v2");
        let auth = json!({"kind": "bearer"});
        self.orders = owner.connect(&base, &auth, SECRET).await.unwrap();
        let policy = json!({
            "agentId": agent, "connectionId": self.orders, "defaultMode": "read_write",
            "stepUpApproval": "always",
            "allowlists": [{"baseUrl": format!("https://{PROVIDER}"), "methods": ["POST"], "pathPatterns": ["/v2/echo/**"]}],
        });
        let made = owner.post("/v1/policies", &policy).await.unwrap();
        made.expect(201).unwrap();
        // The policy is known once what it does not allow is refused for that.
        let other = self.agent.proxy(&self.orders, Method::GET, "/x");
        let mut said = String::new();
        for _ in 0..1000 {
            said = self.front.send(other.clone()).await.unwrap().text();
            if said.contains("does not match any allowlist rule") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the policy never came: {said}");
    }

    /// Three of them, each proved.
    async fn channels(&self) {
        for (service, token, config) in [
            ("telegram", TELEGRAM, json!({"chatId": "4242"})),
            ("slack", SLACK, json!({"channelId": "C0123"})),
        ] {
            let bot = json!({"service": service, "botToken": token});
            let bot = self.made("/v1/connections/bot-token", &bot).await;
            let channel = json!({"channelType": service, "connectionId": bot, "config": config});
            let id = self.made("/v1/notification-channels", &channel).await;
            let path = format!("/v1/notification-channels/{id}/test");
            let tried = self.owner.post(&path, &json!({})).await.unwrap();
            assert_eq!(tried.json()["ok"], true, "{}", tried.text());
        }
        let channel = json!({"channelType": "email", "config": {"address": ADDRESS}});
        let id = self.made("/v1/notification-channels", &channel).await;
        let mail = self.letters.wait_for(ADDRESS, "Your code").await;
        let is_code = |line: &&str| line.len() == 8 && line.bytes().all(|b| b.is_ascii_digit());
        let code = json!({"code": mail.lines().find(is_code).unwrap()});
        let path = format!("/v1/notification-channels/{id}/verify");
        let proved = self.owner.post(&path, &code).await.unwrap();
        proved.expect(200).unwrap();
        self.provider.clear();
    }

    /// The id of what was made.
    async fn made(&self, path: &str, body: &Value) -> String {
        let made = self.owner.post(path, body).await.unwrap();
        let made = made.expect(200).unwrap();
        let id = made["connection"]["id"]
            .as_str()
            .or(made["channel"]["id"].as_str());
        id.unwrap().to_owned()
    }

    /// Asks for an order, or makes the one that was asked for.
    pub async fn order(&self, order: &Value, approval: Option<&str>) -> Answer {
        let call = self.agent.proxy(&self.orders, Method::POST, "/echo/orders");
        let call = match approval {
            None => call,
            Some(id) => call.header("x-ah5-approval-id", id),
        };
        self.front.send(call.json(order)).await.unwrap()
    }

    /// How often the provider was asked for one.
    pub fn arrived(&self) -> usize {
        let journal = self.provider.journal();
        journal
            .iter()
            .filter(|entry| entry.path() == ORDERS)
            .count()
    }

    pub async fn status(&self, id: &str) -> Value {
        let answer = self.owner.get(&format!("/v1/approvals/{id}")).await;
        let approval = answer.unwrap().expect(200).unwrap()["approval"].clone();
        json!([approval["status"], approval["outcome"]])
    }

    /// The question as it is told: the letter, the same as the agent has it from its mailbox, the chats.
    pub async fn told(&self, id: &str) -> Vec<String> {
        let letter = self.letters.wait_for(ADDRESS, id).await;
        self.imap.deliver(ADDRESS, None, letter.as_bytes());
        let mut as_read = String::new();
        let listed = self.read("/messages").await;
        for message in listed.json()["body"]["messages"].as_array().unwrap() {
            let path = format!("/messages/{}", message["uid"]);
            as_read.push_str(&self.read(&path).await.text());
        }
        let mut told = vec![letter, as_read];
        for path in CHATS {
            let limit = Duration::from_secs(60);
            let came =
                |entry: &&ah5_testkit::simulator::Entry| entry.path() == path && entry.contains(id);
            let journal = self
                .provider
                .wait_for(limit, |all| all.iter().any(|it| came(&it)));
            let journal = journal.await.unwrap();
            let chat = journal.iter().find(came).unwrap();
            told.push(String::from_utf8_lossy(&chat.body).into_owned());
        }
        told
    }

    async fn read(&self, url: &str) -> Answer {
        let call = self.agent.execute(&self.mailbox, &Method::GET, url);
        let answer = self.front.send(call).await.unwrap();
        answer.expect(200).unwrap();
        answer
    }

    /// The call with everything that the agent could show for itself.
    pub fn shown(&self, call: &Call) -> Vec<Call> {
        let token = &self.agent.token;
        let (session, _) = self.owner.cookie.split_once('=').unwrap();
        let origin = self.stack.origin();
        vec![
            call.clone(),
            call.clone().bearer(token),
            call.clone().header("x-api-key", token),
            call.clone().header("cookie", format!("{session}={token}")),
            call.clone()
                .header("cookie", format!("{session}={token}"))
                .header("origin", origin),
            call.clone().header("origin", origin).bearer(token),
        ]
    }

    /// Goes where it is led, as a browser or a preview does.
    pub async fn follow(&self, call: Call) -> Answer {
        let mut answer = self.front.send(call.clone()).await.unwrap();
        for _ in 0..5 {
            let Some(place) = answer.header("location") else {
                break;
            };
            let place = place.strip_prefix(self.stack.origin()).unwrap_or(place);
            let next = Call {
                method: Method::GET,
                target: place.to_owned(),
                ..call.clone()
            };
            answer = self.front.send(next).await.unwrap();
        }
        answer
    }
}

async fn owner(http: &Http, origin: &str, letters: &MailServer) -> Owner {
    let body = json!({"email": ADDRESS, "password": PASSWORD, "name": "Ann"});
    let sign_up = Call::post("/api/auth/sign-up/email").header("origin", origin);
    let made = http.send(sign_up.json(&body)).await.unwrap();
    made.expect(200).unwrap();
    let mail = letters.wait_for(ADDRESS, "Confirm").await;
    let start = mail.find(&format!("{origin}/api/auth/")).unwrap() + origin.len();
    let link = mail[start..].split_whitespace().next().unwrap();
    assert_eq!(http.send(Call::get(link)).await.unwrap().status, 302);
    Owner::sign_in(http, origin, ADDRESS, PASSWORD)
        .await
        .unwrap()
}
