use super::*;

/// The least role of a member who may; `None` where anybody may.
const fn role(right: Right) -> Option<Role> {
    match right {
        Right::Agent(role, _) | Right::Session(role) | Right::User(role, _) => Some(role),
        Right::AgentOnly(_) | Right::Open => None,
    }
}

fn names(keep: impl Fn(&Route) -> bool) -> Vec<String> {
    let routes = table().into_iter().filter(|route| keep(route));
    routes.map(|r| format!("{} {}", r.method, r.path)).collect()
}

#[test]
fn agents_reach_nothing_but_what_is_listed_here() {
    let reached = names(|route| matches!(route.right, Right::Agent(..) | Right::AgentOnly(_)));
    assert_eq!(
        reached,
        [
            "POST /v1/agent-permission-requests",
            "GET /v1/capabilities/me",
            "GET /v1/capabilities/services",
            "GET /v1/connections",
            "DELETE /v1/connections/{id}",
            "POST /v1/connections/{id}/revoke",
            "GET /v1/approvals",
            "GET /v1/approvals/{id}",
        ]
    );
}

#[test]
fn what_is_for_agents_only_their_tokens_are_good_for() {
    for route in table() {
        if let Right::AgentOnly(scope) = route.right {
            assert!(
                ah5_contracts::scope::OF_AGENTS.contains(&scope),
                "{}",
                route.path
            );
        }
    }
}

/// An approver decides single calls and changes nothing else.
#[test]
fn only_somebody_who_is_signed_in_decides() {
    let decide = ["/v1/approvals/{id}/approve", "/v1/approvals/{id}/deny"];
    for route in table() {
        let decides = decide.contains(&route.path);
        assert_eq!(decides, route.right == Right::Session(Role::Approver));
    }
}

/// What any member changes is their own, or that something was read.
const OWN: [&str; 9] = [
    "DELETE /v1/tokens/{id}",
    "DELETE /v1/workspaces/current/members/{id}",
    "POST /v1/invitations/{id}/accept",
    "POST /v1/invitations/{id}/decline",
    "POST /v1/notifications/read-all",
    "POST /v1/notifications/{id}/read",
    "POST /v1/tokens",
    "POST /v1/workspaces",
    "PUT /v1/tokens/{id}",
];

#[test]
fn only_the_probes_of_balancers_are_not_counted() {
    let uncounted = names(|route| route.limit.is_none());
    assert_eq!(uncounted, ["GET /health", "GET /v1/health"]);
}

#[test]
fn a_cookie_alone_only_reads_one_thing() {
    let by_cookie = names(|route| route.cookie);
    assert_eq!(by_cookie, ["GET /v1/notifications/stream"]);
}

#[test]
fn what_changes_a_workspace_takes_an_admin() {
    let mut open = names(|route| {
        let least = role(route.right).filter(|role| *role != Role::Approver);
        route.method != "GET" && least.is_some_and(|role| role < Role::Admin)
    });
    open.sort();
    assert_eq!(open, OWN);
}

#[test]
fn a_scope_to_read_changes_nothing() {
    // A dry run is a POST for its body's sake.
    const DRY: [&str; 2] = ["/v1/policies/evaluate", "/v1/policies/{id}/changes"];
    for route in table() {
        if let Right::User(_, scope) | Right::Agent(_, scope) | Right::AgentOnly(scope) =
            route.right
        {
            let reads = route.method == "GET" || DRY.contains(&route.path);
            assert_eq!(scope.is_read_only(), reads, "{}", route.path);
        }
    }
}

#[test]
fn open_routes_that_take_secrets_are_limited() {
    let unlimited = names(|route| {
        let general = matches!(route.limit, None | Some(Bucket::General));
        route.right == Right::Open && general && route.method != "GET"
    });
    // These need a live session's cookie.
    assert_eq!(
        unlimited,
        [
            "POST /api/auth/sign-out",
            "POST /api/auth/update-user",
            "POST /api/auth/revoke-session",
            "POST /api/auth/revoke-sessions",
            "POST /api/auth/revoke-other-sessions",
            "POST /api/auth/passkey/verify-registration",
            "POST /api/auth/passkey/update-passkey",
            "POST /api/auth/passkey/delete-passkey",
        ]
    );
}

#[test]
fn what_a_stolen_session_must_not_do_takes_recent_proof() {
    assert_eq!(
        names(|route| route.recent),
        [
            "GET /api/auth/passkey/generate-register-options",
            "POST /api/auth/passkey/verify-registration",
            "POST /api/auth/passkey/delete-passkey",
            "POST /v1/agents/{id}/trusts",
            "DELETE /v1/agents/{id}/trusts/{trust}",
            "POST /v1/workspace-oauth-apps",
            "DELETE /v1/workspace-oauth-apps/{id}",
            "POST /v1/workspaces/current/transfer",
            "PUT /v1/workspaces/current/vending",
            "POST /v1/workspaces/current/panic/revoke",
        ]
    );
}
