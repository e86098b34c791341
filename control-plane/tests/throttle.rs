//! Guessing of passwords is slowed down, for accounts that exist and for those that don't.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::Arc;

use ah5_testkit::client::{Answer, Call, Owner};
use serde_json::json;

use support::{World, control_plane};

async fn guess(world: &World, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    let call = Call::post("/api/auth/sign-in/email").header("origin", world.stack.origin());
    world.send(call.json(&body)).await
}

/// The statuses of so many wrong guesses, one after another.
async fn guesses(world: &World, email: &str, number: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..number {
        statuses.push(guess(world, email, "wrong-wrong").await.status.as_u16());
    }
    statuses
}

#[tokio::test]
async fn guesses_are_put_off_whether_or_not_the_account_exists() {
    // Its own: failures of one network count together.
    let world = World::at(Arc::new(control_plane().start().unwrap())).await;
    let known = world.owner.email.clone();
    // Slow machines let a second pass, after which one more guess is free.
    for email in [&*known, "nobody@example.com"] {
        assert_eq!(guesses(&world, email, 6).await, [401; 6], "{email}");
        world
            .sql("update ah5.t_throttle set blocked_until = now() + interval '90 seconds' where blocked_until > now() - interval '3 seconds' and kind = 'account'")
            .await;
        let refused = guess(&world, email, "wrong-wrong").await;
        assert_eq!(refused.status, 429, "{email}");
        assert_eq!(refused.json()["code"], "TOO_MANY_ATTEMPTS");
        let wait: i32 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=90).contains(&wait), "{wait}");
    }
    // The right password has to wait, too; whoever is signed in does not.
    let right = guess(&world, &known, &world.owner.password).await;
    assert_eq!(right.status, 429);
    assert_eq!(world.get("/v1/agents").await.status, 200);
    let other = world.stranger().await;
    assert_eq!(
        guess(&world, &other.email, &other.password).await.status,
        200
    );

    world
        .sql("update ah5.t_throttle set blocked_until = now()")
        .await;
    let (http, origin) = (&world.http, world.stack.origin());
    let back = Owner::sign_in(http, origin, &known, &world.owner.password).await;
    assert!(back.is_ok());
    // All is forgotten.
    assert_eq!(guesses(&world, &known, 5).await, [401; 5]);
}

#[tokio::test]
async fn guesses_at_once_are_counted_before_they_are_checked() {
    let world = World::at(Arc::new(control_plane().start().unwrap())).await;
    let email = &world.owner.email;
    let at_once = (0..20).map(|_| guess(&world, email, "wrong-wrong"));
    let answers = futures_util::future::join_all(at_once).await;
    let checked = answers.iter().filter(|answer| answer.status == 401).count();
    // Six are free; hashing takes long enough on a slow machine that few more may come through.
    assert!((6..=8).contains(&checked), "{checked}");
    let put_off = answers.iter().filter(|answer| answer.status == 429).count();
    assert_eq!(checked + put_off, 20);
}

#[tokio::test]
async fn a_network_is_put_off_that_tries_many_accounts() {
    let world = World::at(Arc::new(control_plane().start().unwrap())).await;
    let mut refused = 0;
    for number in 0..40 {
        let email = format!("nobody{number}@example.com");
        let status = guess(&world, &email, "wrong-wrong").await.status;
        refused += usize::from(status == 429);
    }
    assert!(refused > 0);
    // Another network is not.
    let body = json!({"email": world.owner.email, "password": world.owner.password});
    let call = Call::post("/api/auth/sign-in/email")
        .header("origin", world.stack.origin())
        .header("x-forwarded-for", "192.0.2.7");
    assert_eq!(world.send(call.json(&body)).await.status, 200);
}

#[tokio::test]
async fn the_own_password_is_proven_and_changed_within_a_session() {
    let world = World::open().await;
    let with = async |path: &str, body| {
        let call = Call::post(path)
            .header("origin", world.stack.origin())
            .header("cookie", &world.owner.cookie);
        world.send(call.json(&body)).await
    };
    let right = json!({"password": world.owner.password});
    assert_eq!(
        with("/api/auth/verify-password", right.clone())
            .await
            .status,
        200
    );
    let wrong = with("/api/auth/verify-password", json!({"password": "x"})).await;
    assert_eq!(
        (wrong.status.as_u16(), &wrong.json()["code"]),
        (400, &json!("INVALID_PASSWORD"))
    );

    let (http, origin) = (&world.http, world.stack.origin());
    let (email, old) = (&world.owner.email, &world.owner.password);
    let elsewhere = Owner::sign_in(http, origin, email, old).await.unwrap();
    let change = json!({"currentPassword": old, "newPassword": "planted-next-password",
        "revokeOtherSessions": true});
    let changed = with("/api/auth/change-password", change).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(
        world.get("/v1/agents").await.status,
        200,
        "this session goes on"
    );
    assert_eq!(elsewhere.get("/v1/agents").await.unwrap().status, 401);
    assert_eq!(with("/api/auth/verify-password", right).await.status, 400);
    let next = Owner::sign_in(http, origin, email, "planted-next-password").await;
    assert!(next.is_ok());

    let update = with("/api/auth/update-user", json!({"name": "Bea"})).await;
    assert_eq!(update.status, 200);
    let email = with("/api/auth/update-user", json!({"email": "x@example.com"})).await;
    assert_eq!(email.json()["code"], "EMAIL_CAN_NOT_BE_UPDATED");
    let accounts = Call::get("/api/auth/list-accounts").header("cookie", &world.owner.cookie);
    let accounts = world.send(accounts).await.json();
    assert_eq!(accounts[0]["providerId"], "credential");
    assert_eq!(accounts.as_array().unwrap().len(), 1);
}
