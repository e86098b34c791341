//! Builds the router from the table of routes: each behind a guard that proves the caller, counts
//! the call and holds it against the route's right, before the handler sees anything.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::json;
use tower_http::catch_panic::CatchPanicLayer;

use ah5_contracts::role::Role;
use ah5_contracts::scope::Scope;
use ah5_edge::client;

use crate::app::{App, now};
use crate::auth::caller::{Caller, Via, for_agents};
use crate::auth::rate::Bucket;
use crate::auth::recent::{self, Recent};
use crate::edge;
use crate::error::AppError;
use crate::input::{self, MAX_BODY};

use table::Right;

pub mod table;

/// Published clients ask for these without the prefix.
const ALIASED: [&str; 7] = [
    "/v1/agent-permission-requests",
    "/v1/agents",
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
        };
        let handler = route
            .handler
            .layer(middleware::from_fn_with_state(guard, guarded));
        let aliased = ALIASED
            .iter()
            .any(|p| route.path == *p || route.path.starts_with(&format!("{p}/")));
        if let Some(alias) = route.path.strip_prefix("/v1").filter(|_| aliased) {
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
        .layer(middleware::from_fn_with_state(app.clone(), edge::dress))
        .layer(middleware::from_fn(edge::measure))
        .with_state(app.clone())
}

#[derive(Clone)]
struct Guard {
    app: App,
    name: (&'static str, &'static str),
    right: Right,
    limit: Option<Bucket>,
    recent: bool,
}

async fn guarded(
    State(guard): State<Guard>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Result<Response, AppError> {
    let Guard { app, right, .. } = guard;
    let client = client::address(peer, request.headers(), &app.config.trusted_proxies);
    let quota = match guard.limit {
        Some(bucket) => Some(app.limits.count(bucket, client, now())?),
        None => None,
    };
    if right != Right::Open {
        let caller = authenticate(&app, client, request.headers()).await?;
        tracing::debug!(credential = %caller.credential(), "authenticated");
        admit(&caller, right)?;
        if guard.recent {
            recent::check(&app, &caller).await?;
        }
        request.extensions_mut().insert(caller);
    } else if guard.recent {
        match Recent::of_cookie(&app, request.headers()).await {
            Ok(recent) => drop(request.extensions_mut().insert(recent)),
            Err(refusal) => return Ok(refusal.into_response()),
        }
    }
    if declared_length(request.headers()) > MAX_BODY {
        return Err(input::too_large());
    }
    request.extensions_mut().insert(Client(client));
    let mut response = next.run(request).await;
    if let Some(quota) = quota {
        quota.write(response.headers_mut());
    }
    let ((method, path), status) = (guard.name, response.status().as_u16());
    tracing::debug!(method, path, status, %client, "answered");
    Ok(response)
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

async fn authenticate(app: &App, client: IpAddr, headers: &HeaderMap) -> Result<Caller, AppError> {
    let caller = Caller::authenticate(app, headers).await;
    if caller
        .as_ref()
        .is_err_and(|e| e.status() == StatusCode::UNAUTHORIZED)
    {
        app.limits.count(Bucket::FailedAuth, client, now())?;
    }
    caller
}

// Only callers we know learn which paths exist.
async fn unknown(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    method: Method,
    request: Request,
) -> Result<Response, AppError> {
    let client = client::address(peer, request.headers(), &app.config.trusted_proxies);
    authenticate(&app, client, request.headers()).await?;
    let message = format!("Route {method}:{} not found", request.uri().path());
    let body = json!({"message": message, "error": "Not Found", "statusCode": 404});
    Ok((StatusCode::NOT_FOUND, Json(body)).into_response())
}
