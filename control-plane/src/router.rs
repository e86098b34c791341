//! Every route of the control plane, in one table: method, path, who may call, how often. Nothing
//! is reachable that isn't in it, and an agent reaches only what says [`Right::Agent`].

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use axum::{Json, Router};
use serde_json::json;

use ah5_contracts::role::Role;

use crate::app::{App, now};
use crate::auth::caller::Caller;
use crate::auth::rate::{Bucket, client_address};
use crate::edge;
use crate::error::AppError;
use crate::routes::{agents, audit, connections, enrolment, exchange, health, policies, session};

/// Who may call a route.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Right {
    /// Members of this role or above, and agents.
    Agent(Role),
    /// Anybody; the route proves its caller itself, if at all.
    Open,
    /// Members of this role or above.
    User(Role),
}

struct Route {
    path: &'static str,
    right: Right,
    limit: Option<Bucket>,
    handler: MethodRouter<App>,
}

fn table() -> Vec<Route> {
    use Right::{Agent, Open, User};
    use Role::{Admin, Viewer};
    let route = |path, right, handler| Route {
        path,
        right,
        limit: None,
        handler,
    };
    let limited = |path, limit, handler| Route {
        path,
        right: Open,
        limit: Some(limit),
        handler,
    };
    vec![
        // Health and keys
        route("/health", Open, get(health::health)),
        route("/v1/health", Open, get(health::health)),
        route("/v1/version", Open, get(health::version)),
        route("/.well-known/jwks.json", Open, get(exchange::jwks)),
        // Sign-in
        limited(
            "/api/auth/sign-up/email",
            Bucket::SignIn,
            post(session::sign_up),
        ),
        limited(
            "/api/auth/sign-in/email",
            Bucket::SignIn,
            post(session::sign_in),
        ),
        route("/api/auth/sign-out", Open, post(session::sign_out)),
        route("/api/auth/get-session", Open, get(session::get_session)),
        limited("/api/auth/token", Bucket::Token, post(exchange::exchange)),
        limited(
            "/api/internal/token/exchange",
            Bucket::Token,
            post(exchange::exchange),
        ),
        // Agents
        limited(
            "/v1/agents/bootstrap",
            Bucket::Bootstrap,
            post(enrolment::bootstrap),
        ),
        limited("/v1/agents/token", Bucket::Token, post(enrolment::token)),
        route("/v1/agents", User(Viewer), get(agents::list)),
        route("/v1/agents", User(Admin), post(agents::create)),
        route("/v1/agents/{id}", User(Viewer), get(agents::read)),
        route("/v1/agents/{id}", User(Admin), delete(agents::remove)),
        route(
            "/v1/agents/{id}/bootstrap-secret",
            User(Admin),
            post(agents::issue_secret),
        ),
        route(
            "/v1/agents/{id}/disable",
            User(Admin),
            post(agents::disable),
        ),
        route("/v1/agents/{id}/enable", User(Admin), post(agents::enable)),
        // Connections
        route("/v1/connections", Agent(Viewer), get(connections::list)),
        route(
            "/v1/connections/api-key",
            User(Admin),
            post(connections::connect),
        ),
        route(
            "/v1/connections/{id}/revoke",
            User(Admin),
            post(connections::revoke),
        ),
        // Policies
        route("/v1/policies", User(Viewer), get(policies::list)),
        route("/v1/policies", User(Admin), post(policies::create)),
        route("/v1/policies/{id}", User(Admin), put(policies::update)),
        route("/v1/policies/{id}", User(Admin), delete(policies::remove)),
        route(
            "/v1/policies/{id}/allowlists",
            User(Admin),
            put(policies::set_allowlists),
        ),
        // The trail
        route("/v1/audit", User(Viewer), get(audit::list)),
        route(
            "/v1/workspaces/current",
            User(Viewer),
            get(session::workspace),
        ),
    ]
}

/// Published clients ask for these without the prefix.
const ALIASED: [&str; 4] = ["/v1/agents", "/v1/connections", "/v1/policies", "/v1/audit"];

pub fn build(app: &App) -> Router {
    let mut router = Router::new();
    for route in table() {
        let guard = (app.clone(), route.right, route.limit);
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
        .layer(middleware::from_fn_with_state(app.clone(), edge::dress))
        .with_state(app.clone())
}

type Guard = (App, Right, Option<Bucket>);

async fn guarded(
    State((app, right, limit)): State<Guard>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Result<Response, AppError> {
    if let Some(bucket) = limit {
        app.limits
            .count(bucket, client_address(peer, request.headers()), now())?;
    }
    if let Right::Agent(role) | Right::User(role) = right {
        let caller = authenticate(&app, peer, request.headers()).await?;
        match &caller {
            Caller::Agent { .. } if right != Right::Agent(role) => {
                return Err(AppError::forbidden(
                    "This endpoint is not available to agents",
                ));
            }
            Caller::User { role: held, .. } if *held < role => {
                return Err(AppError::forbidden(format!(
                    "This needs the role {}",
                    role.as_str()
                )));
            }
            _ => {}
        }
        request.extensions_mut().insert(caller);
    }
    Ok(next.run(request).await)
}

async fn authenticate(
    app: &App,
    peer: SocketAddr,
    headers: &HeaderMap,
) -> Result<Caller, AppError> {
    let caller = Caller::authenticate(app, headers).await;
    if caller.is_err() {
        app.limits
            .count(Bucket::FailedAuth, client_address(peer, headers), now())?;
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
    authenticate(&app, peer, request.headers()).await?;
    let message = format!("Route {method}:{} not found", request.uri().path());
    let body = json!({"message": message, "error": "Not Found", "statusCode": 404});
    Ok((StatusCode::NOT_FOUND, Json(body)).into_response())
}
