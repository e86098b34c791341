//! What people are told, and what an agent that reads along can do with it.

use ah5_security::secret::SecretText;
use ah5_security::webhook::sign;
use ah5_testkit::client::{Agent, Call};
use ah5_testkit::simulator::Entry;
use http::Method;
use serde_json::{Value, json};

use crate::bots::nothing_leaked;
use crate::fixture::{CHAT, Fixture, SLACK_TOKEN, body};

const TELEGRAM: &str = "/bot12345678:AAplanted-telegram-token-0123456789";

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_told_everywhere_and_its_message_says_how_it_ended() {
    let fixture = Fixture::open().await;
    fixture.telegram().await;
    fixture.slack().await;
    let webhook = fixture.webhook("/hook").await;
    fixture.provider.clear();
    let (_, _, approval) = fixture.question().await;
    let page = format!(
        "{}/dashboard/approvals/{approval}",
        fixture.world.stack.origin()
    );

    let sent = fixture
        .requests(&format!("{TELEGRAM}/sendMessage"), 1)
        .await;
    let message = body(&sent[0]);
    let text = message["text"].as_str().unwrap();
    assert_eq!(message["chat_id"], CHAT);
    for piece in [
        "<b>A call waits for your approval</b>",
        "bot needs approval\nPOST api.example.com/v2/orders. Rule: \"Ask first\". Expires in 30 min.",
        &page,
    ] {
        assert!(text.contains(piece), "{piece}: {text}");
    }
    let slack = fixture.requests("/api/chat.postMessage", 1).await;
    let bearer = format!("Bearer {SLACK_TOKEN}");
    assert_eq!(slack[0].header("authorization"), Some(bearer.as_str()));
    assert!(body(&slack[0]).to_string().contains(&format!("<{page}|")));

    let hook = fixture.requests("/hook", 1).await.remove(0);
    let event = body(&hook);
    assert_eq!(event["type"], "approval_request");
    assert_eq!(event["data"]["approvalRequestId"], approval);
    assert_eq!(event["data"]["link"], page);
    let header = |name: &str| hook.header(name).unwrap().to_owned();
    let secret = SecretText::new(webhook["secret"].as_str().unwrap().to_owned());
    let seconds = header("webhook-timestamp").parse().unwrap();
    let signature = sign(&secret, &header("webhook-id"), seconds, &hook.body);
    assert_eq!(Some(header("webhook-signature")), signature);

    fixture.until_all_sent().await;
    fixture.decide(&approval, "approve").await;
    let edited = fixture
        .requests(&format!("{TELEGRAM}/editMessageText"), 1)
        .await;
    let edit = body(&edited[0]);
    let number = 100 + 1; // The first was the trial.
    assert_eq!(
        (&edit["chat_id"], &edit["message_id"]),
        (&json!(CHAT), &json!(number))
    );
    let text = edit["text"].as_str().unwrap();
    assert!(
        text.starts_with("<b>Approved</b>\n<pre>bot needs approval"),
        "{text}"
    );
    assert!(!text.contains("://"), "{text}");
    assert_eq!(edit["reply_markup"], json!({"inline_keyboard": []}));
    nothing_leaked(&fixture.world);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_is_edited_however_it_ended_and_not_sent_any_more() {
    let fixture = Fixture::open().await;
    fixture.telegram().await;
    let (agent, connection, denied) = fixture.question().await;
    let url = "https://api.example.com/v2/orders";
    let late = fixture.ask(&agent, &connection, url).await;
    fixture
        .requests(&format!("{TELEGRAM}/sendMessage"), 3)
        .await;
    fixture.until_all_sent().await;
    fixture.decide(&denied, "deny").await;
    let over = "update ah5.t_approval_requests set expires_at = now() where id";
    fixture.world.sql(&format!("{over} = '{late}'")).await;
    let edits = fixture
        .requests(&format!("{TELEGRAM}/editMessageText"), 2)
        .await;
    let begins = |word: &str| {
        let mut texts = edits.iter().map(|edit| body(edit)["text"].to_string());
        texts.any(|text| text.contains(&format!("<b>{word}</b>")))
    };
    assert!(begins("Denied") && begins("Expired"));

    // One that is decided while its message waits is not asked about.
    let hold = "update ah5.t_notification_channels set busy_until = now() + interval '1 hour'";
    fixture.until_all_sent().await;
    fixture.world.sql(hold).await;
    let quick = fixture.ask(&agent, &connection, url).await;
    let waits = async || fixture.waiting().await == 1;
    fixture.until("a message waits", waits).await;
    fixture.decide(&quick, "approve").await;
    fixture.end_pause(0).await;
    fixture.until_all_sent().await;
    let sent = fixture
        .requests(&format!("{TELEGRAM}/sendMessage"), 3)
        .await;
    assert_eq!(sent.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_workspaces_hear_nothing() {
    let fixture = Fixture::open().await;
    fixture.webhook("/hook").await;
    let stranger = fixture.world.stranger().await;
    let agent = stranger.create_agent("bot").await.unwrap().id;
    let base = json!({"kind": "bearer"});
    let connection = stranger
        .connect("https://api.example.com/v2", &base, "planted-secret-9")
        .await
        .unwrap();
    let url = "https://api.example.com/v2/theirs";
    let theirs = fixture.ask(&agent, &connection, url).await;
    fixture.until_announced().await;
    let (_, _, ours) = fixture.question().await;
    let hooks = fixture.requests("/hook", 2).await;
    fixture.until_all_sent().await;
    assert!(hooks[1].contains(&ours) && hooks.iter().all(|hook| !hook.contains(&theirs)));
}

/// The agent has all the messages, and tries whatever is in them.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_reads_the_channels_cannot_approve() {
    let fixture = Fixture::open().await;
    fixture.telegram().await;
    fixture.slack().await;
    fixture.webhook("/hook").await;
    fixture.provider.clear();
    let world = &fixture.world;
    let made = world.owner.create_agent("bot").await.unwrap();
    let agent = Agent::ready(&world.http, world.stack.origin(), made)
        .await
        .unwrap();
    let connection = world.connect().await;
    let url = "https://api.example.com/v2/orders";
    let approval = fixture.ask(&agent.id, &connection, url).await;
    let mut read: Vec<Entry> = Vec::new();
    for path in [
        format!("{TELEGRAM}/sendMessage"),
        "/api/chat".into(),
        "/hook".into(),
    ] {
        read.extend(fixture.requests(&path, 1).await);
    }
    let origin = world.stack.origin();
    let mut links = Vec::new();
    let mut words = vec!["a".repeat(64)];
    for message in &read {
        let text = String::from_utf8(message.body.to_vec()).unwrap();
        for after in text.split(origin).skip(1) {
            let end = after.find(['"', '|', '\\', '<', '>', ' ', '\n']);
            links.push(after[..end.unwrap_or(after.len())].to_owned());
        }
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-_:.".contains(c);
        let long = text.split(|c| !is_part(c)).filter(|word| word.len() >= 32);
        words.extend(long.map(str::to_owned));
    }
    links.sort();
    links.dedup();
    assert_eq!(links, [format!("/dashboard/approvals/{approval}")]);
    for verb in ["approve", "deny"] {
        links.push(format!("/v1/approvals/{approval}/{verb}"));
        let old = words
            .iter()
            .map(|word| format!("/api/quick-action/{word}/{verb}"));
        links.extend(old);
    }
    for link in &links {
        for method in [Method::GET, Method::POST] {
            let call = || Call::new(method.clone(), link);
            let by_agent = call().bearer(&agent.token);
            for call in [call(), by_agent] {
                let answer = world.send(call).await;
                let code = answer.status.as_u16();
                // The page is the same for everybody, and says nothing of approvals.
                let is_page = method == Method::GET && link.starts_with("/dashboard/");
                let refused = [302, 401, 403, 404, 405].contains(&code);
                assert!(refused || (is_page && code == 200), "{link}: {code}");
                let to = answer.header("location").unwrap_or_default();
                assert!(code != 302 || to.ends_with("/quick-action/result?status=not_found"));
            }
        }
    }
    let found = world.get("/v1/approvals").await.json();
    assert_eq!(found["approvals"][0]["id"], approval);
    assert_eq!(found["approvals"][0]["status"], "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_link_ends_well_and_decides_nothing() {
    let fixture = Fixture::open().await;
    let world = &fixture.world;
    let link = |token: &str, verb: &str| Call::get(format!("/api/quick-action/{token}/{verb}"));
    for verb in ["approve", "deny"] {
        let answer = world.send(link(&"ab".repeat(32), verb)).await;
        let page = format!(
            "{}/quick-action/result?status=not_found",
            world.stack.origin()
        );
        assert_eq!(answer.status, 302);
        assert_eq!(answer.header("location"), Some(page.as_str()));
        assert_eq!(world.send(link(&"a".repeat(31), verb)).await.status, 400);
    }
}

/// An agent's words are text to everybody.
#[tokio::test(flavor = "multi_thread")]
async fn an_agents_words_are_no_markup() {
    let fixture = Fixture::open().await;
    fixture.telegram().await;
    fixture.slack().await;
    fixture.provider.clear();
    let name = "</pre><a href=\"https://evil.example\">ok</a> ```<!channel>`";
    let agent = fixture.world.owner.create_agent(name).await.unwrap().id;
    let connection = fixture.world.connect().await;
    let url = format!("https://api.example.com/{}", "&".repeat(3000));
    fixture.ask(&agent, &connection, &url).await;
    let sent = fixture
        .requests(&format!("{TELEGRAM}/sendMessage"), 1)
        .await;
    let text = body(&sent[0])["text"].as_str().unwrap().to_owned();
    let (_, inside) = text.split_once("<pre>").unwrap();
    let (inside, after) = inside.split_once("</pre>").unwrap();
    assert!(!inside.contains(['<', '>']), "{inside}");
    assert!(!after.contains("evil"), "{after}");
    let sent = fixture.requests("/api/chat", 1).await;
    let blocks = body(&sent[0])["blocks"].clone();
    let said = blocks[1]["text"]["text"].as_str().unwrap();
    let inside = said
        .strip_prefix("```")
        .unwrap()
        .strip_suffix("```")
        .unwrap();
    assert!(!inside.contains(['<', '>', '`']), "{inside}");
    let others: Vec<&Value> = [&blocks[0], &blocks[2]].to_vec();
    assert!(
        others
            .iter()
            .all(|block| !block.to_string().contains("evil"))
    );
}
