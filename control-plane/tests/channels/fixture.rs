//! An installation whose Telegram, Slack and webhook receivers are a simulator of the test's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ah5_harness::stack::{Builder, Stack};
use ah5_testkit::client::Answer;
use ah5_testkit::simulator::{Body, Entry, Options, Received, Simulator};
use http::Response;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{World, at_database, control_plane};

pub const TELEGRAM_TOKEN: &str = "12345678:AAplanted-telegram-token-0123456789";
pub const SLACK_TOKEN: &str = "xoxb-planted-slack-token-0123456789";
pub const CHAT: &str = "4242";
pub const HOOKS: &str = "hooks.example.test";
const HOSTS: [&str; 3] = ["api.telegram.org", "slack.com", HOOKS];
/// For what a machine under load may take its time with.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Fixture {
    pub world: World,
    pub provider: Simulator,
}

// === impl Fixture ===

impl Fixture {
    pub async fn open() -> Self {
        Self::with(|builder| builder, |_| ()).await
    }

    /// With settings of its own, and more processes.
    pub async fn with(
        settings: impl FnOnce(Builder) -> Builder,
        more: impl FnOnce(&mut Stack),
    ) -> Self {
        let provider = provider().await;
        let mut stack = settings(towards(&provider)).start().unwrap();
        more(&mut stack);
        let world = World::at(Arc::new(stack)).await;
        Self { world, provider }
    }

    /// Connects a bot; gives the connection's id.
    pub async fn bot(&self, service: &str) -> String {
        let token = match service {
            "slack" => SLACK_TOKEN,
            _ => TELEGRAM_TOKEN,
        };
        let body = json!({"service": service, "botToken": token});
        let made = self.world.post("/v1/connections/bot-token", &body).await;
        id(&made.expect(200).unwrap()["connection"])
    }

    pub async fn put(&self, body: &Value) -> Value {
        let put = self.world.post("/v1/notification-channels", body).await;
        put.expect(200).unwrap()["channel"].clone()
    }

    pub async fn try_out(&self, channel: &str) -> Answer {
        let path = format!("/v1/notification-channels/{channel}/test");
        self.world.post(&path, &json!({})).await
    }

    /// A channel that messages are sent to.
    pub async fn verified(&self, body: &Value) -> Value {
        let channel = self.put(body).await;
        let tried = self.try_out(&id(&channel)).await;
        assert_eq!(tried.json(), json!({"ok": true, "error": null}));
        channel
    }

    pub async fn telegram(&self) -> Value {
        let bot = self.bot("telegram").await;
        let config = json!({"chatId": CHAT});
        self.verified(&json!({"channelType": "telegram", "connectionId": bot, "config": config}))
            .await
    }

    pub async fn slack(&self) -> Value {
        let bot = self.bot("slack").await;
        let config = json!({"channelId": "C0123"});
        self.verified(&json!({"channelType": "slack", "connectionId": bot, "config": config}))
            .await
    }

    /// At this path of the receiver's.
    pub async fn webhook(&self, path: &str) -> Value {
        let url = format!("https://{HOOKS}{path}");
        self.verified(&json!({"channelType": "webhook", "config": {"url": url}}))
            .await
    }

    /// As a data plane does whose agent needs approval; gives the approval's id.
    pub async fn ask(&self, agent: &str, connection: &str, url: &str) -> String {
        let approval = Uuid::new_v4();
        let digest = approval.simple().to_string().repeat(2);
        self.world
            .sql(&format!(
                "select ah5.create_approval(a.workspace_id, '{approval}', a.id, '{connection}',
                    'agent', null, null, null, 'rule:0', 'Ask first', 'It writes', 'POST', '{url}',
                    decode('{digest}', 'hex'), false, false, '\\x02ff', 1800, 1000)
                 from ah5.t_agents a where a.id = '{agent}'"
            ))
            .await;
        approval.to_string()
    }

    /// A new agent with a connection, and one question of it.
    pub async fn question(&self) -> (String, String, String) {
        let agent = self.world.owner.create_agent("bot").await.unwrap().id;
        let connection = self.world.connect().await;
        let url = "https://api.example.com/v2/orders";
        let approval = self.ask(&agent, &connection, url).await;
        (agent, connection, approval)
    }

    pub async fn decide(&self, approval: &str, verb: &str) {
        let path = format!("/v1/approvals/{approval}/{verb}");
        self.world
            .post(&path, &json!({}))
            .await
            .expect(200)
            .unwrap();
    }

    /// Requests whose path begins so, as soon as there are so many.
    pub async fn requests(&self, path: &str, number: usize) -> Vec<Entry> {
        let these = |all: &[Entry]| -> Vec<Entry> {
            let all = all.iter().filter(|it| it.path().starts_with(path));
            all.filter(|it| it.body_complete).cloned().collect()
        };
        let enough = |all: &[Entry]| these(all).len() >= number;
        these(&self.provider.wait_for(PATIENCE, enough).await.unwrap())
    }

    pub async fn count(&self, sql: &str) -> i64 {
        let client = at_database(&self.world.stack).await;
        client.query_one(sql, &[]).await.unwrap().get(0)
    }

    pub async fn waiting(&self) -> i64 {
        self.count("select count(*) from ah5.t_channel_outbox")
            .await
    }

    pub async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while tokio::time::Instant::now() < deadline {
            if is_so().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("never: {what}\n{}", self.world.log());
    }

    /// Of all that was asked so far.
    pub async fn until_announced(&self) {
        let sql = "select count(*) from ah5.t_approval_requests where announced_at is null";
        let all = async || self.count(sql).await == 0;
        self.until("all are announced", all).await;
    }

    pub async fn until_all_sent(&self) {
        let sent = async || self.waiting().await == 0;
        self.until("the outbox is empty", sent).await;
    }

    pub async fn until_put_off(&self, attempt: usize) {
        let put_off = "a message did not arrive";
        let logged = async || self.world.log().matches(put_off).count() >= attempt;
        self.until("it is put off", logged).await;
    }

    /// As if the time had passed that is waited after so many attempts.
    pub async fn end_pause(&self, attempt: usize) {
        self.world
            .sql(&format!(
                "update ah5.t_notification_channels c set busy_until = now()
                 from ah5.t_channel_outbox o where o.channel_id = c.id and o.attempts = {attempt}"
            ))
            .await;
    }

    /// The one channel, as its owner sees it.
    pub async fn only(&self) -> Value {
        let listed = self.world.get("/v1/notification-channels").await;
        listed.expect(200).unwrap()["channels"][0].clone()
    }
}

/// Telegram, Slack and receivers of webhooks.
pub async fn provider() -> Simulator {
    let options = Options {
        names: HOSTS.map(str::to_owned).to_vec(),
        ..Options::default()
    };
    let provider = Simulator::start_with(options).await.unwrap();
    play_telegram(&provider);
    play_slack(&provider);
    provider
}

/// An installation that finds them there.
pub fn towards(provider: &Simulator) -> Builder {
    let resolve = HOSTS.map(|host| format!("{host}:443={}", provider.address()));
    control_plane()
        .env("UPSTREAM_RESOLVE", &resolve.join(","))
        .env("UPSTREAM_CA_FILE", provider.ca_file().to_str().unwrap())
}

pub fn id(object: &Value) -> String {
    object["id"].as_str().unwrap().to_owned()
}

pub fn body(entry: &Entry) -> Value {
    serde_json::from_slice(&entry.body).unwrap()
}

pub fn answer(status: u16, body: &Value) -> Response<Body> {
    let mut answer = Response::new(Body::from(body.to_string()));
    *answer.status_mut() = status.try_into().unwrap();
    answer
}

fn play_telegram(provider: &Simulator) {
    let numbers = Arc::new(AtomicI64::new(100));
    provider.on("/bot*", move |received| {
        let numbers = Arc::clone(&numbers);
        async move { telegram(&received, &numbers) }
    });
}

fn telegram(received: &Received, numbers: &AtomicI64) -> Response<Body> {
    let path = received.target.strip_prefix("/bot").unwrap();
    let Some(method) = path.strip_prefix(TELEGRAM_TOKEN) else {
        let no = json!({"ok": false, "error_code": 401, "description": "Unauthorized"});
        return answer(401, &no);
    };
    let result = match method {
        "/getMe" => json!({"id": 12_345_678, "username": "ah5_bot", "first_name": "Ah5"}),
        "/sendMessage" => json!({"message_id": numbers.fetch_add(1, Ordering::Relaxed)}),
        "/getUpdates" => json!([
            {"update_id": 1, "message": {"chat":
                {"id": 4242, "type": "private", "first_name": "Ann", "last_name": "B", "username": "ann"}}},
            {"update_id": 2, "message": {"chat": {"id": -100_123, "type": "group", "title": "Ops"}}},
            {"update_id": 3, "message": {"chat": {"id": 4242, "type": "private", "first_name": "Ann"}}},
        ]),
        _ => json!(true),
    };
    answer(200, &json!({"ok": true, "result": result}))
}

fn play_slack(provider: &Simulator) {
    provider.on("/api/*", |received| async move {
        let bearer = received.headers.get("authorization");
        if bearer.is_none_or(|it| it != format!("Bearer {SLACK_TOKEN}").as_str()) {
            return answer(200, &json!({"ok": false, "error": "invalid_auth"}));
        }
        let said = json!({
            "ok": true, "team": "Acme", "team_id": "T1", "user_id": "U1", "bot_id": "B1",
            "url": "https://acme.slack.com/",
        });
        answer(200, &said)
    });
}
