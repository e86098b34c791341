//! `POST /v1/agents/token`: an agent trades what proves that it is the agent for an access token,
//! bound to a key if it shows a proof of possession. The route is open to the world; everything in a
//! request is hostile input.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::IntoResponse as _;
use serde_json::{Value, json};

use ah5_contracts::audit::{Action, ActorKind};
use ah5_contracts::claims::{AGENT_TOKEN_AUDIENCE, AgentClaims, Confirmation};
use ah5_contracts::id::{AgentId, SecretId};
use ah5_edge::dpop::Fault;
use ah5_security::dpop::{Proof, thumbprint_text};
use ah5_security::token::KeyKind;
use ah5_store::agent_tokens;
use ah5_store::agents::Agent;
use ah5_store::tenant::Tenant;

use crate::app::{App, Record, now};
use crate::auth::proofs;
use crate::error::{AppError, AppResult};
use crate::input::form::FormOrInput;
use crate::keys::signer;

mod assertion;
mod exchange;

/// Why there is no token: for the trail, and for the caller.
type Denial = (&'static str, AppError);

pub async fn token(
    State(app): State<App>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: FormOrInput,
) -> AppResult {
    let FormOrInput { input, is_form } = body;
    let grant = input.optional_text("grant_type")?;
    let exchanges = grant.as_deref() == Some(exchange::GRANT);
    if is_form && !exchanges {
        let text = "Unsupported Media Type: application/x-www-form-urlencoded";
        return Err(AppError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    if !exchanges && input.text("grant_type")? != assertion::GRANT {
        let text = "body/grant_type must be equal to constant";
        let hint = "It is client_assertion, or urn:ietf:params:oauth:grant-type:token-exchange.";
        return Err(AppError::bad_request(text).hint(hint));
    }
    let proof = proofs::shown(&app, &method, uri.path(), &headers).map_err(AppError::no_token)?;
    let token = if exchanges {
        exchange::grant(&app, &input, proof.as_ref()).await?
    } else {
        assertion::grant(&app, &input, proof.as_ref()).await?
    };
    let mut body = json!({
        "access_token": token,
        "token_type": if proof.is_some() { "DPoP" } else { "Bearer" },
        "expires_in": app.config.agent_token_ttl,
    });
    if exchanges {
        body["issued_token_type"] = exchange::ACCESS_TOKEN.into();
    }
    Ok(Json(body).into_response())
}

/// What the token is to be bound to. Uses the proof up.
async fn bond(
    tenant: &Tenant<'_>,
    agent: &Agent,
    proof: Option<&Proof>,
) -> Result<Option<Confirmation>, Denial> {
    let Some(proof) = proof else {
        return if agent.require_dpop {
            let fault = Fault::Proof(proofs::REQUIRED.to_owned());
            Err(("no proof of possession", AppError::no_token(fault)))
        } else {
            Ok(None)
        };
    };
    let spent = proofs::spend(tenant, proof).await;
    let spent = spent.map_err(|error| ("proof store failed", error.into()))?;
    spent.map_err(|fault| ("proof used before", AppError::no_token(fault)))?;
    let jkt = thumbprint_text(&proof.thumbprint);
    Ok(Some(Confirmation { jkt }))
}

/// A token of this epoch for an agent that has proved itself.
async fn sign(
    app: &App,
    tenant: &Tenant<'_>,
    agent: AgentId,
    epoch: i64,
    cnf: Option<Confirmation>,
) -> Result<String, Denial> {
    let (token, issued) = (SecretId::random(), now());
    let expires = issued + app.config.agent_token_ttl;
    agent_tokens::insert(tenant, token, agent, epoch, expires)
        .await
        .map_err(|error| ("token not noted", error.into()))?;
    let claims = AgentClaims {
        sub: AgentClaims::subject(agent),
        wid: tenant.workspace(),
        epoch,
        jti: token.to_string(),
        iss: app.config.origin.text.clone(),
        aud: AGENT_TOKEN_AUDIENCE.to_owned(),
        iat: issued,
        exp: expires,
        nbf: None,
        cnf,
    };
    let keys = app.keys().map_err(|error| ("no keys yet", error))?;
    let key = signer(&keys, &**tenant, KeyKind::Agent)
        .await
        .map_err(|error| ("no key signs", error))?;
    key.sign_agent(&claims)
        .map_err(|error| ("signing failed", AppError::internal(error)))
}

/// Records how the request ended, with `details` of what proved the agent.
async fn conclude(
    app: &App,
    tenant: Tenant<'_>,
    agent: AgentId,
    judged: Result<String, Denial>,
    mut details: Value,
) -> Result<String, AppError> {
    let record = match &judged {
        Ok(_) => {
            details["tokenTtlSeconds"] = app.config.agent_token_ttl.into();
            let actor = (ActorKind::Agent, agent.to_string());
            Record::new(actor, Action::AgentTokenIssued, details)
        }
        Err((reason, _)) => {
            details["reason"] = (*reason).into();
            // Who failed to prove that he is the agent is not written down as the agent.
            let actor = (ActorKind::System, String::new());
            Record::new(actor, Action::AgentTokenDenied, details).denied()
        }
    };
    app.record(&tenant, record.agent(agent)).await?;
    tenant.commit().await?;
    judged.map_err(|(_, error)| error)
}
