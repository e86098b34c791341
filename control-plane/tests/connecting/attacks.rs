//! Those who would have somebody connect what they never meant to, or read what they were sent.

use ah5_testkit::client::{Call, Owner};
use serde_json::json;
use url::form_urlencoded;

use crate::fixture::{Fixture, connection_of, endpoints, error, parameter, with_parameter};

const UNKNOWN: &str = "Invalid or expired state parameter";
const PARKED: &str = "/v1/connections/parked";

#[tokio::test]
async fn a_state_is_good_once() {
    let fixture = Fixture::open().await;
    let path = fixture.way_back(&["openid"], "ann").await;
    connection_of(&fixture.ends(&path).await);
    assert_eq!(fixture.ends(&path).await, error(UNKNOWN));
    assert_eq!(fixture.connections().await, 1);
}

#[tokio::test]
async fn of_many_who_come_at_once_with_one_state_one_connects() {
    let fixture = Fixture::open().await;
    let path = fixture.way_back(&["openid"], "ann").await;
    let many = (0..8).map(|_| fixture.ends(&path));
    let ends = futures_util::future::join_all(many).await;
    let connected = ends.iter().filter(|end| end.contains("success=true"));
    assert_eq!(connected.count(), 1, "{ends:?}");
    let refused = ends.iter().filter(|end| **end == error(UNKNOWN));
    assert_eq!(refused.count(), 7, "{ends:?}");
    assert_eq!(fixture.connections().await, 1);
}

#[tokio::test]
async fn a_verifier_of_somebody_else_redeems_nothing() {
    let fixture = Fixture::open().await;
    let path = fixture.way_back(&["openid"], "ann").await;
    // Another start of the same person: the row is another, and so is the verifier.
    let other = fixture.start(&["openid"]).await;
    let state = parameter(other["authorizationUrl"].as_str().unwrap(), "state");
    let mixed = with_parameter(&path, "state", state.as_deref());
    let ended = fixture.ends(&mixed).await;
    assert!(
        ended.starts_with(&error("grant request is invalid")),
        "{ended}"
    );
    assert_eq!(fixture.connections().await, 0);
}

#[tokio::test]
async fn an_answer_of_another_issuer_is_not_redeemed() {
    let fixture = Fixture::open().await;
    for issuer in [Some("https://evil.example"), None] {
        let path = fixture.way_back(&["openid"], "ann").await;
        let spoiled = with_parameter(&path, "iss", issuer);
        let ended = fixture.ends(&spoiled).await;
        assert_eq!(
            ended,
            error("The answer is from another issuer"),
            "{issuer:?}"
        );
        // And its state is used up.
        assert_eq!(fixture.ends(&path).await, error(UNKNOWN));
    }
    assert_eq!(fixture.connections().await, 0);
}

#[tokio::test]
async fn one_providers_answer_is_not_taken_at_anothers_address() {
    let fixture = Fixture::open().await;
    let path = fixture.way_back(&["openid"], "ann").await;
    let (_, query) = path.split_once('?').unwrap();
    let other = "custom-00000000-0000-4000-8000-000000000000";
    let shared = "/v1/connections/callback";
    let of = |provider: &str| format!("/v1/oauth/{provider}/callback");
    for provider in [
        &of("github"),
        &of("custom"),
        &of("google"),
        &of(other),
        shared,
    ] {
        let elsewhere = format!("{provider}?{query}");
        assert_eq!(fixture.ends(&elsewhere).await, error(UNKNOWN), "{provider}");
    }
    // Nobody has used it up.
    connection_of(&fixture.ends(&path).await);
}

#[tokio::test]
async fn a_code_without_its_person_waits_for_them_in_that_browser() {
    let fixture = Fixture::open().await;
    let path = fixture.way_back(&["openid", "read"], "ann").await;
    let answer = fixture.arrive(&path, "").await;
    assert_eq!(answer.header("location"), Some(PARKED));
    let cookie = answer.header("set-cookie").unwrap().to_owned();
    assert!(cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
    let parked = answer.headers.get_all("set-cookie").iter();
    let parked = parked.map(|it| it.to_str().unwrap().split(';').next().unwrap());
    let parked = parked
        .into_iter()
        .find(|it| it.starts_with("ah5.parked"))
        .unwrap();
    assert_eq!(fixture.connections().await, 0);
    // The state is used up.
    assert_eq!(fixture.ends(&path).await, error(UNKNOWN));

    let show = async |cookies: String| {
        let call = Call::get(PARKED).header("cookie", cookies);
        fixture.world.send(call).await
    };
    let owner = &fixture.world.owner.cookie;
    assert_eq!(show(parked.to_owned()).await.status, 401);
    assert_eq!(show(owner.clone()).await.status, 404, "not in this browser");
    let page = show(format!("{owner}; {parked}")).await;
    assert_eq!(page.status, 200);
    for part in [
        "Theirs",
        "Custom OAuth",
        "openid, read",
        "value=\"connect\"",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );

    let stranger = fixture.world.stranger().await;
    let theirs = show(format!("{}; {parked}", stranger.cookie)).await;
    assert_eq!(theirs.status, 403);
    assert!(!theirs.contains("Theirs"));
    for (cookies, origin, status) in [
        (
            format!("{}; {parked}", stranger.cookie),
            crate::fixture::ORIGIN,
            403,
        ),
        (format!("{owner}; {parked}"), "https://evil.example", 403),
        (format!("{owner}; {parked}"), "null", 403),
    ] {
        let answer = decide(&fixture, &cookies, origin, "connect").await;
        assert_eq!(answer.status, status, "{origin}");
    }
    assert_eq!(fixture.connections().await, 0);

    let cookies = format!("{owner}; {parked}");
    let done = decide(&fixture, &cookies, crate::fixture::ORIGIN, "connect").await;
    assert_eq!(done.status, 303);
    let id = connection_of(done.header("location").unwrap());
    assert_eq!(fixture.shown(&id).await["status"], "healthy");
    assert_eq!(show(cookies).await.status, 404, "once");
}

async fn decide(
    fixture: &Fixture,
    cookies: &str,
    origin: &str,
    decision: &str,
) -> ah5_testkit::client::Answer {
    let call = Call::post(PARKED)
        .header("cookie", cookies)
        .header("origin", origin)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("decision={decision}"));
    fixture.world.send(call).await
}

#[tokio::test]
async fn what_waits_can_be_turned_down() {
    let fixture = Fixture::open().await;
    let path = fixture.way_back(&["openid"], "ann").await;
    let answer = fixture.arrive(&path, "").await;
    let parked = answer.headers.get_all("set-cookie").iter();
    let mut parked = parked.map(|it| it.to_str().unwrap().split(';').next().unwrap());
    let parked = parked.find(|it| it.starts_with("ah5.parked")).unwrap();
    let cookies = format!("{}; {parked}", fixture.world.owner.cookie);
    let answer = decide(&fixture, &cookies, crate::fixture::ORIGIN, "cancel").await;
    assert_eq!(
        answer.header("location"),
        Some(&*error("The connection was cancelled"))
    );
    let answer = decide(&fixture, &cookies, crate::fixture::ORIGIN, "connect").await;
    assert_eq!(answer.status, 404);
    assert_eq!(fixture.connections().await, 0);
}

/// The victim is led to consent to what somebody else began, or to come back with what they began.
#[tokio::test]
async fn a_consent_belongs_to_who_began_it() {
    let fixture = Fixture::open().await;
    let stranger = fixture.world.stranger().await;
    let path = fixture.way_back(&["openid"], "bob").await;
    let answer = fixture.arrive(&path, &stranger.cookie).await;
    assert_eq!(answer.header("location"), Some(PARKED), "it waits, unused");
    assert_eq!(fixture.connections().await, 0);
    let theirs = stranger.get("/v1/connections").await.unwrap();
    assert_eq!(theirs.json()["connections"], json!([]));
}

#[tokio::test]
async fn who_may_no_longer_connect_does_not() {
    let fixture = Fixture::open().await;
    let member = fixture.world.member("admin").await;
    let body = fixture.body(&["openid"]);
    let start = async |person: &Owner| {
        let started = person.post("/v1/connections/start", &body).await.unwrap();
        let url = started.expect(200).unwrap()["authorizationUrl"].clone();
        fixture.consent(url.as_str().unwrap(), "ann").await
    };
    let path = start(&member).await;
    let arrived = fixture.arrive(&path, &member.cookie).await;
    connection_of(arrived.header("location").unwrap());
    let path = start(&member).await;
    let demote = format!(
        "update ah5.t_workspace_members set role = 'viewer'
         where user_id = (select id from ah5.t_users where email = '{}')
           and workspace_id = (select workspace_id from ah5.t_workspace_oauth_apps where id = '{}')",
        member.email, fixture.app
    );
    fixture.world.sql(&demote).await;
    let arrived = fixture.arrive(&path, &member.cookie).await;
    let text = "You may not connect accounts in this workspace";
    assert_eq!(arrived.header("location"), Some(&*error(text)));
    assert_eq!(fixture.connections().await, 1);
}

/// A token without a session begins; the session of the same person ends it, and not by one click that
/// somebody who holds the token could have led them to.
#[tokio::test]
async fn what_a_personal_token_began_is_asked_about_before_it_ends() {
    let fixture = Fixture::open().await;
    let made = json!({"name": "cli", "scopes": ["connections:write"]});
    let made = fixture.world.post("/v1/tokens", &made).await;
    let token = made.expect(200).unwrap()["plainToken"].clone();
    let call = Call::post("/v1/connections/start").json(&fixture.body(&["openid"]));
    let started = fixture
        .world
        .send(call.bearer(token.as_str().unwrap()))
        .await;
    let url = started.expect(200).unwrap()["authorizationUrl"].clone();
    let path = fixture.consent(url.as_str().unwrap(), "ann").await;
    let owner = &fixture.world.owner.cookie;
    let answer = fixture.arrive(&path, owner).await;
    assert_eq!(answer.header("location"), Some(PARKED));
    assert_eq!(fixture.connections().await, 0);
    let cookies = format!("{owner}; {}", parked_cookie(&answer));
    let page = Call::get(PARKED).header("cookie", &*cookies);
    let page = fixture.world.send(page).await;
    assert!(page.contains("personal token") && page.contains("Theirs"));
    let done = decide(&fixture, &cookies, crate::fixture::ORIGIN, "connect").await;
    connection_of(done.header("location").unwrap());

    // Whoever can write rows can't have it asked less.
    let call = Call::post("/v1/connections/start").json(&fixture.body(&["openid"]));
    let started = fixture
        .world
        .send(call.bearer(token.as_str().unwrap()))
        .await;
    let url = started.expect(200).unwrap()["authorizationUrl"].clone();
    let path = fixture.consent(url.as_str().unwrap(), "ann").await;
    let unasked = "update ah5.t_pending_connections set asks_first = false where asks_first";
    fixture.world.sql(unasked).await;
    fixture.ends(&path).await;
    assert_eq!(fixture.connections().await, 1);
}

/// As a browser would send it back.
fn parked_cookie(answer: &ah5_testkit::client::Answer) -> String {
    let set = answer.headers.get_all("set-cookie").iter();
    let mut pairs = set.map(|it| it.to_str().unwrap().split(';').next().unwrap());
    let parked = pairs.find(|it| it.starts_with("ah5.parked"));
    parked.unwrap().to_owned()
}

#[tokio::test]
async fn no_link_starts_a_consent_by_itself() {
    let fixture = Fixture::open().await;
    let at = format!(
        "/v1/oauth/custom/start?service=custom-oauth&oauthAppId={}&baseUrl={}&scopes=openid",
        fixture.app, fixture.pair.provider.issuer
    );
    let go = async |site: Option<&str>| {
        let call = Call::get(&*at).header("cookie", &fixture.world.owner.cookie);
        let call = match site {
            Some(site) => call.header("sec-fetch-site", site),
            None => call,
        };
        fixture.world.send(call).await
    };
    assert_eq!(go(Some("cross-site")).await.status, 403);
    assert_eq!(go(Some("same-site")).await.status, 403);
    for site in [Some("none"), None] {
        let asked = go(site).await;
        assert_eq!(asked.status, 200);
        assert!(asked.contains("<form method=\"post\"") && !asked.contains("code_challenge"));
    }
    let sent = go(Some("same-origin")).await;
    assert_eq!(sent.status, 302);
    let url = sent.header("location").unwrap();
    let own = format!("/v1/oauth/custom-{}/callback", fixture.app);
    let redirect = format!("{}{own}", crate::fixture::ORIGIN);
    assert_eq!(parameter(url, "redirect_uri"), Some(redirect));
    let path = fixture.consent(url, "ann").await;
    assert!(path.starts_with(&format!("{own}?")), "{path}");
    connection_of(&fixture.ends(&path).await);

    let agreed = |origin: &str| {
        let call = Call::post(&*at).header("cookie", &fixture.world.owner.cookie);
        fixture.world.send(call.header("origin", origin))
    };
    assert_eq!(agreed("https://evil.example").await.status, 403);
    let page = agreed(crate::fixture::ORIGIN).await;
    assert_eq!(page.status, 200);
    assert!(page.contains("http-equiv=\"refresh\"") && page.contains("code_challenge"));
}

#[tokio::test]
async fn a_provider_that_answers_for_another_gets_no_code() {
    let fixture = Fixture::open().await;
    let mut described = endpoints(&fixture.pair.provider.issuer);
    described["issuer"] = "https://evil.example".into();
    // A provider that says it is somebody else: what comes back names the real one.
    let app = crate::fixture::describe(&fixture.world, &described).await;
    let mut body = fixture.body(&["openid"]);
    body["oauthAppId"] = app.into();
    let started = fixture.world.post("/v1/connections/start", &body).await;
    let url = started.expect(200).unwrap()["authorizationUrl"].clone();
    let path = fixture.consent(url.as_str().unwrap(), "ann").await;
    let ended = fixture.ends(&path).await;
    assert_eq!(ended, error("The answer is from another issuer"));
    assert_eq!(fixture.connections().await, 0);
}

#[tokio::test]
async fn a_consent_whose_row_was_changed_ends_nowhere() {
    let fixture = Fixture::open().await;
    let elsewhere = "https://evil.example/";
    for change in [
        format!("base_url = '{elsewhere}'"),
        format!("service = 'google-gmail', base_url = '{elsewhere}'"),
        "service = 'google-gmail', base_url = 'https://gmail.googleapis.com/'".to_owned(),
        "oauth_app_id = null".to_owned(),
    ] {
        let path = fixture.way_back(&["openid"], "ann").await;
        let sql = format!("update ah5.t_pending_connections set {change} where oauth_app_id =");
        fixture.world.sql(&format!("{sql} '{}'", fixture.app)).await;
        let ended = fixture.ends(&path).await;
        assert!(ended.contains("?error="), "{change}: {ended}");
    }
    assert_eq!(fixture.connections().await, 0);
}

#[tokio::test]
async fn panic_ends_consents_that_are_under_way() {
    let fixture = Fixture::open().await;
    let path = fixture.way_back(&["openid"], "ann").await;
    let panic = "/v1/workspaces/current/panic";
    let stopped = fixture
        .world
        .post(panic, &serde_json::json!({"stop": true}))
        .await;
    assert_eq!(stopped.status, 200);
    assert_eq!(fixture.ends(&path).await, error(UNKNOWN));
    assert_eq!(fixture.connections().await, 0);
    // So does the second step, with those that were begun since.
    let path = fixture.way_back(&["openid"], "ann").await;
    let digest = fixture.world.get(panic).await.json()["digest"].clone();
    let digest = serde_json::json!({"digest": digest});
    let revoke = format!("{panic}/revoke");
    let revoked = fixture.world.post(&revoke, &digest).await;
    assert_eq!(revoked.status, 200);
    assert_eq!(fixture.ends(&path).await, error(UNKNOWN));
}

#[tokio::test]
async fn whoever_does_not_say_who_he_is_answers_for_nobody() {
    let fixture = Fixture::open().await;
    let mut described = endpoints(&fixture.pair.provider.issuer);
    described["issuer"] = serde_json::Value::Null;
    described["checks_issuer"] = false.into();
    let app = crate::fixture::describe(&fixture.world, &described).await;
    let mut body = fixture.body(&["openid"]);
    body["oauthAppId"] = app.into();
    let started = fixture.world.post("/v1/connections/start", &body).await;
    let url = started.expect(200).unwrap()["authorizationUrl"].clone();
    // The answer names an issuer, as that of a provider would which somebody was sent on to.
    let path = fixture.consent(url.as_str().unwrap(), "ann").await;
    assert!(path.contains("iss="), "{path}");
    let ended = fixture.ends(&path).await;
    assert_eq!(ended, error("The answer is from another issuer"));
}

/// Until there is a dashboard: whoever is signed out when the provider sends them back goes on in the
/// same browser, and is told how it ended.
#[tokio::test]
async fn who_is_signed_out_signs_in_by_a_form_and_is_told_how_it_ended() {
    let fixture = Fixture::open().await;
    let (world, owner) = (&fixture.world, &fixture.world.owner);
    let path = fixture.way_back(&["openid"], "ann").await;
    let answer = fixture.arrive(&path, "").await;
    let kept = answer.headers.get_all("set-cookie").iter();
    let mut kept = kept.map(|it| it.to_str().unwrap().split(';').next().unwrap());
    let parked = kept.find(|it| it.starts_with("ah5.parked")).unwrap();
    let call = Call::get(PARKED).header("cookie", parked);
    let page = world.send(call).await;
    let login = "/login?callbackURL=%2Fv1%2Fconnections%2Fparked";
    assert!(
        page.contains(&format!("href=\"{login}\"")),
        "{}",
        page.text()
    );
    let form = world.send(Call::get(login)).await;
    assert!(
        form.contains(&format!("value=\"{PARKED}\"")),
        "{}",
        form.text()
    );
    let away = world
        .send(Call::get("/login?callbackURL=https://evil.example"))
        .await;
    assert!(!away.contains("evil"), "{}", away.text());

    let sign_in = async |origin: Option<&str>, password: &str, to: &str| {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("email", &owner.email)
            .append_pair("password", password)
            .append_pair("callbackURL", to)
            .finish();
        let call = Call::post("/api/auth/sign-in/email").body(body);
        let call = call.header("content-type", "application/x-www-form-urlencoded");
        let call = match origin {
            Some(origin) => call.header("origin", origin),
            None => call,
        };
        world.send(call).await
    };
    let ours = Some(crate::fixture::ORIGIN);
    for (origin, password, to, status) in [
        (None, &*owner.password, PARKED, 403),
        (Some("null"), &*owner.password, PARKED, 403),
        (Some("https://evil.example"), &*owner.password, PARKED, 403),
        (ours, &*owner.password, "https://evil.example/", 403),
        (ours, "another password", PARKED, 401),
    ] {
        let refused = sign_in(origin, password, to).await;
        assert_eq!(refused.status, status, "{origin:?} {}", refused.text());
        let mut cookies = refused.headers.get_all("set-cookie").iter();
        let is_session = |it: &http::HeaderValue| it.to_str().unwrap().contains("session_token");
        assert!(!cookies.any(is_session), "{origin:?}");
    }
    let done = sign_in(ours, &owner.password, PARKED).await;
    assert_eq!(
        (done.status.as_u16(), done.header("location")),
        (303, Some(PARKED))
    );
    let session = done
        .header("set-cookie")
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    let cookies = format!("{session}; {parked}");
    let page = world
        .send(Call::get(PARKED).header("cookie", &*cookies))
        .await;
    assert_eq!(page.status, 200, "{}", page.text());
    let done = decide(&fixture, &cookies, crate::fixture::ORIGIN, "connect").await;
    let end = done
        .header("location")
        .unwrap()
        .strip_prefix(crate::fixture::ORIGIN);
    let told = world.send(Call::get(end.unwrap())).await;
    assert!(told.contains("The account is connected"), "{}", told.text());

    for path in [
        "/",
        "/dashboard",
        "/dashboard/approvals/1?error=%3Cscript%3Ealert(1)%3C/script%3E",
    ] {
        let page = world.send(Call::get(path)).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.contains("href=\"/docs\"") && !page.contains("<script"));
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"));
    }
}
