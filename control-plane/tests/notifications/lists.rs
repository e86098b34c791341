//! The list, the count, and that something has been read.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::{World, control_plane, error, of};
use crate::{listed, notify, user, workspace};

#[tokio::test]
async fn the_newest_come_first_and_reading_is_shared_by_all() {
    let world = World::open().await;
    let here = workspace(&world.owner).await;
    let viewer = world.member("viewer").await;
    let empty = world.get("/v1/notifications").await.expect(200).unwrap();
    assert_eq!(empty["notifications"], json!([]));
    assert!(empty["lastEventId"].as_str().unwrap().starts_with("0-"));
    for title in ["one", "two", "three"] {
        notify(&world.stack, here, title, None).await;
    }
    let titles = async |query: &str| -> Vec<String> {
        let path = format!("/v1/notifications{query}");
        let answer = world.get(&path).await.expect(200).unwrap();
        let all = answer["notifications"].as_array().unwrap().clone();
        let title = |it: &Value| it["title"].as_str().unwrap().to_owned();
        all.iter().map(title).collect()
    };
    assert_eq!(titles("").await, ["three", "two", "one"]);
    assert_eq!(titles("?limit=1&offset=1").await, ["two"]);
    let all = listed(&viewer).await;
    let fields: Vec<&str> = all[0]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    for field in [
        "id",
        "type",
        "title",
        "body",
        "linkUrl",
        "read",
        "metadata",
        "createdAt",
    ] {
        assert!(fields.contains(&field), "{field}");
    }
    assert_eq!(fields.len(), 8);

    let count = async || of(&world.get("/v1/notifications/unread-count").await);
    assert_eq!(count().await, (200, json!({"count": 3})));
    let id = all[0]["id"].as_str().unwrap();
    for _ in 0..2 {
        let path = format!("/v1/notifications/{id}/read");
        let answer = viewer.post(&path, &json!({})).await.unwrap();
        assert_eq!(of(&answer), (200, json!({"success": true})));
    }
    assert_eq!(count().await, (200, json!({"count": 2})));
    assert_eq!(titles("?unreadOnly=true").await, ["two", "one"]);
    let answer = world.post("/v1/notifications/read-all", &json!({})).await;
    assert_eq!(of(&answer), (200, json!({"updated": 2})));
    let answer = world.post("/v1/notifications/read-all", &json!({})).await;
    assert_eq!(of(&answer), (200, json!({"updated": 0})));
    assert_eq!(titles("?unreadOnly=true").await, [""; 0]);
    assert_eq!(titles("?unreadOnly=false").await.len(), 3);
}

#[tokio::test]
async fn what_cannot_be_asked_is_named() {
    let world = World::open().await;
    for (query, fault) in [
        ("limit=0", "querystring/limit must be >= 1"),
        ("limit=101", "querystring/limit must be <= 100"),
        ("limit=x", "querystring/limit must be integer"),
        ("offset=-1", "querystring/offset must be >= 0"),
        (
            "unreadOnly=1",
            "querystring/unreadOnly must be equal to one of the allowed values",
        ),
    ] {
        let answer = world.get(&format!("/v1/notifications?{query}")).await;
        assert_eq!((answer.status.as_u16(), &*error(&answer)), (400, fault));
    }
    let nothing = "/v1/notifications/00000000-0000-4000-8000-000000000000/read";
    let answer = world.post(nothing, &json!({})).await;
    assert_eq!(
        (answer.status.as_u16(), &*error(&answer)),
        (404, "Notification not found")
    );
}

#[tokio::test]
async fn what_is_for_one_person_nobody_else_sees_or_marks() {
    let world = World::open().await;
    let here = workspace(&world.owner).await;
    let admin = world.member("admin").await;
    let own = user(&world.owner).await;
    let id = notify(&world.stack, here, "for the owner", Some(own)).await;
    assert_eq!(listed(&admin).await.len(), 0);
    assert_eq!(listed(&world.owner).await.len(), 1);
    let count = admin.get("/v1/notifications/unread-count").await.unwrap();
    assert_eq!(count.json()["count"], 0);
    let path = format!("/v1/notifications/{id}/read");
    assert_eq!(admin.post(&path, &json!({})).await.unwrap().status, 404);
    let all = admin.post("/v1/notifications/read-all", &json!({})).await;
    assert_eq!(all.unwrap().json()["updated"], 0);
    assert_eq!(listed(&world.owner).await[0]["read"], false);
}

#[tokio::test]
async fn what_is_old_or_far_too_many_is_dropped() {
    // Of its own: it is dropped in every workspace.
    let world = World::at(Arc::new(control_plane().start().unwrap())).await;
    let here = workspace(&world.owner).await;
    for title in ["old", "one", "two", "three"] {
        notify(&world.stack, here, title, None).await;
    }
    world
        .sql(&format!(
            "update ah5.t_notifications set created_at = now() - interval '91 days'
             where workspace_id = '{here}' and title = 'old'"
        ))
        .await;
    world.sql("select ah5.prune_notifications(90, 5000)").await;
    assert_eq!(listed(&world.owner).await.len(), 3);
    world.sql("select ah5.prune_notifications(90, 2)").await;
    let titles: Vec<Value> = listed(&world.owner).await;
    let titles: Vec<&str> = titles
        .iter()
        .map(|it| it["title"].as_str().unwrap())
        .collect();
    assert_eq!(titles, ["three", "two"]);
}
