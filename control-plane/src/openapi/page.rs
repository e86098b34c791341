//! `/docs`: the document for people (a page without a script) and for programs. All of it is the
//! same for everybody and tells nothing of any workspace.

use std::sync::LazyLock;

use axum::Json;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use ah5_security::hash::sha256;

static DOCUMENT: LazyLock<Value> = LazyLock::new(super::document);
static PAGE: LazyLock<(String, String)> = LazyLock::new(|| (policy(), page(&DOCUMENT)));

pub async fn html() -> Response {
    let (policy, page) = &*PAGE;
    let headers = [(header::CONTENT_SECURITY_POLICY, policy.as_str())];
    (headers, Html(page.as_str())).into_response()
}

pub async fn json() -> Json<Value> {
    Json(DOCUMENT.clone())
}

/// JSON is YAML (YAML 1.2 §1.3).
pub async fn yaml() -> Response {
    let kind = [(header::CONTENT_TYPE, "application/yaml")];
    (kind, format!("{:#}\n", *DOCUMENT)).into_response()
}

/// The page may show itself in this style, and nothing else.
fn policy() -> String {
    let style = STANDARD.encode(sha256(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; frame-ancestors 'none'; base-uri 'none'"
    )
}

fn page(document: &Value) -> String {
    let title = text(&document["info"]["title"]);
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
         <style>{STYLE}</style><h1>{title}</h1><p>{}</p>\
         <p>For programs: <a href=\"/docs/json\">JSON</a>, <a href=\"/docs/yaml\">YAML</a>.</p>",
        text(&document["info"]["description"])
    );
    let nothing = serde_json::Map::new();
    for (path, methods) in document["paths"].as_object().unwrap_or(&nothing) {
        for (method, operation) in methods.as_object().unwrap_or(&nothing) {
            page += &entry(path, method, operation);
        }
    }
    page
}

fn entry(path: &str, method: &str, operation: &Value) -> String {
    let whom = match (
        operation["x-ah5-role"].as_str(),
        operation["x-ah5-scope"].as_str(),
    ) {
        (None, _) => "anybody".to_owned(),
        (Some(role), None) => format!("{role}, signed in"),
        (Some(role), Some(scope)) => format!("{role}, scope {scope}"),
    };
    let details = ["parameters", "requestBody", "responses"]
        .into_iter()
        .filter_map(|part| {
            let value = operation.get(part)?;
            Some(format!(
                "<h3>{part}</h3><pre>{}</pre>",
                escaped(&format!("{value:#}"))
            ))
        });
    format!(
        "<details><summary><b>{}</b> <code>{}</code> {} <i>{}</i></summary>{}</details>",
        method.to_ascii_uppercase(),
        escaped(path),
        text(&operation["summary"]),
        escaped(&whom),
        details.collect::<String>()
    )
}

fn text(value: &Value) -> String {
    escaped(value.as_str().unwrap_or_default())
}

pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;\
padding:0 1rem;color:#1c2230;background:#fff}details{border-top:1px solid #d5d9e2;padding:.5rem 0}\
summary{cursor:pointer}pre{background:#f2f4f8;padding:.75rem;overflow:auto}i{color:#5a6273}\
h3{font-size:1rem;margin:.5rem 0}";
