//! The table of routes, as the built server itself tells it.

use std::process::Command;

use ah5_contracts::role::Role;
use http::Method;
use serde_json::{Value, json};

use ah5_testkit::client::Call;

pub struct Route {
    pub method: Method,
    pub path: String,
    pub alias: Option<String>,
    pub right: Right,
    /// The session's cookie will do.
    pub cookie: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Right {
    Agent(Role, String),
    AgentOnly,
    Open,
    Session(Role),
    User(Role, String),
}

/// Every route, aliases as routes of their own.
pub fn routes() -> Vec<Route> {
    let output = Command::new(env!("CARGO_BIN_EXE_control-plane"))
        .arg("routes")
        .output()
        .unwrap();
    let table: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let mut routes: Vec<Route> = table.iter().map(Route::of).collect();
    let aliases = routes.iter().filter_map(|route| {
        Some(Route {
            method: route.method.clone(),
            path: route.alias.clone()?,
            alias: None,
            right: route.right.clone(),
            cookie: route.cookie,
        })
    });
    let aliases: Vec<Route> = aliases.collect();
    assert!(!aliases.is_empty() && routes.len() > 60);
    routes.extend(aliases);
    routes
}

// === impl Route ===

impl Route {
    fn of(listed: &Value) -> Self {
        let text = |name: &str| listed[name].as_str().map(str::to_owned);
        let role = || text("role").unwrap().parse().unwrap();
        let scope = || text("scope").unwrap();
        Self {
            method: text("method").unwrap().parse().unwrap(),
            path: text("path").unwrap(),
            alias: text("alias"),
            right: match text("right").unwrap().as_str() {
                "agent" => Right::Agent(role(), scope()),
                "agent-only" => Right::AgentOnly,
                "open" => Right::Open,
                "session" => Right::Session(role()),
                "user" => Right::User(role(), scope()),
                other => panic!("unknown right: {other}"),
            },
            cookie: listed["cookie"] == true,
        }
    }

    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// With this in place of the id; with an empty body where a body may be.
    pub fn call(&self, id: &str) -> Call {
        let mut path = self.path.replace("{id}", id);
        while let Some((before, rest)) = path.split_once('{') {
            let (_, after) = rest.split_once('}').unwrap();
            path = format!("{before}gmail{after}");
        }
        let call = Call::new(self.method.clone(), path);
        if matches!(self.method, Method::GET | Method::DELETE) {
            call
        } else {
            call.json(&json!({}))
        }
    }
}
