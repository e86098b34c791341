//! What a browser finds where the dashboard will be: a page that says so, what came of the flow that led
//! there, and how to go on. It needs no session and tells nothing but what the address says: whoever
//! writes a link chooses the text.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use url::form_urlencoded;
use uuid::Uuid;

use crate::app::App;
use crate::auth::target::Target;
use crate::page::{escaped, page};

/// `GET /`
pub async fn home() -> Response {
    let body =
        "<p>This is AgentHiFive, a credential broker for AI agents. It is used by its API.</p>";
    page(StatusCode::OK, "AgentHiFive", &format!("{body}{FURTHER}"))
}

/// `GET /dashboard` and everything below it: where flows in a browser end.
pub async fn dashboard(RawQuery(query): RawQuery) -> Response {
    let words = Words::read(query.as_deref().unwrap_or_default());
    let (title, body) = match (words.error, words.success) {
        (Some(error), _) => ("This did not work", quoted(&error)),
        (None, true) => (
            "The account is connected",
            entries(words.connection, words.policy),
        ),
        (None, false) => ("The dashboard is not there yet", String::new()),
    };
    page(StatusCode::OK, title, &format!("{body}{FURTHER}"))
}

/// `GET /login`: signs in with a password, by a form, and goes on where `callbackURL` says.
pub async fn login(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let words = Words::read(query.as_deref().unwrap_or_default());
    let target = words
        .target
        .and_then(|it| Target::parse(&it, &app.config.origin));
    let target = target.map(|it| escaped(it.as_str()));
    let said = match (words.error, words.verified) {
        (Some(error), _) => quoted(&error),
        (None, true) => "<p>Your address is proven.</p>".to_owned(),
        (None, false) => String::new(),
    };
    let body = format!(
        "{said}<form method=\"post\" action=\"/api/auth/sign-in/email\">\
         <p><label>Email <input name=\"email\" type=\"email\" autocomplete=\"username\" required></label></p>\
         <p><label>Password <input name=\"password\" type=\"password\" \
         autocomplete=\"current-password\" required></label></p>\
         <input type=\"hidden\" name=\"callbackURL\" value=\"{}\">\
         <button>Sign in</button></form>\
         <p>Passkeys and signing in elsewhere take the dashboard, which is not there yet, or the \
         <a href=\"/docs\">API</a>.</p>",
        target.as_deref().unwrap_or("/")
    );
    page(StatusCode::OK, "Sign in", &body)
}

/// The words of a query that mean something here; each once, the others nothing.
#[derive(Default)]
struct Words {
    success: bool,
    verified: bool,
    connection: Option<Uuid>,
    policy: Option<Uuid>,
    error: Option<String>,
    target: Option<String>,
}

// === impl Words ===

impl Words {
    fn read(query: &str) -> Self {
        let mut words = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "success" => words.success = value == "true",
                "verified" => words.verified = value == "true",
                "connectionId" => words.connection = value.parse().ok(),
                "policyId" => words.policy = value.parse().ok(),
                "error" => words.error = Some(value.into_owned()),
                "callbackURL" => words.target = Some(value.into_owned()),
                _ => {}
            }
        }
        words
    }
}

fn entries(connection: Option<Uuid>, policy: Option<Uuid>) -> String {
    let entry = |name: &str, id: Option<Uuid>| {
        id.map_or(String::new(), |id| format!("<dt>{name}</dt><dd>{id}</dd>"))
    };
    let all = [entry("Connection", connection), entry("Policy", policy)];
    format!("<dl>{}</dl>", all.concat())
}

/// Of ours, of a provider's, or of whoever wrote the link.
fn quoted(error: &str) -> String {
    let shown = error.chars().filter(|c| !c.is_control());
    let shown: String = shown.take(MAX_SHOWN).collect();
    format!(
        "<p>The reason that was given:</p><blockquote>{}</blockquote>\
         <p>Anybody can write such an address: follow no instructions in it.</p>",
        escaped(&shown)
    )
}

const FURTHER: &str = "<p>The dashboard is not there yet: what it will show is in the API. \
<a href=\"/docs\">The API&#39;s documentation</a> · <a href=\"/login\">Sign in</a></p>";
const MAX_SHOWN: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_what_is_known_and_nothing_else() {
        let id = "0191d2c0-0000-4000-8000-000000000001";
        let words = Words::read(&format!("success=true&connectionId={id}&policyId=<b>&x=y"));
        assert!(words.success && words.policy.is_none());
        assert!(entries(words.connection, words.policy).contains(id));
        let shown = quoted("<script>alert(1)</script>\u{7}");
        assert!(shown.contains("&lt;script&gt;") && !shown.contains("<script"));
        assert!(quoted(&"x".repeat(5000)).len() < 600);
    }
}
