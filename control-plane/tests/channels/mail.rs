//! Mail: an address is proven by a code, and the invited are told.

use std::sync::Arc;

use ah5_testkit::client::{Call, Http, Owner};
use ah5_testkit::servers::MailServer;
use serde_json::json;

use crate::fixture::{Fixture, id, provider, towards};
use crate::support::servers::link;
use crate::support::{World, error};

const ADDRESS: &str = "ops@example.com";
const OWNER: &str = "ann@example.com";
const PASSWORD: &str = "planted-password-0123456789";

/// With an owner who has proved his own address.
async fn open(server: &MailServer) -> Fixture {
    let provider = provider().await;
    let stack = towards(&provider)
        .env("SMTP_HOST", "localhost")
        .env("SMTP_PORT", &server.port.to_string())
        .env("SMTP_TLS", "none")
        .env("EMAIL_FROM", "AgentHiFive <noreply@ah5.example>")
        .start()
        .unwrap();
    let http = Http::new(format!("http://{}", stack.control_plane().listen));
    let body = json!({"email": OWNER, "password": PASSWORD, "name": "Ann"});
    let sign_up = Call::post("/api/auth/sign-up/email").header("origin", stack.origin());
    http.send(sign_up.json(&body))
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    let mail = server.wait_for(OWNER, "Confirm").await;
    let link = Call::get(link(&mail, stack.origin()));
    assert_eq!(http.send(link).await.unwrap().status, 302);
    let owner = Owner::sign_in(&http, stack.origin(), OWNER, PASSWORD).await;
    let world = World {
        http,
        owner: owner.unwrap(),
        stack: Arc::new(stack),
    };
    Fixture { world, provider }
}

fn code(mail: &str) -> String {
    let is_code = |line: &&str| line.len() == 8 && line.bytes().all(|b| b.is_ascii_digit());
    mail.lines().find(is_code).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_gets_messages_once_its_code_was_entered() {
    let server = MailServer::start();
    let fixture = open(&server).await;
    let world = &fixture.world;
    let config = json!({"address": "Ops@Example.com"});
    let channel = fixture
        .put(&json!({"channelType": "email", "config": config}))
        .await;
    assert_eq!(channel["config"]["address"], ADDRESS);
    assert_eq!(channel["verificationStatus"], "pending");
    let mail = server.wait_for(ADDRESS, "Your code").await;
    let right = code(&mail);
    let path = format!("/v1/notification-channels/{}/verify", id(&channel));
    let verify = async |code: &str| world.post(&path, &json!({"code": code})).await;
    let wrong = if right == "00000000" {
        "00000001"
    } else {
        "00000000"
    };
    assert_eq!(
        error(&verify(wrong).await),
        "The code is wrong or no longer good"
    );
    // Nothing is sent to it yet, and a trial proves nothing.
    let (agent, connection, first) = fixture.question().await;
    fixture.until_announced().await;
    assert_eq!(fixture.waiting().await, 0);
    verify(&right).await.expect(200).unwrap();
    assert_eq!(fixture.only().await["verificationStatus"], "verified");
    assert_eq!(verify(&right).await.status, 400, "a code works once");

    let url = "https://api.evil.example/v2/orders";
    let second = fixture.ask(&agent, &connection, url).await;
    let mail = server
        .wait_for(ADDRESS, "A call waits for your approval")
        .await;
    let page = format!("{}/dashboard/approvals/{second}", world.stack.origin());
    assert!(mail.contains(&page) && !mail.contains(&first), "{mail}");
    assert!(
        mail.contains("POST api[.]evil[.]example/v2/orders"),
        "{mail}"
    );
    assert_eq!(
        mail.replace("[://]", "").matches("://").count(),
        1,
        "{mail}"
    );
    fixture.until_all_sent().await;
    assert!(!world.log().contains(&right) && !world.log().contains(ADDRESS));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_cannot_be_guessed_and_an_address_not_flooded() {
    let server = MailServer::start();
    let fixture = open(&server).await;
    let world = &fixture.world;
    let body = json!({"channelType": "email", "config": {"address": ADDRESS}});
    let channel = id(&fixture.put(&body).await);
    let right = code(&server.wait_for(ADDRESS, "Your code").await);
    let path = format!("/v1/notification-channels/{channel}/verify");
    let wrong = if right == "00000000" {
        "00000001"
    } else {
        "00000000"
    };
    for _ in 0..5 {
        let refused = world.post(&path, &json!({"code": wrong})).await;
        assert_eq!(refused.status, 400);
    }
    let late = world.post(&path, &json!({"code": right})).await;
    assert_eq!(error(&late), "The code is wrong or no longer good");
    // A new code is to be had, but not any number of them; the old one stays void.
    let again = fixture.try_out(&channel).await.expect(200).unwrap();
    assert_eq!(again["ok"], true);
    let enough = "update ah5.t_throttle set blocked_until = now() + interval '1 hour'";
    world.sql(enough).await;
    let refused = fixture.try_out(&channel).await.expect(200).unwrap();
    let why = "This address was sent several letters lately";
    assert_eq!(refused, json!({"ok": false, "error": why}));
    assert_eq!(
        world.post("/v1/notification-channels", &body).await.status,
        409
    );
    assert_eq!(world.post(&path, &json!({"code": right})).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_invited_are_told_to_sign_in_and_nothing_else() {
    let server = MailServer::start();
    let fixture = open(&server).await;
    let world = &fixture.world;
    let rename = json!({"name": "planted-workspace-name"});
    world
        .put("/v1/workspaces/current", &rename)
        .await
        .expect(200)
        .unwrap();
    let body = json!({"email": "bob@example.com", "role": "viewer"});
    let invited = world
        .post("/v1/workspaces/current/invitations", &body)
        .await;
    let invited = invited.expect(201).unwrap();
    let mail = server.wait_for("bob@example.com", "You are invited").await;
    assert!(mail.contains(world.stack.origin()));
    // Neither a secret nor a stranger's words.
    for word in [
        "planted-workspace-name",
        "Ann",
        "token",
        invited["invitation"]["id"].as_str().unwrap(),
    ] {
        assert!(!mail.contains(word), "{word}: {mail}");
    }
    // However often he is invited.
    for _ in 0..10 {
        let again = world
            .post("/v1/workspaces/current/invitations", &body)
            .await;
        again.expect(201).unwrap();
    }
    let empty = async || {
        fixture
            .count("select count(*) from ah5.t_mail_outbox")
            .await
            == 0
    };
    fixture.until("all letters are sent", empty).await;
    let to_him = |mail: &&String| mail.contains("To: bob@example.com");
    let letters = server.mails().iter().filter(to_him).count();
    assert!((1..=8).contains(&letters), "{letters}");
}
