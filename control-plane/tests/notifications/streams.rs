//! The stream itself: how it looks, through which doors it passes, how it ends.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use ah5_contracts::id::NotificationId;
use ah5_store::notifications::{self, NewNotification};
use ah5_store::tenant::Tenant;
use ah5_testkit::client::{Call, Http};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use crate::reader::{Reader, STREAM};
use crate::support::{World, control_plane};
use crate::{notify, pool, until, workspace};

#[tokio::test]
async fn what_is_notified_comes_at_once_in_the_form_that_is_promised() {
    let world = World::open().await;
    let here = workspace(&world.owner).await;
    let call = Call::get(STREAM).bearer(&world.owner.token);
    let mut reader = Reader::open(&world.http, call).await;
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store"),
        ("x-accel-buffering", "no"),
    ] {
        assert_eq!(reader.headers[name], value);
    }
    let first = reader.frame().await.unwrap();
    let tag = here.to_string()[..8].to_owned();
    assert!(
        first.starts_with(&format!(
            "event: connected\ndata: {{}}\nid: 0-{tag}\nretry: "
        )),
        "{first}"
    );
    let id = notify(&world.stack, here, "two\nlines", None)
        .await
        .to_string();
    let sent = Instant::now();
    let event = reader.next().await.unwrap();
    println!("a notification took {:?}", sent.elapsed());
    assert_eq!(
        (&*event.name, event.id),
        ("notification", format!("1-{tag}"))
    );
    assert_eq!(event.data["id"], id);
    assert_eq!(event.data["title"], "two\nlines");
    assert_eq!(event.data["linkUrl"], "/dashboard/activity");
    let mut fields: Vec<_> = event.data.as_object().unwrap().keys().cloned().collect();
    fields.sort();
    assert_eq!(
        fields,
        ["body", "createdAt", "id", "linkUrl", "title", "type"]
    );
    assert_eq!(reader.frame().await.unwrap(), ": heartbeat");
}

#[tokio::test]
async fn nothing_is_held_back_at_the_front_door() {
    let world = World::at(Arc::new(control_plane().front_door(true).start().unwrap())).await;
    let front = Http::new(format!("http://{}", world.stack.front()));
    let here = workspace(&world.owner).await;
    let mut reader = Reader::of(&front, &world.owner).await;
    for number in 0..3 {
        // Each is here before the next is made.
        let title = format!("number {number}");
        notify(&world.stack, here, &title, None).await;
        assert_eq!(reader.title().await.unwrap(), title);
    }
}

/// A hint of Postgres is 8000 bytes at most, and one that is longer would undo what it tells of.
#[tokio::test]
async fn what_is_longer_than_a_hint_may_be_is_told_like_anything_else() {
    let world = World::open().await;
    let here = workspace(&world.owner).await;
    let mut reader = Reader::of(&world.http, &world.owner).await;
    let pool = pool(&world.stack, 1);
    let mut db = pool.get().await.unwrap();
    let tenant = Tenant::begin(&mut db, here).await.unwrap();
    let body = "\u{1f600}".repeat(1000);
    let new = NewNotification {
        id: NotificationId::random(),
        to: None,
        kind: "security_alert",
        title: "long",
        body: &body,
        link: None,
        metadata: &Value::String("x".repeat(10_000)),
    };
    notifications::insert(&tenant, &new).await.unwrap();
    tenant.commit().await.unwrap();
    let told = reader.next().await.unwrap();
    assert_eq!(
        (&told.data["title"], &told.data["body"]),
        (&"long".into(), &body.into())
    );
}

#[tokio::test]
async fn a_lost_hint_is_made_up_for() {
    let world = World::open().await;
    let here = workspace(&world.owner).await;
    let mut reader = Reader::of(&world.http, &world.owner).await;
    notify(&world.stack, here, "heard", None).await;
    assert_eq!(reader.title().await.unwrap(), "heard");
    // As if its NOTIFY had never come.
    world
        .sql(&format!(
            "begin; update ah5.t_notification_heads set seq = seq + 1 where workspace_id = '{here}';
             insert into ah5.t_notifications
                 (id, workspace_id, seq, kind, title, body, metadata)
             select gen_random_uuid(), workspace_id, seq, 'security_alert', 'unheard', '', 'null'
             from ah5.t_notification_heads where workspace_id = '{here}'; commit"
        ))
        .await;
    assert_eq!(reader.title().await.unwrap(), "unheard");
}

#[tokio::test]
async fn a_place_that_is_none_is_the_end() {
    let world = World::open().await;
    let here = workspace(&world.owner).await;
    notify(&world.stack, here, "old", None).await;
    let stranger = workspace(&world.stranger().await).await;
    let tag = here.to_string()[..8].to_owned();
    let foreign = format!("0-{}", &stranger.to_string()[..8]);
    for place in ["junk", "-1", &foreign, &format!("99-{tag}")] {
        let call = Call::get(STREAM).header("last-event-id", place);
        let mut reader = Reader::open(&world.http, call.bearer(&world.owner.token)).await;
        assert_eq!(
            reader.next().await.unwrap().id,
            format!("1-{tag}"),
            "{place}"
        );
    }
    let call = Call::get(STREAM).header("last-event-id", format!("0-{tag}"));
    let mut reader = Reader::open(&world.http, call.bearer(&world.owner.token)).await;
    assert_eq!(reader.next().await.unwrap().name, "connected");
    assert_eq!(reader.title().await.unwrap(), "old");
}

#[tokio::test]
async fn a_drain_ends_streams_once_nobody_can_come_back_to_it() {
    let mut stack = control_plane()
        .env("DRAIN_DELAY_MS", "1000")
        .start()
        .unwrap();
    let second = stack.add_control_plane().unwrap();
    let world = World::at(Arc::new(stack)).await;
    let here = workspace(&world.owner).await;
    let draining = Http::new(format!("http://{}", second.listen));
    let mut reader = Reader::of(&draining, &world.owner).await;
    let begun = Instant::now();
    let term = Command::new("kill").arg(second.pid.to_string()).status();
    assert!(term.unwrap().success());
    // Still served while the balancer does not know.
    let id = notify(&world.stack, here, "meanwhile", None)
        .await
        .to_string();
    let event = reader.next().await.unwrap();
    assert_eq!(event.data["id"], id);
    timeout(Duration::from_secs(20), reader.ended())
        .await
        .unwrap();
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(900), "{took:?}");
    // On connections that there were it says a last word; new ones it takes no more.
    let late = Http::new(format!("http://{}", second.listen));
    assert!(late.open(Call::get("/health")).await.is_err());
    // Elsewhere it goes on.
    notify(&world.stack, here, "after", None).await;
    let call = Call::get(STREAM).header("last-event-id", &event.id);
    let mut reader = Reader::open(&world.http, call.bearer(&world.owner.token)).await;
    reader.next().await.unwrap();
    assert_eq!(reader.title().await.unwrap(), "after");
}

#[tokio::test]
async fn one_person_opens_so_many_and_no_more() {
    let world = World::open().await;
    let open = async || {
        let call = Call::get(STREAM).bearer(&world.owner.token);
        world.http.open(call).await.unwrap()
    };
    let mut held = Vec::new();
    for _ in 0..10 {
        let response = open().await;
        assert_eq!(response.status(), 200);
        held.push(response);
    }
    let refused = open().await;
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    // Others are not held to it.
    let member = world.member("viewer").await;
    Reader::of(&world.http, &member).await;
    drop(held.pop());
    until("a place is free again", async || {
        open().await.status() == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_nothing_is_cut_off_and_comes_back_for_the_rest() {
    const MANY: usize = 4000;
    let world = World::at(Arc::new(control_plane().start().unwrap())).await;
    let here = workspace(&world.owner).await;
    let mut reader = Reader::of(&world.http, &world.owner).await;
    let pool = pool(&world.stack, 1);
    let mut db = pool.get().await.unwrap();
    let tenant = Tenant::begin(&mut db, here).await.unwrap();
    // More than sockets hold.
    let body = "𐀀".repeat(1000);
    for number in 0..MANY {
        let new = NewNotification {
            id: NotificationId::random(),
            to: None,
            kind: "security_alert",
            title: &number.to_string(),
            body: &body,
            link: None,
            metadata: &Value::Null,
        };
        notifications::insert(&tenant, &new).await.unwrap();
    }
    tenant.commit().await.unwrap();
    let admin = world.stack.control_plane().admin.unwrap();
    let admin = Http::new(format!("http://{admin}"));
    until("it is cut off", async || {
        let metrics = admin.send(Call::get("/metrics")).await.unwrap().text();
        metrics.contains("ah5_notification_streams_ended_total{why=\"stalled\"} 1")
    })
    .await;
    let mut seen = Vec::new();
    let mut last = String::new();
    while let Some(event) = reader.next().await {
        seen.push(event.data["title"].as_str().unwrap().to_owned());
        last = event.id;
    }
    let at_first = seen.len();
    assert!(at_first < MANY, "sockets hold all of it");
    let call = Call::get(STREAM).header("last-event-id", last);
    let mut reader = Reader::open(&world.http, call.bearer(&world.owner.token)).await;
    reader.next().await.unwrap();
    while seen.len() < MANY {
        seen.push(reader.title().await.unwrap());
    }
    let in_order = seen
        .iter()
        .enumerate()
        .all(|(number, title)| *title == number.to_string());
    assert!(in_order);
    println!("cut off after {at_first} of {MANY}");
}
