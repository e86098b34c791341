//! What operators do at the command line: people, and how the commands end.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use ah5_testkit::client::{Agent, Call, Owner};
use serde_json::json;
use support::World;

/// How the command ended and what it said, on either stream.
fn run(world: &World, arguments: &[&str], input: &str) -> (i32, String) {
    let output = world.stack.operate(arguments, input).unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(text).unwrap(),
    )
}

fn done(world: &World, arguments: &[&str], input: &str) -> String {
    let (code, said) = run(world, arguments, input);
    assert_eq!(code, 0, "{said}");
    said
}

fn address() -> String {
    format!("{}@example.com", uuid::Uuid::new_v4())
}

async fn sign_in(world: &World, email: &str, password: &str) -> anyhow::Result<Owner> {
    Owner::sign_in(&world.http, world.stack.origin(), email, password).await
}

/// Answers to the person's cookie and token.
async fn reach(world: &World, person: &Owner) -> (u16, u16) {
    let session = person.with_cookie("/api/auth/token").await.unwrap().status;
    let token = Call::get("/v1/agents").bearer(&person.token);
    let token = world.send(token).await.status;
    (session.as_u16(), token.as_u16())
}

#[tokio::test]
async fn somebody_made_here_signs_in_with_the_password_that_was_shown_once() {
    let world = World::open().await;
    let email = address();
    let said = done(&world, &["user", "create", &email, "--name", "Ann"], "");
    let password = said
        .lines()
        .find_map(|line| line.strip_prefix("password: "))
        .unwrap();
    let person = sign_in(&world, &email, password).await.unwrap();
    assert_eq!(reach(&world, &person).await, (200, 200));
    let trail = person.audit("action=user_created").await.unwrap();
    assert_eq!(trail[0]["actor"], "system", "{}", trail[0]);

    let other = address();
    let given = ["user", "create", &other, "--password-stdin", "--proven"];
    let said = done(&world, &given, "correct horse\nnot this\n");
    assert!(
        !said.contains("correct") && !said.contains("password"),
        "{said}"
    );
    sign_in(&world, &other, "correct horse").await.unwrap();
    let listed = done(&world, &["user", "list"], "");
    let line = |email: &str| listed.lines().find(|line| line.contains(email)).unwrap();
    assert!(
        line(&email).contains("\tAnn\tactive\tassumed\tyes\t0\t"),
        "{}",
        line(&email)
    );
    assert!(line(&other).contains("\tproven\t"), "{}", line(&other));

    for (arguments, input, fault) in [
        (
            &["user", "create", &email][..],
            "",
            "somebody has this address already",
        ),
        (
            &["user", "create", "nonsense"],
            "",
            "this is no mail address",
        ),
        (
            &["user", "create", "a@b.cd", "--password-stdin"],
            "short\n",
            "8 to 128 characters",
        ),
        (
            &["user", "create", "a@b.cd", "--password-stdin"],
            "",
            "8 to 128 characters",
        ),
        (
            &["user", "disable", "nobody@example.com"],
            "",
            "there is nobody",
        ),
        (&["user", "enable", &email], "", "is not disabled"),
        (&["user", "remove-passkeys", &email], "", "has no passkey"),
        (
            &[
                "user",
                "make-owner",
                &email,
                "00000000-0000-4000-8000-000000000000",
            ],
            "",
            "there is no workspace",
        ),
    ] {
        let (code, said) = run(&world, arguments, input);
        assert_eq!(code, 1, "{arguments:?}: {said}");
        assert!(
            said.starts_with("control-plane: ") && said.contains(fault),
            "{said}"
        );
    }
}

#[tokio::test]
async fn somebody_disabled_is_out_at_once_and_stays_out_of_what_he_had() {
    let world = World::open().await;
    let person = world.stranger().await;
    let made = json!({"name": "t"});
    let made = person
        .post("/v1/tokens", &made)
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    let personal = made["plainToken"].as_str().unwrap();
    let by_token = || Call::get("/v1/agents").bearer(personal);
    let made = person.create_agent("bot").await.unwrap();
    let agent = Agent::ready(&world.http, world.stack.origin(), made)
        .await
        .unwrap();
    let by_agent = || Call::get("/v1/connections").bearer(&agent.token);
    let email = person.email.clone();
    done(&world, &["user", "disable", &email.to_uppercase()], "");
    assert_eq!(reach(&world, &person).await, (401, 401));
    assert_eq!(world.send(by_token()).await.status, 401);
    assert_eq!(world.send(by_agent()).await.status, 200, "agents go on");
    assert!(sign_in(&world, &email, &person.password).await.is_err());
    assert_eq!(run(&world, &["user", "disable", &email], "").0, 1);

    done(&world, &["user", "enable", &email], "");
    assert_eq!(reach(&world, &person).await, (401, 401));
    assert_eq!(world.send(by_token()).await.status, 401);
    let again = sign_in(&world, &email, &person.password).await.unwrap();
    for action in ["user_disabled", "user_enabled"] {
        let trail = again.audit(&format!("action={action}")).await.unwrap();
        assert_eq!(trail.len(), 1, "{action}");
        assert_eq!(trail[0]["actor"], "system", "{}", trail[0]);
    }
}

#[tokio::test]
async fn another_password_ends_what_the_old_one_may_have_got_a_thief() {
    let world = World::open().await;
    let person = world.stranger().await;
    let made = person.create_agent("bot").await.unwrap();
    let agent = Agent::ready(&world.http, world.stack.origin(), made)
        .await
        .unwrap();
    let said = done(&world, &["user", "set-password", &person.email], "");
    let password = said
        .lines()
        .find_map(|line| line.strip_prefix("password: "))
        .unwrap();
    assert_eq!(reach(&world, &person).await, (401, 401));
    let by_agent = Call::get("/v1/connections").bearer(&agent.token);
    assert_eq!(world.send(by_agent).await.status, 401);
    assert!(
        sign_in(&world, &person.email, &person.password)
            .await
            .is_err()
    );
    let again = sign_in(&world, &person.email, password).await.unwrap();
    assert_eq!(again.audit("action=password_reset").await.unwrap().len(), 1);
    let given = ["user", "set-password", &person.email, "--password-stdin"];
    done(&world, &given, "one's own\r\n");
    sign_in(&world, &person.email, "one's own").await.unwrap();
    assert!(!world.log().contains(password));
}

#[tokio::test]
async fn whoever_has_lost_the_only_passkey_is_let_in_again() {
    let world = World::open().await;
    let member = world.member("admin").await;
    let (email, id) = (&member.email, uuid::Uuid::new_v4());
    for number in 0..2 {
        world
            .sql(&format!(
                "insert into ah5.t_passkeys (id, user_id, name, credential_id, credential)
                 select gen_random_uuid(), id, 'key {number}', '{id}{number}'::bytea, '{{}}'
                 from ah5.t_users where email = '{email}'"
            ))
            .await;
    }
    let said = done(&world, &["user", "remove-passkeys", email], "");
    assert!(
        said.starts_with("2 passkey(s)") && said.contains("their password"),
        "{said}"
    );
    assert_eq!(reach(&world, &member).await, (401, 401));
    let listed = done(&world, &["user", "list"], "");
    let line = listed
        .lines()
        .find(|line| line.contains(email.as_str()))
        .unwrap();
    assert!(line.contains("\tyes\t0\t"), "{line}");
    sign_in(&world, email, &member.password).await.unwrap();
    // The owners of every workspace that the person is in.
    let told = world.audit("action=passkey_removed").await;
    assert_eq!(told.len(), 2);
    assert_eq!(told[0]["actor"], "system", "{}", told[0]);
}

#[tokio::test]
async fn a_workspace_gets_another_owner_when_its_own_is_gone() {
    let world = World::open().await;
    let workspace = world.get("/v1/workspaces/current").await.json()["id"].clone();
    let workspace = workspace.as_str().unwrap();
    let member = world.member("viewer").await;
    let outsider = world.stranger().await;
    for person in [&member, &outsider] {
        let said = done(
            &world,
            &["user", "make-owner", &person.email, workspace],
            "",
        );
        assert!(said.contains(&person.email), "{said}");
        let (code, said) = run(
            &world,
            &["user", "make-owner", &person.email, workspace],
            "",
        );
        assert!(code == 1 && said.contains("owns it already"), "{said}");
    }
    let mut outsider = outsider;
    outsider.switch(workspace).await.unwrap();
    let members = outsider
        .get("/v1/workspaces/current/members")
        .await
        .unwrap();
    let members = members.expect(200).unwrap();
    let role = |email: &str| {
        let mut members = members["members"].as_array().unwrap().iter();
        members.find(|m| m["email"] == email).unwrap()["role"].clone()
    };
    assert_eq!(role(&outsider.email), "owner");
    assert_eq!(role(&member.email), "admin");
    assert_eq!(role(&world.owner.email), "admin");
    let trail = outsider
        .audit("action=workspace_transferred")
        .await
        .unwrap();
    assert_eq!(trail.len(), 2);
}

#[tokio::test]
async fn help_says_what_each_command_does() {
    let world = World::open().await;
    for (command, part) in [
        ("keys", "rotate"),
        ("user", "remove-passkeys"),
        ("restore-check", "backup"),
    ] {
        let said = done(&world, &[command, "--help"], "");
        assert!(said.contains(part), "{said}");
    }
}

/// With another key ring they would replace every key of an installation that goes on using its own.
#[tokio::test]
async fn nothing_is_done_to_keys_that_another_ring_vouches_for() {
    let stack = support::control_plane().start().unwrap();
    let world = World::at(std::sync::Arc::new(stack)).await;
    world
        .sql("update ah5.t_signing_keys set mac = sha256(mac)")
        .await;
    for arguments in [
        &["keys", "rotate"][..],
        &["keys", "rotate", "--compromised"],
        &["restore-check"],
    ] {
        let (code, said) = run(&world, arguments, "");
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("KEY_RING_FILE"), "{said}");
    }
    let listed = done(&world, &["keys", "list"], "");
    assert_eq!(listed.matches("NOT OURS").count(), 2, "{listed}");
}
