//! Builds the router from the table of routes: each behind a guard that proves the caller, counts
//! the call and holds it against the route's right, before the handler sees anything.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::json;
use tower_http::catch_panic::CatchPanicLayer;

use ah5_contracts::role::Role;
use ah5_contracts::scope::Scope;
use ah5_edge::client;
use ah5_edge::credential::{NoCredential, presented};

use crate::app::{App, now};
use crate::auth::caller::{Caller, Head, Via, for_agents};
use crate::auth::rate::{Bucket, Quota};
use crate::auth::recent::{self, Recent};
use crate::edge;
use crate::error::AppError;
use crate::gates;
use crate::input::{self, MAX_BODY};

use table::Right;

pub mod listing;
pub mod table;

/// Published clients ask for these without the prefix.
const ALIASED: [&str; 8] = [
    "/v1/agent-permission-requests",
    "/v1/agents",
    "/v1/approvals",
    "/v1/audit",
    "/v1/capabilities",
    "/v1/connections",
    "/v1/policies",
    "/v1/templates",
];

pub fn build(app: &App) -> Router {
    let mut router = Router::new();
    for route in table::table() {
        let guard = Guard {
            app: app.clone(),
            name: (route.method, route.path),
            right: route.right,
            limit: route.limit,
            recent: route.recent,
            cookie: route.cookie,
        };
        let handler = route
            .handler
            .layer(middleware::from_fn_with_state(guard, guarded));
        if let Some(alias) = alias(route.path) {
            router = router.route(alias, handler.clone());
        }
        router = router.route(route.path, handler);
    }
    router
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        // The last layer is the outermost: also what went wrong is dressed and measured.
        .layer(CatchPanicLayer::custom(edge::panicked))
        .layer(middleware::from_fn(edge::limit_time))
        .layer(middleware::from_fn_with_state(app.clone(), gates::pass))
        .layer(middleware::from_fn_with_state(app.clone(), edge::dress))
        .layer(middleware::from_fn(edge::measure))
        .layer(middleware::from_fn(edge::request_id::name))
        .with_state(app.clone())
}

/// Where else the route is reachable.
pub fn alias(path: &'static str) -> Option<&'static str> {
    let below = |prefix: &&str| {
        path.strip_prefix(*prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let aliased = ALIASED.iter().any(below);
    path.strip_prefix("/v1").filter(|_| aliased)
}

#[derive(Clone)]
struct Guard {
    app: App,
    name: (&'static str, &'static str),
    right: Right,
    limit: Option<Bucket>,
    recent: bool,
    cookie: bool,
}

async fn guarded(
    State(guard): State<Guard>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let app = &guard.app;
    let client = client::address(peer, request.headers(), &app.config.trusted_proxies);
    let counted = count(app, guard.limit, peer, client, request.headers());
    let (quota, answered) = match counted {
        Ok(quota) => (quota, admitted(&guard, client, request, next).await),
        Err(refusal) => (None, Err(refusal)),
    };
    let mut response = answered.unwrap_or_else(IntoResponse::into_response);
    write_quota(&mut response, quota);
    let ((method, path), status) = (guard.name, response.status().as_u16());
    tracing::debug!(method, path, status, %client, "answered");
    response
}

async fn admitted(
    guard: &Guard,
    client: IpAddr,
    mut request: Request,
    next: Next,
) -> Result<Response, AppError> {
    if guard.limit.is_some() {
        // Only the probes are answered before the database is known to be ours.
        guard.app.keys()?;
    }
    if guard.right != Right::Open {
        let cookie = guard.cookie.then(|| request.uri());
        let caller = authenticate(&guard.app, client, head_of(&request), cookie).await?;
        tracing::debug!(credential = %caller.credential(), "authenticated");
        admit(&caller, guard.right)?;
        if guard.recent {
            recent::check(&guard.app, &caller).await?;
        }
        request.extensions_mut().insert(caller);
    } else if guard.recent {
        match Recent::of_cookie(&guard.app, request.headers()).await {
            Ok(recent) => drop(request.extensions_mut().insert(recent)),
            Err(refusal) => return Ok(refusal.into_response()),
        }
    }
    if declared_length(request.headers()) > MAX_BODY {
        return Err(input::too_large());
    }
    request.extensions_mut().insert(Client(client));
    Ok(next.run(request).await)
}

/// Before anything is known of the caller. Whoever sits on this very machine and comes straight to
/// us isn't held to the general limit; through a proxy everybody is.
fn count(
    app: &App,
    limit: Option<Bucket>,
    peer: SocketAddr,
    client: IpAddr,
    headers: &HeaderMap,
) -> Result<Option<Quota>, AppError> {
    let Some(bucket) = limit else {
        return Ok(None);
    };
    if bucket == Bucket::General && is_local(peer, headers) {
        return Ok(None);
    }
    app.limits.count(bucket, client, now()).map(Some)
}

fn is_local(peer: SocketAddr, headers: &HeaderMap) -> bool {
    const OF_PROXIES: [&str; 4] = ["forwarded", "via", "x-forwarded-for", "x-real-ip"];
    peer.ip().to_canonical().is_loopback() && !OF_PROXIES.iter().any(|it| headers.contains_key(*it))
}

fn admit(caller: &Caller, right: Right) -> Result<(), AppError> {
    match (caller, right) {
        (_, Right::Open) | (Caller::Agent { .. }, Right::Agent(..) | Right::AgentOnly(_)) => Ok(()),
        (Caller::User { via, .. }, Right::AgentOnly(scope)) => {
            has_scope(via, scope)?;
            Err(for_agents())
        }
        (Caller::Agent { .. }, Right::Session(_) | Right::User(..)) => Err(AppError::forbidden(
            "This endpoint is not available to agents",
        )),
        (Caller::User { role, via, .. }, Right::Session(needed)) => match via {
            Via::Personal { .. } => Err(AppError::forbidden(
                "This takes somebody who is signed in; a personal access token is not enough",
            )),
            Via::Session(_) => has_role(*role, needed),
        },
        (
            Caller::User { role, via, .. },
            Right::Agent(needed, scope) | Right::User(needed, scope),
        ) => {
            has_scope(via, scope)?;
            has_role(*role, needed)
        }
    }
}

fn has_role(held: Role, needed: Role) -> Result<(), AppError> {
    if held >= needed {
        return Ok(());
    }
    let needed = needed.as_str();
    Err(AppError::forbidden(format!("This needs the role {needed}")))
}

fn has_scope(via: &Via, needed: Scope) -> Result<(), AppError> {
    match via {
        Via::Personal { scopes, .. } if !scopes.contains(needed) => Err(AppError::forbidden(
            format!("Missing required scope: {needed}"),
        )),
        Via::Personal { .. } | Via::Session(_) => Ok(()),
    }
}

/// Where the request comes from, as far as we can know.
#[derive(Clone, Copy)]
pub struct Client(pub IpAddr);

fn declared_length(headers: &HeaderMap) -> usize {
    let length = headers.get(header::CONTENT_LENGTH);
    length
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .unwrap_or(0)
}

/// By the session's cookie where one will do, as `cookie` says by the request's target, and nothing
/// else is shown.
async fn authenticate(
    app: &App,
    client: IpAddr,
    head: Head<'_>,
    cookie: Option<&Uri>,
) -> Result<Caller, AppError> {
    app.keys()?;
    // Of whoever guesses the next guess isn't even looked at.
    app.limits.check(Bucket::FailedAuth, client, now())?;
    let cookie = cookie.filter(|_| presented(head.headers) == Err(NoCredential::Missing));
    let caller = match cookie {
        Some(uri) => Caller::of_cookie(app, head.headers, uri).await,
        None => Caller::authenticate(app, head).await,
    };
    if let Err(error) = &caller
        && error.status() == StatusCode::UNAUTHORIZED
        && !error.asks_for_nonce()
    {
        app.limits.count(Bucket::FailedAuth, client, now())?;
    }
    caller
}

fn head_of(request: &Request) -> Head<'_> {
    Head {
        method: request.method(),
        path: request.uri().path(),
        headers: request.headers(),
    }
}

// Only callers we know learn which paths exist.
async fn unknown(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let headers = request.headers();
    let client = client::address(peer, headers, &app.config.trusted_proxies);
    let quota = match count(&app, Some(Bucket::General), peer, client, headers) {
        Ok(quota) => quota,
        Err(refusal) => return refusal.into_response(),
    };
    let known = authenticate(&app, client, head_of(&request), None).await;
    let mut response = known.map_or_else(IntoResponse::into_response, |_| not_found(&request));
    write_quota(&mut response, quota);
    response
}

fn not_found(request: &Request) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    let message = format!("Route {method}:{path} not found");
    let body = json!({"message": message, "error": "Not Found", "statusCode": 404});
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}

/// Unless another one was exceeded, which is there already.
fn write_quota(response: &mut Response, quota: Option<Quota>) {
    if let Some(quota) = quota.filter(|_| response.status() != StatusCode::TOO_MANY_REQUESTS) {
        quota.write(response.headers_mut());
    }
}
