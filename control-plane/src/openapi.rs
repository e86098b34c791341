//! The OpenAPI document, made from the table of routes: paths, methods and who may call come from
//! there and cannot differ. What the table does not know (a sentence, the fields) is said in
//! [`operations`]: whoever adds a route adds its line there, or a test fails, then runs
//! `cargo run -p ah5-control-plane -- openapi > control-plane/openapi.json`.

use serde_json::{Map, Value, json};

use crate::router::table::{Right, Route, table};

mod operations;
pub mod page;
mod shapes;

use operations::{Answer, Operation};
use shapes::{Fields, object};

pub fn document() -> Value {
    let mut paths = Map::new();
    for route in table() {
        let name = format!("{} {}", route.method, route.path);
        // A test holds the two lists against each other.
        let operation = operations::EVERY.iter().find(|it| it.route == name);
        if let Some(operation) = operation {
            let methods = paths.entry(route.path).or_insert_with(|| json!({}));
            methods[route.method.to_ascii_lowercase()] = described(&route, operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "AgentHiFive control plane", "version": env!("CARGO_PKG_VERSION"),
            "description": "Errors are {\"error\"} with a hint where there is one. Fields that a \
                            route does not know are ignored. A body is at most 1 MiB.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": shapes::named(), "securitySchemes": schemes()},
    })
}

fn described(route: &Route, operation: &Operation) -> Value {
    let mut json = json!({
        "operationId": operation_id(route), "summary": operation.summary,
        "security": security(route), "responses": responses(operation),
    });
    let parameters = parameters(route.path, operation.query);
    if !parameters.is_empty() {
        json["parameters"] = parameters.into();
    }
    if let Some(fields) = operation.body {
        let required = fields.iter().any(|(name, _)| !name.ends_with('?'));
        let content = json!({"application/json": {"schema": object(fields)}});
        json["requestBody"] = json!({"required": required, "content": content});
    }
    if let Some(alias) = crate::router::alias(route.path) {
        json["x-ah5-also-at"] = alias.into();
    }
    match route.right {
        Right::Open => {}
        Right::AgentOnly(scope) => json["x-ah5-scope"] = scope.as_str().into(),
        Right::Session(role) => json["x-ah5-role"] = role.as_str().into(),
        Right::Agent(role, scope) | Right::User(role, scope) => {
            json["x-ah5-role"] = role.as_str().into();
            json["x-ah5-scope"] = scope.as_str().into();
        }
    }
    json
}

fn responses(operation: &Operation) -> Value {
    let content = match operation.answer {
        Answer::Json(fields) => json!({"application/json": {"schema": object(fields)}}),
        Answer::Named(kind) => json!({"application/json": {"schema": shapes::schema(kind)}}),
        Answer::Nothing => json!({}),
        Answer::Text(media) => {
            let each = media.iter().map(|media| ((*media).to_owned(), json!({})));
            each.collect::<Map<_, _>>().into()
        }
    };
    let mut error = json!({"application/json": {"schema": shapes::schema("Error")}});
    // What people see they also read a refusal on.
    if matches!(operation.answer, Answer::Text(media) if media.contains(&"text/html")) {
        error["text/html"] = json!({});
    }
    json!({
        operation.status.to_string(): {"description": "Done", "content": content},
        "default": {"description": "Refused, or failed", "content": error},
    })
}

fn parameters(path: &str, query: Fields) -> Vec<Value> {
    let named = path
        .split('{')
        .skip(1)
        .filter_map(|it| it.split('}').next());
    let in_path = named.map(|name| {
        let kind = if name == "id" { "uuid" } else { "string" };
        json!({"name": name, "in": "path", "required": true, "schema": shapes::schema(kind)})
    });
    let in_query = query.iter().map(|(name, kind)| {
        let (name, required) = shapes::name(name);
        json!({"name": name, "in": "query", "required": required, "schema": shapes::schema(kind)})
    });
    in_path.chain(in_query).collect()
}

fn security(route: &Route) -> Value {
    let of = |names: &[&str]| {
        let cookie = route.cookie.then_some("sessionCookie");
        let names = names.iter().copied().chain(cookie);
        names.map(|name| json!({name: []})).collect()
    };
    match route.right {
        Right::Open => json!([]),
        Right::Session(_) => of(&["userToken"]),
        Right::User(..) => of(&["userToken", "personalToken"]),
        Right::Agent(..) => of(&["userToken", "personalToken", "agentToken"]),
        Right::AgentOnly(_) => of(&["agentToken"]),
    }
}

fn schemes() -> Value {
    let bearer = |format: &str, description: &str| json!({"type": "http", "scheme": "bearer", "bearerFormat": format, "description": description});
    json!({
        "userToken": bearer("JWT", "Five minutes of a session: POST /api/auth/token"),
        "personalToken": bearer("ah5p_…", "A personal access token; also as X-API-Key"),
        "sessionCookie": {"type": "apiKey", "in": "cookie", "name": "better-auth.session_token", "description": "As a browser has it that is signed in"},
        "agentToken": bearer("ah5t_…", "POST /v1/agents/token; also as X-API-Key"),
    })
}

fn operation_id(route: &Route) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let path: String = route.path.chars().map(kept).collect();
    let words = path.split('_').filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    format!("{}_{}", route.method.to_ascii_lowercase(), words.join("_"))
}

#[cfg(test)]
mod tests;
