//! The form of starting for browsers: `/v1/oauth/{provider}/start?service=…`. From a page of ours it
//! leads straight to the provider; from anywhere else the person is asked first, so that no link can
//! have them consent to something that they never meant to.

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value};
use url::form_urlencoded;

use ah5_contracts::role::Role;
use ah5_providers::catalogue;

use super::begin;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::auth::origin;
use crate::error::{AppError, AppResult};
use crate::input::Input;
use crate::page::{escaped, leading_to, page};

/// `GET /v1/oauth/{provider}/start`
pub async fn start(
    State(app): State<App>,
    Path(provider): Path<String>,
    headers: HeaderMap,
    uri: Uri,
    RawQuery(query): RawQuery,
) -> AppResult {
    let caller = caller(&app, &headers, &uri).await?;
    let query = query.unwrap_or_default();
    let site = headers.get("sec-fetch-site");
    if site.is_some_and(|site| site == "same-origin") {
        let begun = begin(&app, &caller, &input(&query)?, Some(&provider)).await?;
        let location = [(header::LOCATION, begun.authorization_url)];
        return Ok((StatusCode::FOUND, location).into_response());
    }
    if site.is_some_and(|site| site == "same-site") {
        return Err(AppError::forbidden("Forbidden"));
    }
    Ok(question(&provider, &query, &input(&query)?))
}

/// `POST /v1/oauth/{provider}/start`: the person has agreed, on our own page.
pub async fn agreed(
    State(app): State<App>,
    Path(provider): Path<String>,
    headers: HeaderMap,
    uri: Uri,
    RawQuery(query): RawQuery,
) -> AppResult {
    let foreign = |_| AppError::forbidden("Forbidden");
    origin::check_auth(&headers, &app.config.origin).map_err(foreign)?;
    let caller = caller(&app, &headers, &uri).await?;
    let query = query.unwrap_or_default();
    let begun = begin(&app, &caller, &input(&query)?, Some(&provider)).await?;
    // A redirect would count as the form's own target, which may be here only.
    Ok(leading_to(&begun.authorization_url, "On to the provider"))
}

/// By the session's cookie, which is all that a browser brings along when it just goes somewhere.
async fn caller(app: &App, headers: &HeaderMap, uri: &Uri) -> AppResult<Caller> {
    let caller = Caller::of_cookie(app, headers, uri).await?;
    match &caller {
        Caller::User { role, .. } if *role >= Role::Admin => Ok(caller),
        _ => Err(AppError::forbidden("This needs the role admin")),
    }
}

/// The query as a body would have it; scopes stand in one parameter, a blank or comma between them.
fn input(query: &str) -> AppResult<Input> {
    let mut fields = Map::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if value.contains('\0') || name.contains('\0') {
            let text = "querystring must not contain NUL characters";
            return Err(AppError::bad_request(text));
        }
        let value = match &*name {
            "scopes" => {
                let scopes = value.split([' ', ',']).filter(|scope| !scope.is_empty());
                scopes.map(Value::from).collect()
            }
            _ => Value::from(&*value),
        };
        fields.insert(name.into_owned(), value);
    }
    if !fields.contains_key("service") {
        let text = "querystring must have required property 'service'";
        return Err(AppError::bad_request(text));
    }
    Ok(Input::of(fields))
}

fn question(provider: &str, query: &str, input: &Input) -> Response {
    let asked = input.value("service").and_then(Value::as_str);
    let service = asked.and_then(catalogue::find);
    let name = service.map_or(provider, |service| &*service.display_name);
    let provider: String = form_urlencoded::byte_serialize(provider.as_bytes()).collect();
    let action = format!("/v1/oauth/{provider}/start?{query}");
    let body = format!(
        "<p>You are about to let this workspace use an account of yours at {}. Go on only if you \
         meant to.</p><form method=\"post\" action=\"{}\"><button>Go on</button></form>",
        escaped(name),
        escaped(&action),
    );
    page(StatusCode::OK, "Connect an account?", &body)
}
