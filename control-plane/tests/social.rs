//! Sign-in at other parties, against a real OpenID provider.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use ah5_harness::stack::Stack;
use ah5_testkit::client::{Answer, Call, Http, Owner};
use serde_json::{Value, json};

use support::control_plane;
use support::servers::{CLIENT_ID, CLIENT_SECRET, OpenId};

/// What the provider knows us by. Nobody listens there: browsers are played here.
const ORIGIN: &str = "http://localhost:8080";

/// An installation and a provider that know each other by two names: `plain`, whose word on
/// addresses is not final, and `corp`, which runs the mailboxes of corp.example.
struct Pair {
    http: Http,
    provider: OpenId,
    stack: Arc<Stack>,
}

/// A browser: its cookies by host.
#[derive(Default)]
struct Browser {
    ours: BTreeMap<String, String>,
    theirs: BTreeMap<String, String>,
}

fn people() -> Value {
    json!({
        "ann": {"email": "ann@corp.example", "email_verified": true, "name": "Ann"},
        "bob": {"email": "bob@corp.example", "email_verified": false, "name": "Bob"},
        "cas": {"email": "cas@elsewhere.example", "email_verified": true, "name": "Cas"},
    })
}

fn keep(jar: &mut BTreeMap<String, String>, answer: &Answer) {
    for cookie in answer.headers.get_all("set-cookie") {
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        if value.is_empty() {
            jar.remove(name);
        } else {
            jar.insert(name.to_owned(), value.to_owned());
        }
    }
}

fn cookies(jar: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = jar.iter().map(|(k, v)| format!("{k}={v}")).collect();
    pairs.join("; ")
}

impl Pair {
    fn open() -> Self {
        let uris = ["plain", "corp"].map(|name| format!("{ORIGIN}/api/auth/callback/{name}"));
        let provider = OpenId::start(&people(), &uris);
        let mut builder = control_plane()
            .env("PUBLIC_ORIGIN", ORIGIN)
            .env("SSRF_ALLOWLIST_HOSTS", provider.host())
            .env("AUTH_OIDC_PROVIDERS", "plain,corp")
            .env("AUTH_OIDC_CORP_EMAIL_DOMAINS", "corp.example");
        for name in ["PLAIN", "CORP"] {
            builder = builder
                .env(&format!("AUTH_OIDC_{name}_ISSUER"), &provider.issuer)
                .env(&format!("AUTH_OIDC_{name}_CLIENT_ID"), CLIENT_ID)
                .env(&format!("AUTH_OIDC_{name}_CLIENT_SECRET"), CLIENT_SECRET);
        }
        let stack = Arc::new(builder.start().unwrap());
        let http = Http::new(format!("http://{}", stack.control_plane().listen));
        Self {
            http,
            provider,
            stack,
        }
    }

    async fn post(&self, browser: &mut Browser, path: &str, body: &Value) -> Answer {
        let mut call = Call::post(path).header("origin", self.stack.origin());
        if !browser.ours.is_empty() {
            call = call.header("cookie", cookies(&browser.ours));
        }
        let answer = self.http.send(call.json(body)).await.unwrap();
        keep(&mut browser.ours, &answer);
        answer
    }

    async fn get(&self, browser: &mut Browser, path: &str) -> Answer {
        let call = Call::get(path).header("cookie", cookies(&browser.ours));
        let answer = self.http.send(call).await.unwrap();
        keep(&mut browser.ours, &answer);
        answer
    }

    /// Leaves for the provider and signs in there; returns the path that it comes back to.
    async fn leave(
        &self,
        browser: &mut Browser,
        route: &str,
        body: &Value,
        person: &str,
    ) -> String {
        let started = self.post(browser, route, body).await;
        assert_eq!(started.status, 200, "{}", started.text());
        let there = Http::new(&*self.provider.issuer);
        let mut next = started.json()["url"].as_str().unwrap().to_owned();
        for _ in 0..10 {
            if let Some(path) = next.strip_prefix(self.stack.origin()) {
                return path.to_owned();
            }
            let path = next.strip_prefix(&self.provider.issuer).unwrap_or(&next);
            let call = Call::get(path)
                .header("cookie", cookies(&browser.theirs))
                .header("x-sign-in-as", person);
            let answer = there.send(call).await.unwrap();
            keep(&mut browser.theirs, &answer);
            next = answer.header("location").unwrap_or_default().to_owned();
            assert!(!next.is_empty(), "{}: {}", answer.status, answer.text());
        }
        panic!("the provider never sent us back");
    }

    /// A whole sign-in: where the browser ends.
    async fn sign_in(&self, browser: &mut Browser, party: &str, person: &str) -> String {
        let body = json!({"provider": party, "callbackURL": "/in", "newUserCallbackURL": "/new"});
        let back = self
            .leave(browser, "/api/auth/sign-in/social", &body, person)
            .await;
        let answer = self.get(browser, &back).await;
        answer.header("location").unwrap().to_owned()
    }

    async fn user(&self, browser: &mut Browser) -> Value {
        let session = self.get(browser, "/api/auth/get-session").await;
        session.json()["user"].clone()
    }

    /// Somebody with a password, whose address stands as it says.
    async fn person(&self, email: &str, verification: &str) {
        let body = json!({"email": email, "password": "planted-password", "name": "P"});
        let path = "/api/auth/sign-up/email";
        let answer = self.post(&mut Browser::default(), path, &body).await;
        assert_eq!(answer.status, 200);
        let client = support::at_database(&self.stack).await;
        let sql = "update ah5.t_users set email_verification = $2 where email = $1";
        client.execute(sql, &[&email, &verification]).await.unwrap();
    }
}

#[tokio::test]
async fn somebody_new_gets_an_account_and_finds_it_again() {
    let pair = Pair::open();
    let mut browser = Browser::default();
    assert_eq!(pair.sign_in(&mut browser, "corp", "ann").await, "/new");
    let user = pair.user(&mut browser).await;
    assert_eq!(
        (&user["email"], &user["name"]),
        (&json!("ann@corp.example"), &json!("Ann"))
    );
    assert_eq!(user["emailVerified"], true);
    // The session is as good as any.
    let token = pair.post(&mut browser, "/api/auth/token", &json!({})).await;
    assert_eq!(token.status, 200);

    let mut other = Browser::default();
    assert_eq!(pair.sign_in(&mut other, "corp", "ann").await, "/in");
    assert_eq!(pair.user(&mut other).await["id"], user["id"]);
    // Issuer and subject make the identity, not what we call the party.
    let mut third = Browser::default();
    assert_eq!(pair.sign_in(&mut third, "plain", "ann").await, "/in");
    assert_eq!(pair.user(&mut third).await["id"], user["id"]);
    let dump = pair.stack.cluster().unwrap().dump("ah5").unwrap();
    assert!(!dump.contains(CLIENT_SECRET) && !dump.contains("\"access_token\""));
}

#[tokio::test]
async fn a_flow_comes_back_once_to_the_browser_that_began_it() {
    let pair = Pair::open();
    let (mut mine, mut theirs) = (Browser::default(), Browser::default());
    let body = json!({"provider": "corp", "callbackURL": "/in"});
    let route = "/api/auth/sign-in/social";
    let back = pair.leave(&mut theirs, route, &body, "ann").await;
    let location = |answer: &Answer| answer.header("location").unwrap().to_owned();

    // A link that somebody else sent me signs me in as nobody.
    let lured = pair.get(&mut mine, &back).await;
    assert_eq!(location(&lured), "/login?error=state_mismatch");
    pair.leave(&mut mine, route, &body, "cas").await;
    let lured = pair.get(&mut mine, &back).await;
    assert_eq!(location(&lured), "/login?error=please_restart_the_process");
    assert!(pair.user(&mut mine).await.is_null());

    let kept = theirs.ours.clone();
    assert_eq!(location(&pair.get(&mut theirs, &back).await), "/in");
    theirs.ours = kept;
    let again = pair.get(&mut theirs, &back).await;
    assert_eq!(location(&again), "/login?error=please_restart_the_process");
    let none = pair
        .get(&mut theirs, "/api/auth/callback/corp?code=x")
        .await;
    assert_eq!(location(&none), "/login?state=state_not_found");
}

#[tokio::test]
async fn an_answer_for_another_issuer_or_with_another_code_is_refused() {
    let pair = Pair::open();
    let body = json!({"provider": "corp", "errorCallbackURL": "/oops?x=1"});
    for (from, to, code) in [
        (
            "iss=",
            "iss=http%3A%2F%2Fevil.example&old=",
            "issuer_mismatch",
        ),
        ("iss=", "old=", "issuer_mismatch"),
        ("code=", "code=x", "invalid_code"),
        ("code=", "error=access_denied&old=", "access_denied"),
        ("code=", "old=", "no_code"),
    ] {
        let mut browser = Browser::default();
        let back = pair
            .leave(&mut browser, "/api/auth/sign-in/social", &body, "ann")
            .await;
        let spoiled = back.replacen(from, to, 1);
        assert_ne!(back, spoiled);
        let answer = pair.get(&mut browser, &spoiled).await;
        let location = answer.header("location").unwrap();
        assert_eq!(location, format!("/oops?x=1&error={code}"), "{to}");
        assert!(pair.user(&mut browser).await.is_null(), "{to}");
    }
}

#[tokio::test]
async fn an_address_opens_an_account_only_if_both_sides_prove_it() {
    let pair = Pair::open();
    let signs_in = async |party: &str, person: &str| {
        pair.sign_in(&mut Browser::default(), party, person).await
    };
    let not_linked = "/login?error=account_not_linked";
    for verification in ["assumed", "pending"] {
        pair.person("ann@corp.example", verification).await;
        assert_eq!(signs_in("corp", "ann").await, not_linked, "{verification}");
        let client = support::at_database(&pair.stack).await;
        let sql = "update ah5.t_users set email = gen_random_uuid() || '@x.example' where email = 'ann@corp.example'";
        client.execute(sql, &[]).await.unwrap();
    }
    pair.person("ann@corp.example", "proven").await;
    assert_eq!(
        signs_in("plain", "ann").await,
        not_linked,
        "not its mailbox"
    );
    pair.person("bob@corp.example", "proven").await;
    assert_eq!(
        signs_in("corp", "bob").await,
        not_linked,
        "it has not checked"
    );
    pair.person("cas@elsewhere.example", "proven").await;
    assert_eq!(signs_in("corp", "cas").await, not_linked, "another domain");
    assert_eq!(signs_in("corp", "ann").await, "/in");
    assert_eq!(signs_in("plain", "ann").await, "/in", "linked from now on");
}

#[tokio::test]
async fn who_is_signed_in_links_an_identity_of_their_own() {
    let pair = Pair::open();
    let email = "dan@example.com";
    pair.person(email, "assumed").await;
    let origin = pair.stack.origin();
    let owner = Owner::sign_in(&pair.http, origin, email, "planted-password")
        .await
        .unwrap();
    let (name, value) = owner.cookie.split_once('=').unwrap();
    let mut browser = Browser::default();
    browser.ours.insert(name.to_owned(), value.to_owned());
    let body = json!({"provider": "plain", "callbackURL": "/settings"});
    let back = pair
        .leave(&mut browser, "/api/auth/link-social", &body, "cas")
        .await;
    // Signed out in between: nothing is linked.
    let mut stranger = Browser {
        ours: browser.ours.clone(),
        ..Browser::default()
    };
    stranger.ours.remove(name);
    let refused = pair.get(&mut stranger, &back).await;
    assert_eq!(
        refused.header("location"),
        Some("/login?error=state_mismatch")
    );

    let back = pair
        .leave(&mut browser, "/api/auth/link-social", &body, "cas")
        .await;
    let linked = pair.get(&mut browser, &back).await;
    assert_eq!(linked.header("location"), Some("/settings"));
    let accounts = pair
        .get(&mut browser, "/api/auth/list-accounts")
        .await
        .json();
    assert_eq!(accounts[1]["providerId"], "plain");
    let mut other = Browser::default();
    assert_eq!(pair.sign_in(&mut other, "plain", "cas").await, "/in");
    assert_eq!(pair.user(&mut other).await["email"], email);

    let unsigned = pair
        .post(&mut Browser::default(), "/api/auth/link-social", &body)
        .await;
    assert_eq!(unsigned.status, 401);
}

#[tokio::test]
async fn nobody_is_sent_to_another_site() {
    let pair = Pair::open();
    for field in ["callbackURL", "errorCallbackURL", "newUserCallbackURL"] {
        for target in ["//evil.example", "https://evil.example/", "/\\evil.example"] {
            let body = json!({"provider": "corp", field: target});
            let mut browser = Browser::default();
            let answer = pair
                .post(&mut browser, "/api/auth/sign-in/social", &body)
                .await;
            assert_eq!(answer.status, 403, "{field} {target}");
        }
    }
    let unknown = json!({"provider": "facebook"});
    let mut browser = Browser::default();
    let answer = pair
        .post(&mut browser, "/api/auth/sign-in/social", &unknown)
        .await;
    assert_eq!(answer.json()["code"], "PROVIDER_NOT_FOUND");
    let offered = pair
        .get(&mut browser, "/api/auth/sign-in/providers")
        .await
        .json();
    assert_eq!(
        offered["providers"],
        json!([
        {"id": "corp", "name": "corp"}, {"id": "plain", "name": "plain"}])
    );

    // Posted by the provider's page: the browser comes again by itself, without the rest.
    let form = Call::post("/api/auth/callback/corp")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("code=a%26b&state=s&next=https://evil.example");
    let posted = pair.http.send(form).await.unwrap();
    assert_eq!(posted.status, 303);
    let location = posted.header("location");
    assert_eq!(location, Some("/api/auth/callback/corp?code=a%26b&state=s"));
}
