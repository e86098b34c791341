//! The table of routes as JSON: what is reachable, and by whom. `control-plane routes` prints it,
//! and tests hold the running server against it.

use serde_json::{Value, json};

use super::alias;
use super::table::{Right, Route, table};

/// One object a route, in the table's order.
pub fn listing() -> Value {
    table().iter().map(listed).collect()
}

fn listed(route: &Route) -> Value {
    let mut json = json!({"method": route.method, "path": route.path});
    if let Some(alias) = alias(route.path) {
        json["alias"] = alias.into();
    }
    let (right, role, scope) = match route.right {
        Right::Agent(role, scope) => ("agent", Some(role), Some(scope)),
        Right::AgentOnly(scope) => ("agent-only", None, Some(scope)),
        Right::Open => ("open", None, None),
        Right::Session(role) => ("session", Some(role), None),
        Right::User(role, scope) => ("user", Some(role), Some(scope)),
    };
    json["right"] = right.into();
    if route.recent {
        json["recent"] = true.into();
    }
    if route.cookie {
        json["cookie"] = true.into();
    }
    if let Some(role) = role {
        json["role"] = role.as_str().into();
    }
    if let Some(scope) = scope {
        json["scope"] = scope.as_str().into();
    }
    json
}
