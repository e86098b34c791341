//! Who may read the stream, and that it ends with the right to it.

use std::time::Duration;

use ah5_testkit::client::{Call, Owner};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::reader::{Reader, STREAM};
use crate::support::{World, error};
use crate::{notify, user, workspace};

/// Less than it takes until everybody is looked at anyway.
const SOON: Duration = Duration::from_secs(5);

async fn ends(reader: &mut Reader, why: &str) {
    let begun = Instant::now();
    let ended = timeout(SOON, reader.ended()).await;
    assert!(ended.is_ok(), "still open: {why}");
    println!("{why}: ended after {:?}", begun.elapsed());
}

async fn personal(person: &Owner, scopes: &Value) -> (String, String) {
    let body = json!({"name": "t", "scopes": scopes});
    let made = person.post("/v1/tokens", &body).await.unwrap();
    let made = made.expect(200).unwrap();
    let text = |pointer| made.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    (text("/token/id"), text("/plainToken"))
}

#[tokio::test]
async fn another_workspace_and_another_person_see_nothing() {
    let world = World::open().await;
    let stranger = world.stranger().await;
    let member = world.member("admin").await;
    let (here, there) = (workspace(&world.owner).await, workspace(&stranger).await);
    let mut mine = Reader::of(&world.http, &world.owner).await;
    let mut theirs = Reader::of(&world.http, &stranger).await;
    let mut members = Reader::of(&world.http, &member).await;
    let own = user(&world.owner).await;
    notify(&world.stack, here, "for the owner", Some(own)).await;
    notify(&world.stack, here, "for all of us", None).await;
    notify(&world.stack, there, "for them", None).await;
    assert_eq!(theirs.title().await.unwrap(), "for them");
    assert_eq!(members.title().await.unwrap(), "for all of us");
    assert_eq!(mine.title().await.unwrap(), "for the owner");
    assert_eq!(mine.title().await.unwrap(), "for all of us");
    // Nor do those who come back for all that they have missed.
    let call = Call::get(STREAM).header("last-event-id", format!("0-{}", &here.to_string()[..8]));
    let mut again = Reader::open(&world.http, call.bearer(&member.token)).await;
    again.next().await.unwrap();
    assert_eq!(again.title().await.unwrap(), "for all of us");
}

#[tokio::test]
async fn the_end_of_a_session_ends_its_streams_and_no_others() {
    let world = World::open().await;
    let Owner {
        email, password, ..
    } = &world.owner;
    let other = Owner::sign_in(&world.http, world.stack.origin(), email, password);
    let other = other.await.unwrap();
    let mut ending = Reader::of(&world.http, &other).await;
    let mut staying = Reader::of(&world.http, &world.owner).await;
    let out = other.with_cookie("/api/auth/sign-out").await.unwrap();
    out.expect(200).unwrap();
    ends(&mut ending, "signed out").await;
    let here = workspace(&world.owner).await;
    notify(&world.stack, here, "still there", None).await;
    assert_eq!(staying.title().await.unwrap(), "still there");
    let call = Call::get(STREAM).bearer(&other.token);
    assert_eq!(world.http.open(call).await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_stream_ends_with_its_token_or_its_holders_place() {
    let world = World::open().await;
    let member = world.member("viewer").await;
    let (id, token) = personal(&member, &json!(["notifications:read"])).await;
    let call = || Call::get(STREAM).bearer(&token);
    let mut by_token = Reader::open(&world.http, call()).await;
    let mut by_session = Reader::of(&world.http, &member).await;
    let gone = member.delete(&format!("/v1/tokens/{id}")).await.unwrap();
    gone.expect(200).unwrap();
    ends(&mut by_token, "token revoked").await;

    let person = user(&member).await;
    let path = format!("/v1/workspaces/current/members/{person}");
    world
        .owner
        .delete(&path)
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    ends(&mut by_session, "member removed").await;

    let disabled = world.member("viewer").await;
    let mut by_session = Reader::of(&world.http, &disabled).await;
    let off = "update ah5.t_users set disabled_at = now() where email";
    world.sql(&format!("{off} = '{}'", disabled.email)).await;
    ends(&mut by_session, "person disabled").await;
}

#[tokio::test]
async fn what_ends_by_the_clock_ends_the_stream_too() {
    let world = World::open().await;
    let mut reader = Reader::of(&world.http, &world.owner).await;
    let person = user(&world.owner).await;
    // No trigger tells of it.
    let past = "update ah5.t_sessions set expires_at = now() where user_id";
    world.sql(&format!("{past} = '{person}'")).await;
    let ended = timeout(Duration::from_secs(20), reader.ended()).await;
    assert!(ended.is_ok());
}

#[tokio::test]
async fn nothing_comes_that_was_told_after_the_right_had_ended() {
    let world = World::open().await;
    let here = workspace(&world.owner).await;
    let member = world.member("viewer").await;
    let person = user(&member).await;
    let mut reader = Reader::of(&world.http, &member).await;
    // Nobody hears of it, so only a look at who is there can tell.
    world
        .sql(&format!(
            "begin; set local session_replication_role = replica;
             delete from ah5.t_workspace_members where user_id = '{person}'
                 and workspace_id = '{here}'; commit"
        ))
        .await;
    notify(&world.stack, here, "not for them", None).await;
    assert_eq!(reader.next().await, None);
}

#[tokio::test]
async fn a_browser_reads_by_its_cookie_from_a_page_of_ours() {
    let world = World::open().await;
    let here = workspace(&world.owner).await;
    let origin = world.stack.origin();
    let cookie = |target: &str| Call::get(target).header("cookie", &world.owner.cookie);
    let same_site = |call: Call| {
        call.header("origin", origin)
            .header("sec-fetch-site", "same-origin")
    };
    let mut reader = Reader::open(&world.http, same_site(cookie(STREAM))).await;
    assert_eq!(reader.next().await.unwrap().name, "connected");
    notify(&world.stack, here, "by cookie", None).await;
    assert_eq!(reader.title().await.unwrap(), "by cookie");

    let foreign = workspace(&world.stranger().await).await;
    let of = |workspace: &str| format!("{STREAM}?workspaceId={workspace}");
    let evil = cookie(STREAM).header("origin", "https://evil.example");
    let cross = cookie(STREAM).header("sec-fetch-site", "cross-site");
    for (call, status) in [
        (cookie(&of(&here.to_string())), 200),
        (cookie(&of(&foreign.to_string())), 403),
        (cookie(&of("x")), 400),
        (evil, 403),
        (cross, 403),
        (cookie("/v1/notifications"), 401),
        (
            Call::get(STREAM).header("cookie", "better-auth.session_token=x"),
            401,
        ),
        (cookie(STREAM).bearer("ah5p_made-up"), 401),
    ] {
        let target = call.target.clone();
        let response = world.http.open(call).await.unwrap();
        assert_eq!(response.status(), status, "{target}");
    }
    let out = world.owner.with_cookie("/api/auth/sign-out").await.unwrap();
    out.expect(200).unwrap();
    ends(&mut reader, "signed out, by cookie").await;
}

#[tokio::test]
async fn agents_and_tokens_without_the_scope_are_refused() {
    let world = World::open().await;
    let agent = world.agent().await;
    let (_, token) = personal(&world.owner, &json!(["audit:read"])).await;
    for (token, text) in [
        (&agent.token, "This endpoint is not available to agents"),
        (&token, "Missing required scope: notifications:read"),
    ] {
        let answer = world.send(Call::get(STREAM).bearer(token)).await;
        assert_eq!((answer.status.as_u16(), &*error(&answer)), (403, text));
    }
}
