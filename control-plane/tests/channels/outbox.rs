//! Deliveries over faults: receivers that fail, and control planes that die.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ah5_testkit::simulator::{Body, Received};
use http::{HeaderValue, Response, header};
use serde_json::json;

use crate::fixture::{Fixture, PATIENCE, answer};
use crate::support::World;

/// The receiver answers with these, one after the other, and then takes everything.
fn answers(fixture: &Fixture, path: &str, script: Vec<Response<Body>>) {
    let mut script = script;
    script.reverse();
    let script = Arc::new(Mutex::new(script));
    fixture.provider.on(path, move |_| {
        let next = script.lock().unwrap_or_else(PoisonError::into_inner).pop();
        async move { next.unwrap_or_else(|| answer(200, &json!({}))) }
    });
}

fn with_header(status: u16, name: header::HeaderName, value: &str) -> Response<Body> {
    let mut answer = answer(status, &json!({}));
    let value = HeaderValue::from_str(value).unwrap();
    answer.headers_mut().insert(name, value);
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_comes_again_under_its_id_until_it_is_taken() {
    let fixture = Fixture::open().await;
    fixture.webhook("/hook").await;
    let elsewhere = fixture.provider.base_url("hooks.example.test") + "/elsewhere";
    let script = vec![
        with_header(429, header::RETRY_AFTER, "8"),
        answer(500, &json!({})),
        with_header(302, header::LOCATION, &elsewhere),
        answer(400, &json!({})),
    ];
    fixture.provider.clear();
    answers(&fixture, "/hook", script);
    fixture.question().await;
    // The receiver named its time; it is kept without our doing.
    fixture.requests("/hook", 2).await;
    for attempt in 2..=4 {
        fixture.requests("/hook", attempt).await;
        fixture.until_put_off(attempt).await;
        fixture.end_pause(attempt).await;
    }
    fixture.requests("/hook", 5).await;
    fixture.until_all_sent().await;
    let hooks = fixture.requests("/hook", 5).await;
    let ids: HashSet<_> = hooks
        .iter()
        .map(|hook| hook.header("webhook-id").unwrap())
        .collect();
    assert_eq!((hooks.len(), ids.len()), (5, 1));
    let asked = hooks[0].at.as_millisecond() + 8000;
    assert!(
        hooks[1].at.as_millisecond() >= asked,
        "it came before its time"
    );
    assert!(
        fixture
            .provider
            .journal()
            .iter()
            .all(|it| it.path() != "/elsewhere")
    );
    assert_eq!(fixture.only().await["error"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_arrives_is_given_up_and_people_are_told() {
    let fixture = Fixture::open().await;
    let world = &fixture.world;
    fixture.webhook("/hook").await;
    fixture.provider.clear();
    fixture
        .provider
        .on("/hook", |_| async { answer(503, &json!({})) });
    let (agent, connection, _) = fixture.question().await;
    for attempt in 1..=7 {
        fixture.requests("/hook", attempt).await;
        fixture.until_put_off(attempt).await;
        fixture.end_pause(attempt).await;
    }
    fixture.requests("/hook", 8).await;
    fixture.until_all_sent().await;
    assert_eq!(fixture.requests("/hook", 8).await.len(), 8);
    assert_eq!(fixture.only().await["error"], "The receiver answered 503");
    let failed = world.audit("action=channel_failed").await;
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["metadata"]["channelType"], "webhook");
    // Gone for good: given up at once, and not told of again.
    fixture
        .provider
        .on("/hook", |_| async { answer(410, &json!({})) });
    fixture
        .ask(&agent, &connection, "https://api.example.com/v2/b")
        .await;
    fixture.requests("/hook", 9).await;
    fixture.until_all_sent().await;
    assert_eq!(world.audit("action=channel_failed").await.len(), 1);
    // Until one arrives again.
    answers(&fixture, "/hook", Vec::new());
    fixture
        .ask(&agent, &connection, "https://api.example.com/v2/c")
        .await;
    fixture.requests("/hook", 10).await;
    fixture.until_all_sent().await;
    assert_eq!(fixture.only().await["error"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_control_planes_send_each_message_once_and_in_order() {
    let add = |stack: &mut ah5_harness::stack::Stack| {
        stack.add_control_plane().unwrap();
    };
    let fixture = Fixture::with(|builder| builder, add).await;
    fixture.webhook("/hook").await;
    fixture.provider.clear();
    let agent = fixture.world.owner.create_agent("bot").await.unwrap().id;
    let connection = fixture.world.connect().await;
    let mut asked = Vec::new();
    for n in 0..MANY {
        let url = format!("https://api.example.com/v2/{n}");
        asked.push(fixture.ask(&agent, &connection, &url).await);
    }
    fixture.requests("/hook", MANY).await;
    fixture.until_all_sent().await;
    let hooks = fixture.requests("/hook", MANY).await;
    let ids: HashSet<_> = hooks
        .iter()
        .map(|hook| hook.header("webhook-id").unwrap())
        .collect();
    assert_eq!((hooks.len(), ids.len()), (MANY, MANY));
    let in_order = hooks.iter().zip(&asked);
    assert!(
        in_order
            .into_iter()
            .all(|(hook, approval)| hook.contains(approval))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_a_killed_control_plane_is_sent_by_the_other() {
    let fixture = Fixture::open().await;
    fixture.webhook("/hook").await;
    fixture.provider.clear();
    let came = Arc::new(AtomicUsize::new(0));
    let first = Arc::clone(&came);
    fixture.provider.on("/hook", move |_: Received| {
        let number = first.fetch_add(1, Ordering::SeqCst);
        async move {
            if number == 0 {
                std::future::pending::<()>().await;
            }
            answer(200, &json!({}))
        }
    });
    fixture.question().await;
    fixture.requests("/hook", 1).await;
    let Fixture { world, provider } = fixture;
    let World { stack, owner, http } = world;
    let mut stack = Arc::into_inner(stack).unwrap();
    stack.kill_control_plane();
    stack.add_control_plane().unwrap();
    let twice = |all: &[ah5_testkit::simulator::Entry]| {
        all.iter().filter(|it| it.path() == "/hook").count() >= 2
    };
    let hooks = provider.wait_for(PATIENCE, twice).await.unwrap();
    let stack = Arc::new(stack);
    let world = World { http, owner, stack };
    let fixture = Fixture { world, provider };
    fixture.until_all_sent().await;
    let hooks: Vec<_> = hooks.iter().filter(|it| it.path() == "/hook").collect();
    assert_eq!(hooks[0].header("webhook-id"), hooks[1].header("webhook-id"));
    assert_eq!(came.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_stalls_holds_up_nobody_else() {
    let fixture = Fixture::open().await;
    fixture.webhook("/hook").await;
    fixture.telegram().await;
    fixture.provider.clear();
    fixture.provider.on("/hook", |_| async {
        std::future::pending::<()>().await;
        answer(200, &json!({}))
    });
    let (agent, connection, _) = fixture.question().await;
    fixture.requests("/hook", 1).await;
    for n in 0..3 {
        let url = format!("https://api.example.com/v2/{n}");
        fixture.ask(&agent, &connection, &url).await;
    }
    fixture
        .requests(
            "/bot12345678:AAplanted-telegram-token-0123456789/sendMessage",
            4,
        )
        .await;
    // It is let go after ten seconds, with the connection.
    let log = async || fixture.world.log().contains("The receiver took too long");
    fixture.until("it is put off", log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_bounded_and_what_is_late_is_dropped() {
    let fixture = Fixture::open().await;
    fixture.webhook("/hook").await;
    fixture.provider.clear();
    let hold = "update ah5.t_notification_channels set busy_until = now() + interval '1 hour'";
    fixture.world.sql(hold).await;
    let (agent, connection, _) = fixture.question().await;
    for n in 0..210 {
        let url = format!("https://api.example.com/v2/{n}");
        fixture.ask(&agent, &connection, &url).await;
    }
    fixture.until_announced().await;
    assert_eq!(fixture.waiting().await, 200);
    fixture
        .world
        .sql(
            "update ah5.t_channel_outbox set expires_at = now() - interval '1 second';
             select ah5.prune_deliveries()",
        )
        .await;
    assert_eq!(fixture.waiting().await, 0);
}

const MANY: usize = 30;
