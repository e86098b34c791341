//! What people are told: listed, streamed, and alarms about agents.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod alarms;
mod lists;
mod many;
mod reader;
mod rights;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod told;

use std::time::Duration;

use ah5_contracts::id::{NotificationId, UserId, WorkspaceId};
use ah5_harness::stack::Stack;
use ah5_harness::stack::home::DATABASE;
use ah5_security::secret::SecretText;
use ah5_store::database::Database;
use ah5_store::notifications::{self, NewNotification};
use ah5_store::tenant::Tenant;
use ah5_testkit::client::Owner;
use deadpool_postgres::Pool;
use serde_json::Value;

/// Connections as the database's own superuser.
fn pool(stack: &Stack, size: usize) -> Pool {
    let url = SecretText::new(stack.cluster().unwrap().url(DATABASE));
    Database::parse(&url).unwrap().pool(size)
}

/// The workspace that the person is in.
async fn workspace(person: &Owner) -> WorkspaceId {
    let current = person.get("/v1/workspaces/current").await.unwrap();
    let current = current.expect(200).unwrap();
    current["id"].as_str().unwrap().parse().unwrap()
}

async fn user(person: &Owner) -> UserId {
    let members = person.get("/v1/workspaces/current/members").await.unwrap();
    let members = members.expect(200).unwrap();
    let members = members["members"].as_array().unwrap().clone();
    let here = members
        .iter()
        .find(|it| it["email"] == person.email.as_str());
    here.unwrap()["userId"].as_str().unwrap().parse().unwrap()
}

/// As any change would.
async fn insert(tenant: &Tenant<'_>, title: &str, to: Option<UserId>) -> NotificationId {
    let id = NotificationId::random();
    let new = NewNotification {
        id,
        to,
        kind: "security_alert",
        title,
        body: "",
        link: Some("/dashboard/activity"),
        metadata: &Value::Null,
    };
    notifications::insert(tenant, &new).await.unwrap();
    id
}

/// One of its own.
async fn notify(
    stack: &Stack,
    workspace: WorkspaceId,
    title: &str,
    to: Option<UserId>,
) -> NotificationId {
    let pool = pool(stack, 1);
    let mut db = pool.get().await.unwrap();
    let tenant = Tenant::begin(&mut db, workspace).await.unwrap();
    let id = insert(&tenant, title, to).await;
    tenant.commit().await.unwrap();
    id
}

/// Those that the person is told, newest first.
async fn listed(person: &Owner) -> Vec<Value> {
    let answer = person.get("/v1/notifications?limit=100").await.unwrap();
    let answer = answer.expect(200).unwrap();
    answer["notifications"].as_array().unwrap().clone()
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    for _ in 0..1200 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}
