//! Sign-in at other parties: leaving for one, coming back, and who somebody then is here.

use std::collections::HashMap;

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse as _, Response};
use axum::{Extension, Json};
use serde_json::{Value, json};

use ah5_contracts::id::UserId;
use ah5_security::secret::SecretText;
use ah5_store::sessions;
use ah5_store::sign_in_flows::{self, Flow};

use crate::app::{App, now};
use crate::auth::target::Target;
use crate::auth::{cookie, origin};
use crate::error::AppError;
use crate::input::Input;
use crate::people;
use crate::router::Client;
use crate::routes::session::refusal::{AuthResult, Refusal};
use crate::routes::session::{Cookies, current, open};
use crate::routes::verification::found;
use crate::social::proof::Proof;
use crate::social::{self, Answer, PartyError};

mod settle;

use settle::Settled;

/// Where faults are shown, unless the page that began it named another.
const LOGIN: &str = "/login";
const FLOW_MINUTES: i32 = 10;

/// `GET /sign-in/providers`: what the sign-in page can offer.
pub async fn list(State(app): State<App>) -> AuthResult {
    let parties = app.parties.list();
    let parties: Vec<Value> = parties
        .map(|(id, label)| json!({"id": id, "name": label}))
        .collect();
    let open = people::verification(&app).is_some();
    Ok(Json(json!({"providers": parties, "signUp": open})).into_response())
}

/// `POST /sign-in/social {provider, callbackURL?, …}`: where the browser is to go.
pub async fn start(State(app): State<App>, headers: HeaderMap, input: Input) -> AuthResult {
    origin::check_auth(&headers, &app.config.origin)?;
    leave(&app, &input, None).await
}

/// `POST /link-social {provider, callbackURL?, …}`: the same, to add an identity to one's account.
pub async fn link(State(app): State<App>, headers: HeaderMap, input: Input) -> AuthResult {
    origin::check_auth(&headers, &app.config.origin)?;
    let here = current(&app, &headers).await?.ok_or(Refusal::NoSession)?;
    leave(&app, &input, Some(here.user)).await
}

/// `GET /callback/{provider}`: the browser is back.
pub async fn callback(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Path(party): Path<String>,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
) -> AuthResult {
    let Some(state) = query.get("state") else {
        return Ok(found(
            &Target::fixed(LOGIN).with("state", "state_not_found"),
        ));
    };
    let https = app.config.origin.https;
    let Some(browser) = cookie::sign_in_browser(&headers, https) else {
        return Ok(failed(Target::fixed(LOGIN), "state_mismatch"));
    };
    let proof = Proof::of(state, browser.expose());
    let (state_hash, browser_hash) = proof.hashes();
    let hashes = (&state_hash[..], &browser_hash[..]);
    // Taken before anything else: whatever comes of it, it comes once.
    let flow = sign_in_flows::take(&app.db().await?, hashes, &party).await?;
    let Some(flow) = flow else {
        return Ok(failed(Target::fixed(LOGIN), "please_restart_the_process"));
    };
    let back = |text: &Option<String>| {
        let text = text.as_deref().unwrap_or(LOGIN);
        Target::parse(text, &app.config.origin).unwrap_or(Target::fixed(LOGIN))
    };
    match arrive(&app, client, &headers, &party, &query, &proof, &flow).await {
        Ok((target, cookies)) => {
            let target = back(&Some(target));
            let cleared = [(header::SET_COOKIE, cookie::clear_sign_in_browser(https))];
            Ok((cookies, AppendHeaders(cleared), found(&target)).into_response())
        }
        Err(Fault::Code(code)) => Ok(failed(back(&flow.error_to), code)),
        Err(Fault::Refused(refusal)) => Err(refusal),
    }
}

/// `POST /callback/{provider}`: some parties make the browser post. It came from another site, so
/// it has not sent our cookie: it is asked to come again by itself.
pub async fn posted(
    State(app): State<App>,
    Path(party): Path<String>,
    form: Result<Form<HashMap<String, String>>, FormRejection>,
) -> AuthResult {
    let party = app.parties.find(&party);
    let party = party.ok_or(Refusal::Code(StatusCode::NOT_FOUND, "PROVIDER_NOT_FOUND"))?;
    let Form(form) = form.map_err(|why| Refusal::Field(why.body_text()))?;
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for name in ["code", "state", "iss", "error"] {
        if let Some(value) = form.get(name) {
            query.append_pair(name, value);
        }
    }
    let location = format!("/api/auth/callback/{}?{}", party.id(), query.finish());
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response())
}

/// Why a browser that came back is sent to the sign-in page.
pub enum Fault {
    Code(&'static str),
    Refused(Refusal),
}

async fn leave(app: &App, input: &Input, link_user: Option<UserId>) -> AuthResult {
    let ours = &app.config.origin;
    let name = input.text("provider").map_err(Refusal::field)?;
    let target = |field| Target::field(input, field, ours);
    let text = |target: Option<Target>| target.map(|target| target.as_str().to_owned());
    let flow = Flow {
        return_to: text(target("callbackURL")?).unwrap_or_else(|| "/".to_owned()),
        new_user_to: text(target("newUserCallbackURL")?),
        error_to: text(target("errorCallbackURL")?),
        provider: name,
        link_user,
    };
    let not_found = Refusal::Code(StatusCode::NOT_FOUND, "PROVIDER_NOT_FOUND");
    let party = app.parties.find(&flow.provider).ok_or(not_found)?;
    let proof = Proof::new();
    let url = party.authorize(&proof).await.map_err(|error| {
        tracing::warn!(party = party.id(), %error, "nobody can sign in there now");
        Refusal::Other(AppError::unavailable())
    })?;
    let (state, browser) = proof.hashes();
    sign_in_flows::insert(&app.db().await?, (&state, &browser), &flow, FLOW_MINUTES).await?;
    let redirect = input.value("disableRedirect") != Some(&Value::Bool(true));
    let location = redirect.then(|| (header::LOCATION, url.as_str().to_owned()));
    let cookie = cookie::set_sign_in_browser(&proof.browser, ours.https, FLOW_MINUTES * 60);
    let headers = ([(header::SET_COOKIE, cookie)], AppendHeaders(location));
    let body = json!({"url": url.as_str(), "redirect": redirect});
    Ok((headers.0, headers.1, Json(body)).into_response())
}

async fn arrive(
    app: &App,
    client: Client,
    headers: &HeaderMap,
    party: &str,
    query: &HashMap<String, String>,
    proof: &Proof,
    flow: &Flow,
) -> Result<(String, Cookies), Fault> {
    if let Some(error) = query.get("error") {
        let known = ["access_denied", "login_required", "server_error"];
        let known = known.into_iter().find(|known| known == error);
        return Err(Fault::Code(known.unwrap_or("provider_error")));
    }
    let code = query.get("code").ok_or(Fault::Code("no_code"))?;
    let code = SecretText::new(code.clone());
    let party = app.parties.find(party);
    let party = party.ok_or(Fault::Code("oauth_provider_not_found"))?;
    let answer = Answer {
        code: &code,
        issuer: query.get("iss").map(String::as_str),
    };
    let profile = identify(party, &answer, proof).await?;
    if let Some(user) = flow.link_user {
        settle::link(app, headers, user, party.id(), &profile).await?;
        return Ok((flow.return_to.clone(), AppendHeaders(Vec::new())));
    }
    let Settled { user, new } = settle::sign_in(app, party.id(), &profile).await?;
    let cookies = open(
        app,
        user,
        sessions::Proof::Provider,
        (client, headers),
        true,
    )
    .await?;
    let target = flow.new_user_to.as_ref().filter(|_| new);
    Ok((target.unwrap_or(&flow.return_to).clone(), cookies))
}

async fn identify(
    party: &social::Client,
    answer: &Answer<'_>,
    proof: &Proof,
) -> Result<social::Profile, Fault> {
    let profile = party.identify(answer, proof, now()).await;
    profile.map_err(|error| {
        tracing::warn!(party = party.id(), %error, "a sign-in failed");
        Fault::Code(match error {
            PartyError::Issuer => "issuer_mismatch",
            PartyError::NoProfile => "unable_to_get_user_info",
            PartyError::Refused => "invalid_code",
            PartyError::Unavailable => "provider_unavailable",
        })
    })
}

fn failed(target: Target, code: &str) -> Response {
    found(&target.with("error", code))
}

// === impl Fault ===

impl<E: Into<Refusal>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}
