//! Services of the catalogue at a running data plane: where their credentials stand, which headers
//! and endpoints of theirs pass, and what their answers lose. The simulator plays the providers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use ah5_harness::stack::Stack;
use ah5_testkit::client::{Answer, Call};
use http::Method;
use serde_json::{Value, json};
use support::World;
use support::sealed::{self, Sealed};

const GRAPH: &str = "graph.microsoft.com";
const TELEGRAM: &str = "api.telegram.org";
const TRELLO: &str = "api.trello.com";
const STRIPE: &str = "api.stripe.com";
const SALESFORCE: &str = "acme.my.salesforce.com";
const SHAREPOINT: &str = "acme.sharepoint.com";
const ELSEWHERE: &str = "acme.sharepoint.com.evil.example";

fn stack() -> Arc<Stack> {
    static SHARED: Mutex<Weak<Stack>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(stack) = shared.upgrade() {
        return stack;
    }
    let hosts = [
        GRAPH, TELEGRAM, TRELLO, STRIPE, SALESFORCE, SHAREPOINT, ELSEWHERE,
    ];
    let stack = Arc::new(support::two_planes().plays(&hosts).start().unwrap());
    *shared = Arc::downgrade(&stack);
    stack
}

/// A world whose connection is to a service of the catalogue.
struct Connected {
    world: World,
    id: String,
    host: &'static str,
}

// === impl Connected ===

impl Connected {
    /// No route connects these services yet, so the row is written as one will write it.
    async fn to(service: &str, host: &'static str, secret: &str) -> Self {
        let world = World::closed(stack()).await;
        let new = Sealed {
            service,
            base_url: &format!("https://{host}/"),
            secret,
            ..Sealed::default()
        };
        let id = sealed::insert(&world, new).await;
        Self { world, id, host }
    }

    /// A policy that allows these paths, with changes to its entry.
    async fn allow(&self, methods: &[&str], patterns: &[&str], changes: &Value) -> String {
        let base = format!("https://{}", self.host);
        let mut entry = json!({"baseUrl": base, "methods": methods, "pathPatterns": patterns});
        for (name, value) in changes.as_object().unwrap() {
            entry[name] = value.clone();
        }
        let (world, lists) = (&self.world, json!([entry]));
        let policy = world.owner.allow(&world.agent.id, &self.id, &lists).await;
        world
            .until(|| async {
                let answer = self.send(self.call(Method::GET, "/known")).await;
                !answer.contains("No policy") && !answer.contains("not found")
            })
            .await;
        policy.unwrap()
    }

    fn call(&self, method: Method, target: &str) -> Call {
        self.world.agent.proxy(&self.id, method, target)
    }

    async fn send(&self, call: Call) -> Answer {
        self.world.send(call).await
    }
}

#[tokio::test]
async fn a_bot_that_was_connected_by_its_token_is_called_with_it() {
    let token = "23456789:BcDeFgHiJkLmNoPqRsTu";
    let world = World::closed(stack()).await;
    let body = json!({"service": "telegram", "botToken": token});
    let made = world.owner.post("/v1/connections/bot-token", &body).await;
    let made = made.unwrap().expect(200).unwrap();
    let telegram = Connected {
        id: made["connection"]["id"].as_str().unwrap().to_owned(),
        host: TELEGRAM,
        world,
    };
    let paths = ["/bot*/*", "/known"];
    telegram.allow(&["GET"], &paths, &json!({})).await;
    let call = telegram.call(Method::GET, "/bot/getMe");
    let answer = telegram.send(call).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    // Once when it was connected, and once now.
    let sent = telegram.world.seen(&format!("/bot{token}/getMe")).await;
    assert_eq!(sent.len(), 2);
}

#[tokio::test]
async fn a_token_in_the_path_is_put_in_last_and_never_comes_back() {
    let token = "12345678:AbCdEfGhIjKlMnOpQrSt";
    let telegram = Connected::to("telegram", TELEGRAM, token).await;
    let paths = ["/bot*/*", "/bot/setWebhook", "/getMe", "/known"];
    telegram.allow(&["GET", "POST"], &paths, &json!({})).await;
    let answer = telegram
        .send(telegram.call(Method::GET, "/bot/getMe"))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    // The simulator repeats the path; the token stays here.
    assert!(
        answer.contains("/getMe") && !answer.contains("AbCdEf"),
        "{}",
        answer.text()
    );
    let sent = telegram.world.seen(&format!("/bot{token}/getMe")).await;
    assert_eq!(sent.len(), 1);
    assert!(sent[0].header("authorization").is_none());
    let placeholder = telegram.call(Method::POST, "/bot1:mine/sendMessage");
    assert_eq!(telegram.send(placeholder).await.status, 200);
    assert_eq!(
        telegram
            .world
            .seen(&format!("/bot{token}/sendMessage"))
            .await
            .len(),
        1
    );
    let nowhere = telegram.send(telegram.call(Method::GET, "/getMe")).await;
    let refused = nowhere.expect(400).unwrap();
    assert!(
        refused["error"].as_str().unwrap().contains("/bot"),
        "{refused}"
    );
    assert!(telegram.world.seen("/getMe").await.is_empty());
    // Where messages of the bot go is for a person to say, and a wildcard does not say it.
    for path in ["/bot/setWebhook", "/bot/SetWebhook", "/bot1/setWebhook"] {
        let call = telegram.call(Method::POST, &format!("{path}?url=https://evil.example"));
        let answer = telegram.send(call).await;
        let wanted = if path == "/bot/setWebhook" { 202 } else { 403 };
        assert_eq!(answer.status, wanted, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_file_of_a_bot_is_fetched_with_the_token_in_its_path() {
    let token = "34567890:CdEfGhIjKlMnOpQrStUv";
    let telegram = Connected::to("telegram", TELEGRAM, token).await;
    let paths = ["/file/bot/bytes/**", "/known"];
    telegram.allow(&["GET"], &paths, &json!({})).await;
    let path = "/file/bot/bytes/photo.jpg";
    let answer = telegram.send(telegram.call(Method::GET, path)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!answer.contains(token), "{}", answer.text());
    let sent = format!("/file/bot{token}/bytes/photo.jpg");
    assert_eq!(telegram.world.seen(&sent).await.len(), 1);
    // What an agent writes behind the prefix is no other bot's token.
    let url = format!("https://{TELEGRAM}/file/bot9:mine/bytes/photo.jpg");
    let agent = &telegram.world.agent;
    let call = agent.execute(&telegram.id, &Method::GET, &url);
    let denied = telegram.send(call).await;
    assert_eq!(denied.status, 403, "{}", denied.text());
}

#[tokio::test]
async fn a_redirect_is_followed_only_to_where_the_service_keeps_its_files() {
    let drive = Connected::to("microsoft-onedrive", GRAPH, support::SECRET).await;
    drive
        .allow(&["GET", "POST"], &["/redirect", "/known"], &json!({}))
        .await;
    let to = |method, url: &str| {
        let target = url.replace('?', "%3F").replace('&', "%26");
        drive.call(method, &format!("/redirect?to={target}"))
    };
    let file = format!("https://{SHAREPOINT}/bytes/7?tempauth=abc");
    let answer = drive.send(to(Method::GET, &file)).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 7));
    assert_eq!(answer.header("x-ah5-source"), Some("provider"));
    let sent = drive.world.seen("/bytes/7").await;
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].header("host"), Some(SHAREPOINT));
    assert!(!sent[0].contains(support::SECRET) && sent[0].header("authorization").is_none());
    // On from there, only within.
    let twice = format!("https://{SHAREPOINT}/redirect?to=https://{SHAREPOINT}/bytes/8");
    assert_eq!(drive.send(to(Method::GET, &twice)).await.body.len(), 8);
    for url in [
        format!("https://{SHAREPOINT}/redirect?to=https://{ELSEWHERE}/bytes/9"),
        format!("https://{SHAREPOINT}/redirect?to=/bytes/9"),
        format!("https://{ELSEWHERE}/bytes/9"),
        format!("http://{SHAREPOINT}/bytes/9"),
        format!("https://{SHAREPOINT}:8443/bytes/9"),
        format!("https://{SHAREPOINT}@{ELSEWHERE}/bytes/9"),
        format!("https://a.{SHAREPOINT}/bytes/9"),
    ] {
        let refused = drive.send(to(Method::GET, &url)).await;
        assert_eq!(refused.status, 403, "{url}: {}", refused.text());
    }
    // What writes is not repeated elsewhere.
    let written = drive.send(to(Method::POST, &file)).await;
    assert_eq!(written.status, 403, "{}", written.text());
    assert!(drive.world.seen("/bytes/9").await.is_empty());
    // Too often.
    let mut around = format!("https://{SHAREPOINT}/bytes/9");
    for _ in 0..4 {
        around = format!("https://{SHAREPOINT}/redirect?to={}", encoded(&around));
    }
    let call = drive.call(Method::GET, &format!("/redirect?to={}", encoded(&around)));
    let refused = drive.send(call).await;
    assert_eq!(refused.status, 502, "{}", refused.text());
}

fn encoded(url: &str) -> String {
    url.replace('%', "%25").replace('?', "%3F")
}

#[tokio::test]
async fn a_pair_of_parameters_is_put_in_last_and_is_not_the_callers() {
    let trello = Connected::to("trello", TRELLO, "planted-app-key-1\nplanted-user-token-2").await;
    trello
        .allow(&["GET"], &["/1/**", "/known"], &json!({}))
        .await;
    let answer = trello
        .send(trello.call(Method::GET, "/1/members/me?fields=name"))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = trello.world.seen("/1/members/me").await;
    assert_eq!(sent.len(), 1);
    assert!(sent[0].contains("?fields=name&key=planted-app-key-1&token=planted-user-token-2"));
    for query in ["key=mine", "TOKEN=mine", "%6bey=mine"] {
        let call = trello.call(Method::GET, &format!("/1/members/you?{query}"));
        trello.send(call).await.expect(400).unwrap();
    }
    assert!(trello.world.seen("/1/members/you").await.is_empty());
    // A list of further URLs is what no policy can let pass.
    let batch = trello
        .send(trello.call(Method::GET, "/1/batch?urls=/members/me"))
        .await;
    batch.expect(403).unwrap();
    assert!(trello.world.seen("/1/batch").await.is_empty());
}

#[tokio::test]
async fn an_acting_header_passes_only_as_the_policy_names_it() {
    let stripe = Connected::to("stripe", STRIPE, support::SECRET).await;
    let named = json!({"headers": [{"name": "Stripe-Account", "value": "acct_1"}]});
    stripe
        .allow(&["GET", "POST"], &["/v1/**", "/known"], &named)
        .await;
    let with = |name: &str, value: &str| {
        stripe
            .call(Method::GET, "/v1/customers")
            .header(name, value)
    };
    let answer = stripe.send(with("stripe-account", "acct_1")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    for (name, value) in [
        ("Stripe-Account", "acct_2"),
        ("Stripe-Context", "acct_1"),
        ("Stripe-Version", "2020-08-27"),
        ("X-HTTP-Method-Override", "DELETE"),
    ] {
        let refused = stripe.send(with(name, value)).await.expect(403).unwrap();
        let error = refused["error"].as_str().unwrap();
        assert!(error.contains(&name.to_ascii_lowercase()), "{refused}");
    }
    let sent = stripe.world.seen("/v1/customers").await;
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].header("stripe-account"), Some("acct_1"));
    // Where events go is no business of `**`; keys are nobody's.
    for path in ["/v1/webhook_endpoints", "/v1/ephemeral_keys"] {
        stripe
            .send(stripe.call(Method::POST, path))
            .await
            .expect(403)
            .unwrap();
        assert!(stripe.world.seen(path).await.is_empty());
    }
}

#[tokio::test]
async fn a_header_that_a_policy_names_is_checked_when_it_is_written() {
    let world = World::closed(stack()).await;
    let lists = |headers: Value| {
        let mut lists = world.allowlists(&["GET"], "/v2/**");
        lists[0]["headers"] = headers;
        json!({"agentId": world.agent.id, "connectionId": world.connection, "allowlists": lists})
    };
    for (headers, at) in [
        (
            json!([{"name": "X-HTTP-Method", "value": "a"}]),
            "allowlists/0/headers/0/name",
        ),
        (json!([{"name": "prefer"}]), "allowlists/0/headers/0/value"),
        (json!({}), "allowlists/0/headers"),
    ] {
        let answer = world
            .owner
            .post("/v1/policies", &lists(headers))
            .await
            .unwrap();
        let refused = answer.expect(400).unwrap();
        assert!(refused["error"].as_str().unwrap().contains(at), "{refused}");
    }
    let headers = json!([{"name": "prefer", "values": ["return=minimal"]}]);
    let answer = world
        .owner
        .post("/v1/policies", &lists(headers.clone()))
        .await
        .unwrap();
    let made = answer.expect(201).unwrap();
    assert_eq!(
        made["policy"]["allowlists"][0]["headers"], headers,
        "{made}"
    );
}

#[tokio::test]
async fn each_request_of_a_batch_is_judged() {
    let graph = Connected::to("microsoft-outlook-mail", GRAPH, support::SECRET).await;
    let paths = ["/v1.0/$batch", "/v1.0/me/**", "/known"];
    graph.allow(&["GET", "POST"], &paths, &json!({})).await;
    let batch = |url: &str| {
        let requests = json!([
            {"id": "1", "method": "GET", "url": "/me/messages"},
            {"id": "2", "method": "GET", "url": url},
        ]);
        let call = graph.call(Method::POST, "/v1.0/$batch");
        call.json(&json!({"requests": requests}))
    };
    let answer = graph.send(batch("/me/events")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let refused = graph
        .send(batch("/users/boss/messages"))
        .await
        .expect(403)
        .unwrap();
    assert!(
        refused["error"].as_str().unwrap().contains("Request 2"),
        "{refused}"
    );
    for body in ["", "{}", "{\"requests\":[{\"id\":\"1\"}]}", "[1]"] {
        let call = graph.call(Method::POST, "/v1.0/$batch");
        let call = call
            .header("content-type", "application/json")
            .body(body.to_owned());
        graph.send(call).await.expect(403).unwrap();
    }
    assert_eq!(graph.world.seen("/v1.0/$batch").await.len(), 1);
    let spelled = graph
        .call(Method::POST, "/V1.0/$BATCH")
        .json(&json!({"requests": []}));
    graph.send(spelled).await.expect(403).unwrap();
}

#[tokio::test]
async fn names_that_differ_in_case_are_one_where_the_service_takes_them_so() {
    let graph = Connected::to("microsoft-outlook-mail", GRAPH, support::SECRET).await;
    let policy = graph
        .allow(&["GET", "POST"], &["/v1.0/me/**", "/known"], &json!({}))
        .await;
    let rules = json!({"response": [], "request": [{"label": "none", "action": "deny",
        "match": {"methods": ["POST"], "body": [{"path": "never", "op": "exists"}]}}]});
    let path = format!("/v1/policies/{policy}/rules");
    let changed = graph
        .world
        .owner
        .put(&path, &json!({"rules": rules}))
        .await
        .unwrap();
    changed.expect(200).unwrap();
    let send = |body: &str| {
        let call = graph.call(Method::POST, "/v1.0/me/sendMail");
        let call = call.header("content-type", "application/json");
        graph.send(call.body(body.to_owned()))
    };
    graph
        .world
        .until(|| async { send("{\"never\":1}").await.status == 403 })
        .await;
    assert_eq!(send("{\"a\":1}").await.status, 200);
    let refused = send("{\"subject\":1,\"Subject\":2}")
        .await
        .expect(403)
        .unwrap();
    assert!(refused.to_string().contains("given twice"), "{refused}");
}

#[tokio::test]
async fn links_that_are_authority_are_taken_out_of_answers() {
    let drive = Connected::to("microsoft-onedrive", GRAPH, support::SECRET).await;
    drive
        .allow(&["GET", "POST"], &["/raw/**", "/known"], &json!({}))
        .await;
    let body = json!({"value": [{"name": "a", "@microsoft.graph.downloadUrl": "https://x/?t=1"}]});
    let body = body.to_string();
    let raw = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let handled = drive.call(Method::POST, "/raw/Drive/root");
    let answer = drive
        .send(handled.header("content-type", "text/plain").body(raw))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.contains("\"name\":\"a\""), "{}", answer.text());
    assert!(!answer.contains("downloadUrl"), "{}", answer.text());
}

#[tokio::test]
async fn a_connection_goes_nowhere_but_to_its_services_hosts() {
    let stranger = Connected::to("stripe", TRELLO, support::SECRET).await;
    let base = format!("https://{TRELLO}");
    let lists = json!([{"baseUrl": base, "methods": ["GET"], "pathPatterns": ["/**"]}]);
    let world = &stranger.world;
    world
        .owner
        .allow(&world.agent.id, &stranger.id, &lists)
        .await
        .unwrap();
    // The other connection's policy came later: once it counts, this one would.
    world.allow(&["GET"], "/v2/**").await;
    let answer = stranger
        .send(stranger.call(Method::GET, "/v1/balance"))
        .await;
    answer.expect(404).unwrap();
    assert!(world.seen("/v1/balance").await.is_empty());
}

#[tokio::test]
async fn a_parameter_that_would_change_the_method_is_refused() {
    let salesforce = Connected::to("salesforce", SALESFORCE, support::SECRET).await;
    salesforce
        .allow(
            &["GET", "POST"],
            &["/services/data/**", "/known"],
            &json!({}),
        )
        .await;
    let account = "/services/data/v61.0/sobjects/Account/1";
    let answer = salesforce.send(salesforce.call(Method::GET, account)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let steered = salesforce.call(Method::POST, &format!("{account}?_HttpMethod=DELETE"));
    let refused = salesforce.send(steered).await.expect(400).unwrap();
    assert!(
        refused["error"].as_str().unwrap().contains("_HttpMethod"),
        "{refused}"
    );
    assert_eq!(salesforce.world.seen(account).await.len(), 1);
}

/// Neither from the service itself nor from where it keeps its files, in no form of call.
#[tokio::test]
async fn a_redirect_leads_nowhere_inside() {
    let drive = Connected::to("microsoft-onedrive", GRAPH, support::SECRET).await;
    let paths = ["/redirect", "/known"];
    drive.allow(&["GET"], &paths, &json!({})).await;
    let port = drive.world.stack.simulator().unwrap().listen.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "[fd00:ec2::254]",
    ] {
        for inside in [
            format!("https://{host}:{port}/inside"),
            format!("http://{host}/inside"),
            format!("//{host}:{port}/inside"),
        ] {
            let hop = format!("https://{SHAREPOINT}/redirect?to={}", encoded(&inside));
            for to in [&inside, &hop] {
                let target = format!("/redirect?to={}", encoded(to));
                let url = format!("https://{GRAPH}{target}");
                let agent = &drive.world.agent;
                let mut envelope: Value =
                    serde_json::from_slice(&agent.execute(&drive.id, &Method::GET, &url).body)
                        .unwrap();
                envelope["download"] = true.into();
                let download = agent.call(Method::POST, "/v1/vault/execute");
                for call in [
                    drive.call(Method::GET, &target),
                    agent.execute(&drive.id, &Method::GET, &url),
                    download.json(&envelope),
                ] {
                    let refused = drive.send(call).await;
                    assert_eq!(refused.status, 403, "{to}: {}", refused.text());
                    assert!(refused.contains("Blocked"), "{to}: {}", refused.text());
                    assert!(refused.header("location").is_none());
                }
            }
        }
    }
    assert!(drive.world.seen("/inside").await.is_empty());
}
