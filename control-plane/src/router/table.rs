//! Every route of the control plane, in one table: method, path, who may call, how often. Nothing
//! is reachable that isn't in it, and an agent reaches only what says so.

use axum::handler::Handler;
use axum::routing::{self, MethodRouter};

use ah5_contracts::role::Role;
use ah5_contracts::scope::Scope;

use crate::app::App;
use crate::auth::rate::Bucket;
use crate::openapi::page;
use crate::routes::workspace::{invitations, panic, people, vending};
use crate::routes::{
    activity, agent_token, agents, approvals, audit, capabilities, connections, dashboard,
    enrolment, exchange, health, landing, notification_channels, notifications, oauth_apps,
    passkeys, passwords, permissions, policies, profile, quick_action, reauthenticate, session,
    sessions, sign_up, social, templates, tokens, verification, workspace,
};

/// Who may call a route. A personal token needs the scope as well as its holder's role of today;
/// the session of somebody signed in carries every scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Members of this role or above, and agents.
    Agent(Role, Scope),
    /// Agents and nobody else. People need the scope to be told so.
    AgentOnly(Scope),
    /// Anybody; the route proves its caller itself, if at all.
    Open,
    /// Members of this role or above who are signed in: no token does, whatever its scopes.
    Session(Role),
    /// Members of this role or above.
    User(Role, Scope),
}

pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    pub right: Right,
    /// How often one client address may; the general limit where the row says nothing.
    pub limit: Option<Bucket>,
    /// Whether the person must have proved themselves in the last five minutes.
    pub recent: bool,
    /// Whether the session's cookie will do where no token is shown: for what browsers open without
    /// headers of the page's choice. Only for what changes nothing.
    pub cookie: bool,
    pub handler: MethodRouter<App>,
}

// A body is at most `input::MAX_BODY` long, on every route.
#[rustfmt::skip]
pub fn table() -> Vec<Route> {
    use Right::{Agent, AgentOnly, Open, Session, User};
    use Role::{Admin, Approver, Owner, Viewer};
    use Scope as S;
    vec![
        // Health, keys and what this is
        get("/health", Open, health::health).unlimited(),
        get("/v1/health", Open, health::health).unlimited(),
        get("/v1/version", Open, health::version),
        get("/.well-known/jwks.json", Open, exchange::jwks),
        get("/docs", Open, page::html),
        get("/docs/json", Open, page::json),
        get("/docs/yaml", Open, page::yaml),
        // Where the dashboard will be
        get("/", Open, landing::home),
        get("/login", Open, landing::login),
        get("/dashboard", Open, landing::dashboard),
        get("/dashboard/{page}", Open, landing::dashboard),
        get("/dashboard/{page}/{entry}", Open, landing::dashboard),
        // Signing in
        post("/api/auth/sign-up/email", Open, sign_up::sign_up).limited(Bucket::SignIn),
        post("/api/auth/sign-in/email", Open, session::sign_in).limited(Bucket::SignIn),
        post("/api/auth/sign-out", Open, session::sign_out),
        get("/api/auth/get-session", Open, session::get_session),
        get("/api/auth/sign-in/providers", Open, social::list),
        post("/api/auth/sign-in/social", Open, social::start).limited(Bucket::SignIn),
        get("/api/auth/callback/{provider}", Open, social::callback).limited(Bucket::SignIn),
        post("/api/auth/callback/{provider}", Open, social::posted).limited(Bucket::SignIn),
        get("/api/auth/verify-email", Open, verification::verify).limited(Bucket::SignIn),
        post("/api/auth/send-verification-email", Open, verification::send).limited(Bucket::SignIn),
        post("/api/auth/request-password-reset", Open, passwords::request_reset).limited(Bucket::SignIn),
        get("/api/auth/reset-password/{token}", Open, passwords::reset_page).limited(Bucket::SignIn),
        post("/api/auth/reset-password", Open, passwords::reset).limited(Bucket::SignIn),
        // One's own account: these need a live session's cookie
        post("/api/auth/link-social", Open, social::link).limited(Bucket::SignIn),
        post("/api/auth/change-password", Open, passwords::change).limited(Bucket::SignIn),
        post("/api/auth/verify-password", Open, passwords::verify).limited(Bucket::SignIn),
        post("/api/auth/update-user", Open, profile::update),
        get("/api/auth/list-accounts", Open, profile::accounts),
        get("/api/auth/list-sessions", Open, sessions::list),
        post("/api/auth/revoke-session", Open, sessions::revoke),
        post("/api/auth/revoke-sessions", Open, sessions::revoke_all),
        post("/api/auth/revoke-other-sessions", Open, sessions::revoke_others),
        post("/api/auth/reauthenticate", Open, reauthenticate::reauthenticate).limited(Bucket::SignIn),
        get("/api/auth/reauthenticate/options", Open, reauthenticate::options).limited(Bucket::SignIn),
        // Passkeys
        get("/api/auth/passkey/generate-register-options", Open, passkeys::register::options).recent(),
        post("/api/auth/passkey/verify-registration", Open, passkeys::register::verify).recent(),
        get("/api/auth/passkey/generate-authenticate-options", Open, passkeys::sign_in::options).limited(Bucket::SignIn),
        post("/api/auth/passkey/generate-authenticate-options", Open, passkeys::sign_in::options_for).limited(Bucket::SignIn),
        post("/api/auth/passkey/verify-authentication", Open, passkeys::sign_in::verify).limited(Bucket::SignIn),
        get("/api/auth/passkey/list-user-passkeys", Open, passkeys::list),
        post("/api/auth/passkey/update-passkey", Open, passkeys::rename),
        post("/api/auth/passkey/delete-passkey", Open, passkeys::remove).recent(),
        // A session's tokens for the API
        post("/api/auth/token", Open, exchange::exchange).limited(Bucket::Exchange),
        post("/api/internal/token/exchange", Open, exchange::exchange).limited(Bucket::Exchange),
        // Agents
        post("/v1/agents/bootstrap", Open, enrolment::bootstrap).limited(Bucket::Bootstrap),
        post("/v1/agents/token", Open, agent_token::token).limited(Bucket::Token),
        get("/v1/agents", User(Viewer, S::AgentsRead), agents::list),
        post("/v1/agents", User(Admin, S::AgentsWrite), agents::create),
        get("/v1/agents/{id}", User(Viewer, S::AgentsRead), agents::read),
        put("/v1/agents/{id}", User(Admin, S::AgentsWrite), agents::update),
        delete("/v1/agents/{id}", User(Admin, S::AgentsWrite), agents::remove),
        post("/v1/agents/{id}/bootstrap-secret", User(Admin, S::AgentsWrite), agents::issue_secret),
        post("/v1/agents/{id}/disable", User(Admin, S::AgentsWrite), agents::switch::disable),
        post("/v1/agents/{id}/enable", User(Admin, S::AgentsWrite), agents::switch::enable),
        put("/v1/agents/{id}/owner", User(Admin, S::AgentsWrite), agents::owner::set),
        get("/v1/agents/{id}/trusts", Session(Admin), agents::trusts::list),
        post("/v1/agents/{id}/trusts", Session(Admin), agents::trusts::add).recent(),
        delete("/v1/agents/{id}/trusts/{trust}", Session(Admin), agents::trusts::remove).recent(),
        // What agents ask for, and what they can do
        get("/v1/agent-permission-requests", User(Viewer, S::AgentsRead), permissions::list),
        post("/v1/agent-permission-requests", AgentOnly(S::CapabilitiesRequest), permissions::create),
        delete("/v1/agent-permission-requests/{id}", User(Admin, S::AgentsWrite), permissions::resolve::deny),
        post("/v1/agent-permission-requests/{id}/approve", User(Admin, S::AgentsWrite), permissions::approve::approve),
        patch("/v1/agent-permission-requests/{id}/approve-complete", User(Admin, S::AgentsWrite), permissions::resolve::complete),
        get("/v1/capabilities/me", AgentOnly(S::CapabilitiesRead), capabilities::me),
        get("/v1/capabilities/services", Agent(Viewer, S::CapabilitiesRead), capabilities::services),
        // Connections
        get("/v1/connections", Agent(Viewer, S::ConnectionsRead), connections::list),
        post("/v1/connections/api-key", User(Admin, S::ConnectionsWrite), connections::api_key::connect),
        post("/v1/connections/anthropic-oauth", User(Admin, S::ConnectionsWrite), connections::api_key::no_subscription),
        post("/v1/connections/bot-token", User(Admin, S::ConnectionsWrite), connections::bot_token::connect),
        post("/v1/connections/start", User(Admin, S::ConnectionsWrite), connections::oauth::start),
        get("/api/connections/callback", Open, connections::oauth::callback::forward).limited(Bucket::SignIn),
        get("/v1/connections/callback", Open, connections::oauth::callback::callback).limited(Bucket::SignIn),
        get("/v1/connections/parked", Open, connections::oauth::parked::show).limited(Bucket::SignIn),
        post("/v1/connections/parked", Open, connections::oauth::parked::decide).limited(Bucket::SignIn),
        post("/v1/connections/device/start", User(Admin, S::ConnectionsWrite), connections::oauth::device::start),
        post("/v1/connections/device/poll", Session(Admin), connections::oauth::device::poll),
        get("/v1/oauth/{provider}/start", Open, connections::oauth::navigate::start).limited(Bucket::SignIn),
        post("/v1/oauth/{provider}/start", Open, connections::oauth::navigate::agreed).limited(Bucket::SignIn),
        get("/v1/oauth/{provider}/callback", Open, connections::oauth::callback::callback_of).limited(Bucket::SignIn),
        post("/v1/connections/email", User(Admin, S::ConnectionsWrite), connections::email::connect),
        delete("/v1/connections/{id}", Agent(Admin, S::ConnectionsWrite), connections::revoke),
        put("/v1/connections/{id}/credentials", User(Admin, S::ConnectionsWrite), connections::credentials::update),
        put("/v1/connections/{id}/label", User(Admin, S::ConnectionsWrite), connections::label::set),
        post("/v1/connections/{id}/lookup", User(Admin, S::ConnectionsWrite), connections::lookup::lookup),
        post("/v1/connections/{id}/reauth", User(Admin, S::ConnectionsWrite), connections::reauth::reauth),
        post("/v1/connections/{id}/revoke", Agent(Admin, S::ConnectionsWrite), connections::revoke),
        post("/v1/connections/{id}/test", User(Admin, S::ConnectionsWrite), connections::test::test),
        // OAuth clients of the workspace's own
        get("/v1/workspace-oauth-apps", User(Viewer, S::ConnectionsRead), oauth_apps::list),
        post("/v1/workspace-oauth-apps", Session(Admin), oauth_apps::save).recent(),
        delete("/v1/workspace-oauth-apps/{id}", Session(Admin), oauth_apps::remove).recent(),
        // Policies
        get("/v1/policies", User(Viewer, S::PoliciesRead), policies::list),
        post("/v1/policies", User(Admin, S::PoliciesWrite), policies::create),
        post("/v1/policies/evaluate", User(Admin, S::PoliciesRead), policies::evaluate::evaluate),
        put("/v1/policies/{id}", User(Admin, S::PoliciesWrite), policies::update),
        delete("/v1/policies/{id}", User(Admin, S::PoliciesWrite), policies::remove),
        post("/v1/policies/{id}/changes", User(Admin, S::PoliciesRead), policies::changes::changes),
        put("/v1/policies/{id}/allowlists", User(Admin, S::PoliciesWrite), policies::parts::set_allowlists),
        put("/v1/policies/{id}/rate-limits", User(Admin, S::PoliciesWrite), policies::parts::set_rate_limits),
        put("/v1/policies/{id}/time-windows", User(Admin, S::PoliciesWrite), policies::parts::set_time_windows),
        get("/v1/policies/{id}/rules", User(Viewer, S::PoliciesRead), policies::parts::rules),
        put("/v1/policies/{id}/rules", User(Admin, S::PoliciesWrite), policies::parts::set_rules),
        put("/v1/policies/{id}/provider-constraints", User(Admin, S::PoliciesWrite), policies::parts::set_provider_constraints),
        // Approvals
        get("/v1/approvals", Agent(Viewer, S::ApprovalsRead), approvals::list),
        get("/v1/approvals/{id}", Agent(Viewer, S::ApprovalsRead), approvals::read),
        post("/v1/approvals/{id}/approve", Session(Approver), approvals::approve),
        post("/v1/approvals/{id}/deny", Session(Approver), approvals::deny),
        get("/v1/approvals/{id}/rule", Session(Admin), approvals::rule::show),
        post("/v1/approvals/{id}/rule", Session(Admin), approvals::rule::save),
        // Links of other makes, which decide nothing here
        get("/api/quick-action/{token}/approve", Open, quick_action::approve_or_deny),
        get("/api/quick-action/{token}/deny", Open, quick_action::approve_or_deny),
        // Where people are told of things
        get("/v1/notification-channels", User(Viewer, S::NotificationsRead), notification_channels::list),
        post("/v1/notification-channels", User(Admin, S::NotificationsWrite), notification_channels::put),
        post("/v1/notification-channels/telegram/detect-chats", User(Admin, S::NotificationsWrite), notification_channels::detect::chats),
        delete("/v1/notification-channels/{id}", User(Admin, S::NotificationsWrite), notification_channels::remove),
        patch("/v1/notification-channels/{id}/enabled", User(Admin, S::NotificationsWrite), notification_channels::set_enabled),
        post("/v1/notification-channels/{id}/test", User(Admin, S::NotificationsWrite), notification_channels::test::test),
        post("/v1/notification-channels/{id}/verify", User(Admin, S::NotificationsWrite), notification_channels::code::verify),
        // Templates of policies
        get("/v1/templates/{name}", User(Viewer, S::TemplatesRead), templates::list),
        get("/v1/templates/{name}/config", User(Viewer, S::TemplatesRead), templates::config),
        get("/v1/templates/{name}/guards", User(Viewer, S::TemplatesRead), templates::guards),
        get("/v1/templates/{name}/rules", User(Viewer, S::TemplatesRead), templates::rules),
        // The trail
        get("/v1/audit", User(Viewer, S::AuditRead), audit::list),
        get("/v1/audit/export", User(Viewer, S::AuditRead), audit::export::export),
        get("/v1/activity", User(Viewer, S::ActivityRead), activity::list),
        get("/v1/dashboard/summary", User(Viewer, S::DashboardRead), dashboard::summary),
        // The workspace and its people
        get("/v1/workspaces", User(Viewer, S::WorkspacesRead), workspace::list),
        post("/v1/workspaces", Session(Viewer), workspace::create),
        get("/v1/workspaces/current", User(Viewer, S::WorkspacesRead), workspace::current),
        put("/v1/workspaces/current", User(Owner, S::WorkspacesWrite), workspace::rename),
        post("/v1/workspaces/current/transfer", Session(Owner), workspace::transfer).recent(),
        get("/v1/workspaces/current/members", User(Viewer, S::WorkspacesRead), people::list),
        put("/v1/workspaces/current/members/{id}", Session(Admin), people::set_role),
        delete("/v1/workspaces/current/members/{id}", Session(Viewer), people::remove),
        get("/v1/workspaces/current/invitations", User(Admin, S::WorkspacesRead), invitations::list),
        post("/v1/workspaces/current/invitations", Session(Admin), invitations::create),
        delete("/v1/workspaces/current/invitations/{id}", Session(Admin), invitations::withdraw),
        get("/v1/workspaces/current/vending", User(Admin, S::WorkspacesRead), vending::get),
        put("/v1/workspaces/current/vending", Session(Owner), vending::set).recent(),
        get("/v1/workspaces/current/panic", User(Admin, S::WorkspacesRead), panic::look),
        post("/v1/workspaces/current/panic", User(Admin, S::Panic), panic::stop),
        post("/v1/workspaces/current/panic/revoke", Session(Owner), panic::revoke).recent(),
        get("/v1/invitations", Session(Viewer), invitations::mine),
        post("/v1/invitations/{id}/accept", Session(Viewer), invitations::accept),
        post("/v1/invitations/{id}/decline", Session(Viewer), invitations::decline),
        // What people are told
        get("/v1/notifications", User(Viewer, S::NotificationsRead), notifications::list),
        get("/v1/notifications/unread-count", User(Viewer, S::NotificationsRead), notifications::unread_count),
        get("/v1/notifications/stream", User(Viewer, S::NotificationsRead), notifications::stream::open).or_cookie(),
        post("/v1/notifications/read-all", User(Viewer, S::NotificationsWrite), notifications::read_all),
        post("/v1/notifications/{id}/read", User(Viewer, S::NotificationsWrite), notifications::read),
        // Personal access tokens
        get("/v1/tokens", User(Viewer, S::TokensRead), tokens::list),
        post("/v1/tokens", Session(Viewer), tokens::create),
        put("/v1/tokens/{id}", User(Viewer, S::TokensWrite), tokens::rename),
        delete("/v1/tokens/{id}", User(Viewer, S::TokensWrite), tokens::revoke),
    ]
}

// === impl Route ===

impl Route {
    fn limited(self, bucket: Bucket) -> Self {
        Self {
            limit: Some(bucket),
            ..self
        }
    }

    /// Only for people who have proved themselves in the last five minutes.
    fn recent(self) -> Self {
        Self {
            recent: true,
            ..self
        }
    }

    fn or_cookie(self) -> Self {
        Self {
            cookie: true,
            ..self
        }
    }

    fn unlimited(self) -> Self {
        Self {
            limit: None,
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
                limit: Some(Bucket::General),
                recent: false,
                cookie: false,
                handler: routing::$name(handler),
            }
        }
    )+};
}
methods!(delete "DELETE", get "GET", patch "PATCH", post "POST", put "PUT");

#[cfg(test)]
mod tests;
