//! Every route against everybody who might call it. What must happen is worked out from the table
//! of routes, so a route that is added is tested by being there.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod callers;
mod foreign;
#[path = "../support/mod.rs"]
mod support;
mod table;

use std::collections::BTreeMap;

use ah5_testkit::client::{Answer, Call};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::BodyExt as _;

use callers::{Caller, Verdict};
use support::{World, error};
use table::{Right, Route};

/// Nothing has this id.
const NOTHING: &str = "00000000-0000-4000-8000-000000000000";
const AT_ONCE: usize = 8;

#[tokio::test]
async fn every_route_treats_every_caller_as_the_table_says() {
    let world = World::open().await;
    let (routes, callers) = (table::routes(), callers::all(&world).await);
    let asked = routes
        .iter()
        .flat_map(|route| callers.iter().map(move |caller| (route, caller)));
    let asked = stream::iter(asked).map(|(route, caller)| ask(&world, route, caller));
    let answers: Vec<_> = asked.buffered(AT_ONCE).collect().await;
    let mut counts = BTreeMap::new();
    let mut wrong = Vec::new();
    for (route, caller, answer) in &answers {
        let verdict = caller.verdict(route);
        let anonymous = || {
            let same = |(r, c, _): &&(&Route, &Caller, Answer)| {
                r.name() == route.name() && c.name == "no credential"
            };
            answers
                .iter()
                .find(same)
                .map(|(_, _, answer)| answer.status)
        };
        let right = match verdict {
            Verdict::Alike => Some(answer.status) == anonymous() && !answer.contains("Route "),
            Verdict::Forbidden => answer.status == 403 && is_the_guards(answer),
            Verdict::Own => true,
            Verdict::Passes => answer.status != 401 && !is_the_guards(answer),
            Verdict::Unknown => answer.status == 401,
        };
        *counts.entry(format!("{verdict:?}")).or_insert(0) += 1;
        if !right || answer.status.is_server_error() {
            let (status, text) = (answer.status, answer.text());
            wrong.push(format!(
                "{} by {}: {status} {text}",
                route.name(),
                caller.name
            ));
        }
    }
    println!(
        "{} routes x {} callers: {counts:?}",
        routes.len(),
        callers.len()
    );
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(counts.len(), 5);
}

#[test]
fn what_asks_for_no_credential_is_listed_here() {
    let routes = table::routes();
    let open = routes.iter().filter(|route| route.right == Right::Open);
    let mut open: Vec<String> = open.map(Route::name).collect();
    open.sort();
    assert_eq!(open, OPEN);
}

async fn ask<'a>(
    world: &World,
    route: &'a Route,
    caller: &'a Caller,
) -> (&'a Route, &'a Caller, Answer) {
    let call = caller.sign(route.call(NOTHING));
    let answer = match route.path.ends_with("/stream") {
        true => head(world, call).await,
        false => world.send(call).await,
    };
    (route, caller, answer)
}

/// A stream has no end that could be waited for.
async fn head(world: &World, call: Call) -> Answer {
    let (head, body) = world.http.open(call).await.unwrap().into_parts();
    let body = match head.status.is_success() {
        true => Bytes::new(),
        false => body.collect().await.unwrap().to_bytes(),
    };
    Answer {
        status: head.status,
        headers: head.headers,
        body,
    }
}

/// Whether the router refused, before any handler.
fn is_the_guards(answer: &Answer) -> bool {
    let refusals = [
        "Missing required scope: ",
        "This endpoint is not available to agents",
        "This endpoint is only available to agents",
        "This needs the role ",
        "This takes somebody who is signed in",
    ];
    let text = error(answer);
    answer.status == 403 && refusals.iter().any(|refusal| text.starts_with(refusal))
}

/// Each proves its caller itself, or has nothing to hide.
const OPEN: &[&str] = &[
    "GET /",
    "GET /.well-known/jwks.json",
    "GET /api/auth/callback/{provider}",
    "GET /api/auth/get-session",
    "GET /api/auth/list-accounts",
    "GET /api/auth/list-sessions",
    "GET /api/auth/passkey/generate-authenticate-options",
    "GET /api/auth/passkey/generate-register-options",
    "GET /api/auth/passkey/list-user-passkeys",
    "GET /api/auth/reauthenticate/options",
    "GET /api/auth/reset-password/{token}",
    "GET /api/auth/sign-in/providers",
    "GET /api/auth/verify-email",
    "GET /api/connections/callback",
    "GET /api/quick-action/{token}/approve",
    "GET /api/quick-action/{token}/deny",
    "GET /connections/callback",
    "GET /connections/parked",
    "GET /dashboard",
    "GET /dashboard/{page}",
    "GET /dashboard/{page}/{entry}",
    "GET /docs",
    "GET /docs/json",
    "GET /docs/yaml",
    "GET /health",
    "GET /login",
    "GET /v1/connections/callback",
    "GET /v1/connections/parked",
    "GET /v1/health",
    "GET /v1/oauth/{provider}/callback",
    "GET /v1/oauth/{provider}/start",
    "GET /v1/version",
    "POST /agents/bootstrap",
    "POST /agents/token",
    "POST /api/auth/callback/{provider}",
    "POST /api/auth/change-password",
    "POST /api/auth/link-social",
    "POST /api/auth/passkey/delete-passkey",
    "POST /api/auth/passkey/generate-authenticate-options",
    "POST /api/auth/passkey/update-passkey",
    "POST /api/auth/passkey/verify-authentication",
    "POST /api/auth/passkey/verify-registration",
    "POST /api/auth/reauthenticate",
    "POST /api/auth/request-password-reset",
    "POST /api/auth/reset-password",
    "POST /api/auth/revoke-other-sessions",
    "POST /api/auth/revoke-session",
    "POST /api/auth/revoke-sessions",
    "POST /api/auth/send-verification-email",
    "POST /api/auth/sign-in/email",
    "POST /api/auth/sign-in/social",
    "POST /api/auth/sign-out",
    "POST /api/auth/sign-up/email",
    "POST /api/auth/token",
    "POST /api/auth/update-user",
    "POST /api/auth/verify-password",
    "POST /api/internal/token/exchange",
    "POST /connections/parked",
    "POST /v1/agents/bootstrap",
    "POST /v1/agents/token",
    "POST /v1/connections/parked",
    "POST /v1/oauth/{provider}/start",
];
