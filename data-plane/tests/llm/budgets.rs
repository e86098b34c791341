//! Budgets of tokens and money, over two replicas.

use ah5_testkit::client::{Answer, Http};
use futures_util::future::join_all;
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::models::Models;

const CHAT: &str = "openai/chat/completions";

impl Models {
    async fn limit(&self, service: &str, limits: &Value) {
        self.change(service, "rate-limits", &json!({"rateLimits": limits}))
            .await;
    }

    async fn used(&self, service: &str, budget: &str) -> i64 {
        let policy = &self.policies[service];
        let sum = format!(
            "select coalesce(sum(used), 0)::int8 from ah5.t_budget_spans
             where policy_id = '{policy}' and budget = '{budget}'"
        );
        self.world.number(&sum).await
    }

    async fn until_used(&self, service: &str, budget: &str, wanted: i64) {
        let is_so = || async { self.used(service, budget).await == wanted };
        self.world.until(is_so).await;
    }
}

fn chat(model: &str, most: u64, told: &str) -> Value {
    let messages = json!([{"role": "user", "content": told}]);
    json!({"model": model, "max_tokens": most, "messages": messages})
}

/// What the budget holds for a request until its usage is known: its bytes, what a provider puts
/// around them, and the answer.
fn reservation(body: &Value, most: u64) -> i64 {
    i64::try_from(body.to_string().len() as u64 + 2_048 + most).unwrap()
}

/// How a stream went.
#[derive(Debug, PartialEq)]
enum Went {
    Killed,
    Refused,
    Whole,
}

/// Reads so many pieces of a stream and goes away; all of it for `None`.
async fn stream(models: &Models, plane: &Http, body: &Value, pieces: Option<usize>) -> Went {
    let call = models.call(Method::POST, CHAT).json(body);
    let answer = plane.open(call).await.unwrap();
    if answer.status() == 429 {
        return Went::Refused;
    }
    assert_eq!(answer.status(), 200);
    let mut answer = answer.into_body();
    match pieces {
        None => {
            answer.collect().await.unwrap();
            Went::Whole
        }
        Some(pieces) => {
            for _ in 0..pieces {
                answer.frame().await;
            }
            Went::Killed
        }
    }
}

/// Words that the model says, and what the provider counts for them with its eleven of the prompt.
const WORDS: usize = 60;
const SPENT: i64 = 71;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_streams_killed_at_random_never_exceed_a_budget() {
    let models = Models::open().await;
    let mut body = chat("gpt-5", 60, &format!("emit:{}", "word ".repeat(WORDS)));
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    let reserved = reservation(&body, 60);
    let budget = reserved * 60 + 5;
    models
        .limit("openai", &json!({"maxTokensPerHour": budget}))
        .await;
    let streams = (0_usize..200).map(|number| {
        // Anything that differs from stream to stream, and from run to run not.
        let dice = number.wrapping_mul(2_654_435_761) >> 7;
        let pieces = (dice % 3 != 0).then_some(dice % 20);
        let (models, body) = (&models, &body);
        async move {
            let plane = &models.world.planes[number % models.world.planes.len()];
            stream(models, plane, body, pieces).await
        }
    });
    let went = join_all(streams).await;
    let count = |what: Went| i64::try_from(went.iter().filter(|it| **it == what).count()).unwrap();
    let (whole, killed, refused) = (
        count(Went::Whole),
        count(Went::Killed),
        count(Went::Refused),
    );
    assert!(
        whole > 0 && killed > 0 && refused > 0,
        "{whole} {killed} {refused}"
    );
    let sent = i64::try_from(models.seen("/v1/chat/completions").await.len()).unwrap();
    assert_eq!(sent, whole + killed);
    // Every whole stream is settled; a killed one keeps what it reserved, unless it had passed here
    // before its reader went.
    let is_settled = || async {
        let used = models.used("openai", "tokens_hour").await;
        assert!(used <= budget, "{used} of {budget}");
        let more = used - SPENT * sent;
        let kept = more / (reserved - SPENT);
        more % (reserved - SPENT) == 0 && (0..=killed).contains(&kept)
    };
    models.world.until(is_settled).await;
    assert!(models.used("openai", "tokens_hour").await > SPENT * sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_answer_says_is_counted_in_place_of_what_was_reserved() {
    let models = Models::open().await;
    let limits = json!({"maxTokensPerHour": 1_000_000, "maxTokensPerDay": 1_000_000, "maxCostCentsPerMonth": 100});
    models.limit("openai", &limits).await;
    let answer = models
        .ask(CHAT, &chat("gpt-5", 100, "emit:one two three "))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    models.until_used("openai", "tokens_hour", 14).await;
    models.until_used("openai", "tokens_day", 14).await;
    // Eleven at 1.25 and three at 10 dollars a million, in millionths.
    models.until_used("openai", "cost_month", 44).await;
    // It counts by whatever way it was asked.
    let body = chat("gpt-5", 100, "emit:one ");
    let proxied =
        models
            .world
            .agent
            .proxy(&models.ids["openai"], Method::POST, "/v1/chat/completions");
    assert_eq!(models.world.send(proxied.json(&body)).await.status, 200);
    let url = "https://api.openai.com/v1/chat/completions";
    let executed =
        models
            .world
            .agent
            .execute_with(&models.ids["openai"], &Method::POST, url, &body);
    assert_eq!(models.world.send(executed).await.status, 200);
    models
        .until_used("openai", "tokens_hour", 14 + 12 + 12)
        .await;
    // A model without a known price.
    let unknown = chat("limited", 100, "x");
    assert_eq!(models.ask(CHAT, &unknown).await.status, 403);
    models
        .limit("openai", &json!({"maxTokensPerHour": 1_000_000}))
        .await;
    // Lists of models use nothing.
    let list = models.call(Method::GET, "openai/models");
    assert_eq!(models.world.send(list).await.status, 200);
    // A provider that doesn't say may have used it all; one that refuses has used nothing.
    let mut silent = chat("gpt-5", 100, "x");
    silent["stream"] = json!(true);
    assert_eq!(models.ask(CHAT, &silent).await.status, 200);
    let used = 38 + reservation(&silent, 100);
    models.until_used("openai", "tokens_hour", used).await;
    assert_eq!(models.ask(CHAT, &unknown).await.status, 429);
    assert_eq!(models.seen("/v1/chat/completions").await.len(), 5);
    models.until_used("openai", "tokens_hour", used).await;
}

fn message(answer: &Answer) -> String {
    answer.json()["error"]["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_used_up_a_budget_is_told_to_wait_as_the_provider_would() {
    let models = Models::open().await;
    let body = json!({"model": "claude-haiku-4-5", "max_tokens": 1_000, "messages": [{"role": "user", "content": "emit:x"}]});
    let budget = reservation(&body, 1_000) + 20;
    models
        .limit("anthropic-messages", &json!({"maxTokensPerDay": budget}))
        .await;
    let ask = || models.ask("anthropic/v1/messages", &body);
    assert_eq!(ask().await.status, 200);
    models
        .until_used("anthropic-messages", "tokens_day", 12)
        .await;
    assert_eq!(ask().await.status, 200);
    models
        .until_used("anthropic-messages", "tokens_day", 24)
        .await;
    let refused = ask().await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["error"]["type"], "rate_limit_error");
    let text = message(&refused);
    assert!(
        text.starts_with(&format!("Budget exceeded: {budget} tokens per day")),
        "{text}"
    );
    let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((23 * 3600..=25 * 3600).contains(&wait), "{wait}");
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    assert_eq!(models.seen("/v1/messages").await.len(), 2);
    let rows = models.world.audit("rate_limit_exceeded", 1).await;
    assert_eq!(rows[0]["decision"], "denied");
    // A day and an hour later.
    let policy = &models.policies["anthropic-messages"];
    let later = format!(
        "update ah5.t_budget_spans set span = span - interval '26 hours' where policy_id = '{policy}'"
    );
    models.world.sql(&later).await;
    assert_eq!(ask().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_budget_can_hold_is_denied_and_never_sent() {
    let models = Models::open().await;
    models
        .limit(
            "openai",
            &json!({"maxCostCentsPerDay": 5, "unmetered": ["web_search_options", "/v1/files"]}),
        )
        .await;
    let mut looked_up = chat("gpt-5", 10, "x");
    looked_up["tools"] = json!([{"type": "web_search"}]);
    for (rest, body, word) in [
        (CHAT, chat("gpt-5-pro", 10, "x"), "costs"),
        (CHAT, chat("gpt-5", 10_000, "x"), "5 cents per day"),
        (CHAT, looked_up, "web_search"),
        (
            "openai/images/generations",
            json!({"model": "gpt-5"}),
            "/v1/images/generations",
        ),
    ] {
        let refused = models.ask(rest, &body).await;
        assert_eq!(refused.status, 403, "{body}: {}", refused.text());
        assert!(
            message(&refused).contains(word),
            "{word}: {}",
            message(&refused)
        );
    }
    assert!(models.seen("/v1/chat/completions").await.is_empty());
    let mut named = chat("gpt-5", 10, "x");
    named["web_search_options"] = json!({});
    assert_eq!(models.ask(CHAT, &named).await.status, 200);
    assert_eq!(models.ask("openai/files", &json!({})).await.status, 200);
}
