//! Passkeys and recent proof, with an authenticator in software against the real control plane.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/authenticator.rs"]
mod authenticator;
mod support;

use ah5_testkit::client::Answer;
use authenticator::{Browser, Device};
use serde_json::{Value, json};
use support::World;

const VERIFY: &str = "/passkey/verify-authentication";
const REGISTER: &str = "/passkey/generate-register-options";

/// The owner's browser, and one that nobody is signed in at.
fn browsers(world: &World) -> (Browser, Browser) {
    let at = |session| Browser::new(&world.http, world.stack.origin(), session);
    (at(&world.owner.cookie), at(""))
}

fn refusal(answer: &Answer) -> (u16, String) {
    let code = answer.json()["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (answer.status.as_u16(), code)
}

fn code(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

async fn with_passkey() -> (World, Device, Browser, Browser) {
    let world = World::open().await;
    let (mut owner, nobody) = browsers(&world);
    let mut device = Device::new();
    let made = owner.register(&mut device, "Laptop").await;
    assert_eq!(made.status, 200, "{}", made.json());
    (world, device, owner, nobody)
}

/// As if the last proof were six minutes old.
async fn grow_stale(world: &World) {
    let sql = "update ah5.t_sessions set authenticated_at = now() - interval '6 minutes'
               where user_id = (select id from ah5.t_users where email";
    world
        .sql(&format!("{sql} = '{}')", world.owner.email))
        .await;
}

#[tokio::test]
async fn a_passkey_signs_its_person_in_without_an_address() {
    let (world, mut device, mut owner, mut nobody) = with_passkey().await;
    let listed = owner.get("/passkey/list-user-passkeys").await.json();
    assert_eq!(listed[0]["name"], "Laptop");
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let body = nobody.begin_sign_in(&mut device).await;
    let signed_in = nobody.post(VERIFY, &body).await;
    let user = signed_in.expect(200).unwrap()["user"].clone();
    assert_eq!(user["email"], world.owner.email.as_str());
    let first = signed_in.headers.get("set-cookie").unwrap().to_str();
    assert!(first.unwrap().starts_with("better-auth.session_token="));
    let session = nobody.get("/get-session").await.json();
    assert_eq!(session["user"]["id"], user["id"]);
    let trail = world.audit("").await;
    let told = |action: &str| trail.iter().find(|row| row["action"] == action).cloned();
    assert!(told("passkey_added").is_some());
    let signed_in = told("user_signed_in").unwrap();
    assert_eq!(signed_in["metadata"]["method"], "passkey");
}

#[tokio::test]
async fn the_list_for_an_address_does_not_tell_whether_it_is_anybodys() {
    let (world, mut device, _, mut nobody) = with_passkey().await;
    let path = "/passkey/generate-authenticate-options";
    let mut ask = async |email: &str| nobody.post(path, &json!({"email": email})).await.json();
    let unknown = ask("nobody-of-this-name@example.com").await;
    let known = ask(&world.owner.email).await;
    let shape = |options: &Value| {
        let list = options["allowCredentials"].as_array().unwrap().clone();
        let members = |entry: &Value| entry.as_object().unwrap().len();
        list.iter().map(members).collect::<Vec<_>>()
    };
    assert_eq!(shape(&unknown), shape(&known));
    let answer = device.answer(world.stack.origin(), &known).await;
    let signed_in = nobody.post(VERIFY, &json!({"response": answer})).await;
    assert_eq!(signed_in.status, 200, "{}", signed_in.json());
}

#[tokio::test]
async fn an_answer_counts_once_and_only_where_it_was_asked_for() {
    let (world, mut device, mut owner, mut nobody) = with_passkey().await;
    let body = nobody.begin_sign_in(&mut device).await;
    // The same browser with the same cookie, twice.
    let mut again = nobody.clone();
    assert_eq!(nobody.post(VERIFY, &body).await.status, 200);
    let replayed = again.post(VERIFY, &body).await;
    assert_eq!(refusal(&replayed), code(400, "CHALLENGE_NOT_FOUND"));

    let (_, mut fresh) = browsers(&world);
    let body = fresh.begin_sign_in(&mut device).await;
    let (_, mut thief) = browsers(&world);
    let elsewhere = thief.post(VERIFY, &body).await;
    assert_eq!(refusal(&elsewhere), code(400, "CHALLENGE_NOT_FOUND"));

    // A sign-in's answer is no proof within a session.
    owner.cookies.push(fresh.ceremony());
    let other_use = owner.post("/reauthenticate", &body).await;
    assert_eq!(refusal(&other_use), code(400, "CHALLENGE_NOT_FOUND"));
    assert_eq!(
        refusal(&fresh.post(VERIFY, &body).await),
        code(400, "CHALLENGE_NOT_FOUND"),
        "and it is used up by the attempt"
    );
}

#[tokio::test]
async fn a_ceremony_of_another_person_is_refused() {
    let world = World::open().await;
    let (mut mine, _) = browsers(&world);
    let stranger = world.stranger().await;
    let mut theirs = Browser::new(&world.http, world.stack.origin(), &stranger.cookie);
    let options = mine.get(REGISTER).await.expect(200).unwrap();
    let response = Device::new().make(&mine.origin, &options).await;
    // Their session with my ceremony's cookie.
    theirs.cookies.push(mine.ceremony());
    let body = json!({"response": response});
    let answer = theirs.post("/passkey/verify-registration", &body).await;
    assert_eq!(refusal(&answer), code(400, "CHALLENGE_NOT_FOUND"));
    let listed = theirs.get("/passkey/list-user-passkeys").await.json();
    assert_eq!(listed, json!([]));
}

#[tokio::test]
async fn answers_for_other_sites_or_without_verification_are_refused() {
    let (world, mut device, _, mut nobody) = with_passkey().await;
    let failed = code(401, "AUTHENTICATION_FAILED");
    let path = "/passkey/generate-authenticate-options";

    let options = nobody.get(path).await.json();
    let origin = "http://localhost:1";
    let response = device.answer(origin, &options).await;
    let answer = nobody.post(VERIFY, &json!({"response": response})).await;
    assert_eq!(refusal(&answer), failed, "another port is another origin");

    let mut options = nobody.get(path).await.json();
    options["rpId"] = json!("example.com");
    let response = device.answer("https://example.com", &options).await;
    let answer = nobody.post(VERIFY, &json!({"response": response})).await;
    assert_eq!(refusal(&answer), failed, "another site");

    let mut options = nobody.get(path).await.json();
    options["userVerification"] = json!("discouraged");
    let mut touch = Device {
        verifies: false,
        ..device.clone()
    };
    let response = touch.answer(world.stack.origin(), &options).await;
    let answer = nobody.post(VERIFY, &json!({"response": response})).await;
    assert_eq!(refusal(&answer), failed, "touched, but by whom");

    let mut good = touch;
    good.verifies = true;
    let body = nobody.begin_sign_in(&mut good).await;
    assert_eq!(nobody.post(VERIFY, &body).await.status, 200);
}

#[tokio::test]
async fn a_counter_that_goes_back_is_refused_and_told() {
    let (world, mut device, _, mut nobody) = with_passkey().await;
    let mut copy = device.clone();
    let body = nobody.begin_sign_in(&mut device).await;
    assert_eq!(nobody.post(VERIFY, &body).await.status, 200);
    let (_, mut thief) = browsers(&world);
    let body = thief.begin_sign_in(&mut copy).await;
    let answer = thief.post(VERIFY, &body).await;
    assert_eq!(refusal(&answer), code(401, "AUTHENTICATION_FAILED"));
    let trail = world.audit("").await;
    let told = trail
        .iter()
        .find(|row| row["action"] == "passkey_counter_regressed");
    assert_eq!(told.unwrap()["decision"], "denied");
}

#[tokio::test]
async fn adding_and_removing_takes_recent_proof_by_passkey_once_there_is_one() {
    let (world, mut device, mut owner, _) = with_passkey().await;
    let id = owner.get("/passkey/list-user-passkeys").await.json()[0]["id"].clone();
    let stale = code(403, "SESSION_NOT_FRESH");
    // Signed in by password a moment ago, but now there is a passkey.
    assert_eq!(refusal(&owner.get(REGISTER).await), stale);
    let password = json!({"password": world.owner.password});
    let answer = owner.post("/reauthenticate", &password).await;
    assert_eq!(refusal(&answer), code(403, "PASSKEY_REQUIRED"));
    let transfer = json!({"userId": uuid::Uuid::new_v4()});
    let answer = world
        .post("/v1/workspaces/current/transfer", &transfer)
        .await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["reason"]),
        (403, &json!("reauthentication_required"))
    );

    let asked = owner
        .get("/reauthenticate/options")
        .await
        .expect(200)
        .unwrap();
    assert_eq!(asked["method"], "passkey");
    let response = device.answer(world.stack.origin(), &asked["options"]).await;
    let proven = owner
        .post("/reauthenticate", &json!({"response": response}))
        .await;
    assert_eq!(proven.status, 200, "{}", proven.json());
    assert_eq!(
        owner.register(&mut Device::new(), "Phone").await.status,
        200
    );
    let answer = world
        .post("/v1/workspaces/current/transfer", &transfer)
        .await;
    assert_ne!(answer.json()["reason"], "reauthentication_required");

    grow_stale(&world).await;
    let delete = "/passkey/delete-passkey";
    assert_eq!(
        refusal(&owner.post(delete, &json!({"id": id})).await),
        stale
    );
    let asked = owner.get("/reauthenticate/options").await.json();
    let response = device.answer(world.stack.origin(), &asked["options"]).await;
    owner
        .post("/reauthenticate", &json!({"response": response}))
        .await;
    assert_eq!(owner.post(delete, &json!({"id": id})).await.status, 200);
    let trail = world.audit("").await;
    assert!(trail.iter().any(|row| row["action"] == "passkey_removed"));
    let listed = owner.get("/passkey/list-user-passkeys").await.json();
    assert_eq!(listed[0]["name"], "Phone");
}

#[tokio::test]
async fn without_a_passkey_the_password_is_the_proof() {
    let world = World::open().await;
    let (mut owner, _) = browsers(&world);
    grow_stale(&world).await;
    assert_eq!(
        refusal(&owner.get(REGISTER).await),
        code(403, "SESSION_NOT_FRESH")
    );
    let wrong = json!({"password": "wrong-one"});
    let answer = owner.post("/reauthenticate", &wrong).await;
    assert_eq!(refusal(&answer), code(400, "INVALID_PASSWORD"));
    assert_eq!(owner.get(REGISTER).await.status, 403);
    let right = json!({"password": world.owner.password});
    assert_eq!(owner.post("/reauthenticate", &right).await.status, 200);
    assert_eq!(owner.get(REGISTER).await.status, 200);
}

#[tokio::test]
async fn nobody_renames_or_removes_a_strangers_passkey() {
    let (world, _, mut owner, mut nobody) = with_passkey().await;
    let id = owner.get("/passkey/list-user-passkeys").await.json()[0]["id"].clone();
    let stranger = world.stranger().await;
    let mut theirs = Browser::new(&world.http, world.stack.origin(), &stranger.cookie);
    let rename = json!({"id": id, "name": "Mine"});
    let gone = code(404, "PASSKEY_NOT_FOUND");
    assert_eq!(
        refusal(&theirs.post("/passkey/update-passkey", &rename).await),
        gone
    );
    assert_eq!(
        refusal(&theirs.post("/passkey/delete-passkey", &rename).await),
        gone
    );
    let answer = nobody.post("/passkey/delete-passkey", &rename).await;
    assert_eq!(answer.status, 401);
    let renamed = owner.post("/passkey/update-passkey", &rename).await;
    assert_eq!(renamed.json()["passkey"]["name"], "Mine");
}

#[tokio::test]
async fn a_mailed_link_resets_no_password_of_an_account_with_a_passkey() {
    let (world, _, mut owner, mut nobody) = with_passkey().await;
    world.prove(&world.owner).await;
    let email = &world.owner.email;
    // As if the link had been asked for and mailed.
    let mailed = "insert into ah5.t_mail_proofs (token_hash, user_id, purpose, email, expires_at)
                  select sha256(email::bytea), id, 'reset', email, now() + interval '1 hour'
                  from ah5.t_users where email";
    world.sql(&format!("{mailed} = '{email}'")).await;
    let body = json!({"token": email, "newPassword": "another password"});
    let answer = nobody.post("/reset-password", &body).await;
    assert_eq!(refusal(&answer), code(403, "PASSKEY_REQUIRED"));
    assert_eq!(
        owner.get("/get-session").await.json()["user"]["email"],
        email.as_str()
    );
}
