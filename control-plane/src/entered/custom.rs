//! The key of any HTTP service at all, which nobody knows how to try.

use ah5_contracts::connection::Auth;
use ah5_contracts::id::WorkspaceId;
use ah5_providers::custom::Custom;
use ah5_providers::service::Service;
use ah5_security::secret::SecretText;
use ah5_store::connections::Connection;
use serde::Deserialize as _;
use serde_json::json;

use super::preview::preview;
use super::{Entered, typed};
use crate::app::App;
use crate::error::{AppError, AppResult};
use crate::input::Input;
use crate::routes::oauth_apps::endpoints::may_call;

pub fn read(
    app: &App,
    workspace: WorkspaceId,
    service: &'static Service,
    input: &Input,
    known: Option<&Connection>,
) -> AppResult<Entered> {
    let secret = SecretText::new(typed(input, "apiKey", "apiKey is required")?);
    let auth = match known.filter(|_| input.value("auth").is_none()) {
        Some(known) => Auth::deserialize(&known.auth).map_err(AppError::internal)?,
        None => auth(input)?,
    };
    let base_url = match known.filter(|_| input.value("baseUrl").is_none()) {
        Some(known) => known.base_url.clone(),
        None => input.text("baseUrl")?,
    };
    let plain_http = |host: &str, port| app.config.allows_plain_http(workspace, host, port);
    let checked = Custom::check(&base_url, auth, &secret, plain_http)
        .map_err(|fault| AppError::bad_request(format!("body/{fault}")))?;
    // A name may still lead inside: that is seen when it is resolved, at each call.
    if !may_call(app, workspace, &checked.base_url) {
        let fault = "body/baseUrl must be a public https URL, not ours";
        return Err(AppError::bad_request(fault));
    }
    let preview = preview("API key", secret.expose());
    Ok(Entered {
        service,
        base_url: checked.base_url,
        auth: checked.auth,
        mail: None,
        secret,
        preview,
        said: json!({}),
    })
}

fn auth(input: &Input) -> AppResult<Auth> {
    let auth = input.value("auth");
    let auth =
        auth.ok_or_else(|| AppError::bad_request("body must have required property 'auth'"))?;
    Auth::deserialize(auth).map_err(|_| {
        AppError::bad_request(
            "body/auth must be {\"kind\":\"bearer\"}, {\"kind\":\"header\",\"name\"}, \
             {\"kind\":\"query\",\"name\"} or {\"kind\":\"basic\",\"username\"}",
        )
    })
}
