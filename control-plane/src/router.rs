//! Every route of the control plane, in one table: method, path, who may call, how often. Nothing
//! is reachable that isn't in it, and an agent reaches only what says [`Right::Agent`].

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::handler::Handler;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{self, MethodRouter};
use axum::{Json, Router};
use serde_json::json;
use tower_http::catch_panic::CatchPanicLayer;

use ah5_contracts::role::Role;
use ah5_edge::client;

use crate::app::{App, now};
use crate::auth::caller::Caller;
use crate::auth::rate::Bucket;
use crate::edge;
use crate::error::AppError;
use crate::input::{self, MAX_BODY};
use crate::routes::{
    agents, audit, connections, enrolment, exchange, health, policies, session, sessions, sign_up,
    templates, workspace,
};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    /// Members of this role or above, and agents.
    Agent(Role),
    /// Anybody; the route proves its caller itself, if at all.
    Open,
    /// Members of this role or above.
    User(Role),
}

struct Route {
    method: &'static str,
    path: &'static str,
    right: Right,
    limit: Option<Bucket>,
    handler: MethodRouter<App>,
}

// A body is at most `input::MAX_BODY` long, on every route.
#[rustfmt::skip]
fn table() -> Vec<Route> {
    use Right::{Agent, Open, User};
    use Role::{Admin, Viewer};
    vec![
        // Health and keys
        get("/health", Open, health::health),
        get("/v1/health", Open, health::health),
        get("/v1/version", Open, health::version),
        get("/.well-known/jwks.json", Open, exchange::jwks),
        // Signing in
        post("/api/auth/sign-up/email", Open, sign_up::sign_up).limited(Bucket::SignIn),
        post("/api/auth/sign-in/email", Open, session::sign_in).limited(Bucket::SignIn),
        post("/api/auth/sign-out", Open, session::sign_out),
        get("/api/auth/get-session", Open, session::get_session),
        get("/api/auth/list-sessions", Open, sessions::list),
        post("/api/auth/revoke-session", Open, sessions::revoke),
        post("/api/auth/revoke-sessions", Open, sessions::revoke_all),
        post("/api/auth/revoke-other-sessions", Open, sessions::revoke_others),
        post("/api/auth/token", Open, exchange::exchange).limited(Bucket::Exchange),
        post("/api/internal/token/exchange", Open, exchange::exchange).limited(Bucket::Exchange),
        // Agents
        post("/v1/agents/bootstrap", Open, enrolment::bootstrap).limited(Bucket::Bootstrap),
        post("/v1/agents/token", Open, enrolment::token).limited(Bucket::Token),
        get("/v1/agents", User(Viewer), agents::list),
        post("/v1/agents", User(Admin), agents::create),
        get("/v1/agents/{id}", User(Viewer), agents::read),
        put("/v1/agents/{id}", User(Admin), agents::update),
        delete("/v1/agents/{id}", User(Admin), agents::remove),
        post("/v1/agents/{id}/bootstrap-secret", User(Admin), agents::issue_secret),
        post("/v1/agents/{id}/disable", User(Admin), agents::disable),
        post("/v1/agents/{id}/enable", User(Admin), agents::enable),
        // Connections
        get("/v1/connections", Agent(Viewer), connections::list),
        post("/v1/connections/api-key", User(Admin), connections::connect),
        post("/v1/connections/{id}/revoke", User(Admin), connections::revoke),
        // Policies
        get("/v1/policies", User(Viewer), policies::list),
        post("/v1/policies", User(Admin), policies::create),
        post("/v1/policies/evaluate", User(Admin), policies::evaluate::evaluate),
        put("/v1/policies/{id}", User(Admin), policies::update),
        delete("/v1/policies/{id}", User(Admin), policies::remove),
        put("/v1/policies/{id}/allowlists", User(Admin), policies::parts::set_allowlists),
        put("/v1/policies/{id}/rate-limits", User(Admin), policies::parts::set_rate_limits),
        put("/v1/policies/{id}/time-windows", User(Admin), policies::parts::set_time_windows),
        get("/v1/policies/{id}/rules", User(Viewer), policies::parts::rules),
        put("/v1/policies/{id}/rules", User(Admin), policies::parts::set_rules),
        put("/v1/policies/{id}/provider-constraints", User(Admin), policies::parts::set_provider_constraints),
        // Templates of policies
        get("/v1/templates/{name}", User(Viewer), templates::list),
        get("/v1/templates/{name}/config", User(Viewer), templates::config),
        get("/v1/templates/{name}/guards", User(Viewer), templates::guards),
        get("/v1/templates/{name}/rules", User(Viewer), templates::rules),
        // The trail
        get("/v1/audit", User(Viewer), audit::list),
        get("/v1/workspaces/current", User(Viewer), workspace::current),
    ]
}

/// Published clients ask for these without the prefix.
const ALIASED: [&str; 5] = [
    "/v1/agents",
    "/v1/audit",
    "/v1/connections",
    "/v1/policies",
    "/v1/templates",
];

pub fn build(app: &App) -> Router {
    let mut router = Router::new();
    for route in table() {
        let guard = Guard {
            app: app.clone(),
            name: (route.method, route.path),
            right: route.right,
            limit: route.limit,
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
    if let Right::Agent(role) | Right::User(role) = right {
        let caller = authenticate(&app, client, request.headers()).await?;
        admit(&caller, right, role)?;
        request.extensions_mut().insert(caller);
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

fn admit(caller: &Caller, right: Right, role: Role) -> Result<(), AppError> {
    match caller {
        Caller::Agent { .. } if right != Right::Agent(role) => Err(AppError::forbidden(
            "This endpoint is not available to agents",
        )),
        Caller::User { role: held, .. } if *held < role => {
            let needed = role.as_str();
            Err(AppError::forbidden(format!("This needs the role {needed}")))
        }
        _ => Ok(()),
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

// === impl Route ===

impl Route {
    fn limited(self, bucket: Bucket) -> Self {
        Self {
            limit: Some(bucket),
            ..self
        }
    }
}

macro_rules! methods {
    ($($name:ident $method:literal),+) => {$(
        fn $name<H, T>(path: &'static str, right: Right, handler: H) -> Route
        where
            H: Handler<T, App>,
            T: 'static,
        {
            Route {
                method: $method,
                path,
                right,
                limit: None,
                handler: routing::$name(handler),
            }
        }
    )+};
}
methods!(delete "DELETE", get "GET", post "POST", put "PUT");

#[cfg(test)]
mod tests {
    use super::*;

    fn names(keep: impl Fn(&Route) -> bool) -> Vec<String> {
        let routes = table().into_iter().filter(|route| keep(route));
        routes.map(|r| format!("{} {}", r.method, r.path)).collect()
    }

    #[test]
    fn agents_reach_nothing_but_their_connections() {
        let reached = names(|route| matches!(route.right, Right::Agent(_)));
        assert_eq!(reached, ["GET /v1/connections"]);
    }

    #[test]
    fn what_changes_a_workspace_takes_an_admin() {
        for route in table() {
            if let Right::User(role) | Right::Agent(role) = route.right {
                assert_eq!(
                    role == Role::Viewer,
                    route.method == "GET",
                    "{}",
                    route.path
                );
            }
        }
    }

    #[test]
    fn open_routes_that_take_secrets_are_limited() {
        let unlimited = names(|route| {
            route.right == Right::Open && route.limit.is_none() && route.method != "GET"
        });
        // These need a live session's cookie.
        assert_eq!(
            unlimited,
            [
                "POST /api/auth/sign-out",
                "POST /api/auth/revoke-session",
                "POST /api/auth/revoke-sessions",
                "POST /api/auth/revoke-other-sessions",
            ]
        );
    }
}
