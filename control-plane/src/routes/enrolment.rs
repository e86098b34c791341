//! How an agent gets in: it enrols its public key with a bootstrap secret, then trades client
//! assertions for tokens. Both routes are open to the world; everything in them is hostile input.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use ah5_contracts::audit::{Action, ActorKind};
use ah5_contracts::claims::{AGENT_TOKEN_AUDIENCE, AgentClaims, BOOTSTRAP_SECRET_PREFIX};
use ah5_contracts::id::{AgentId, SecretId};
use ah5_security::assertion::{self, AgentPublicKey, AssertionError, BadKey};
use ah5_security::hash;
use ah5_security::secret::SecretText;
use ah5_security::token::KeyKind;
use ah5_store::agents::{self, Agent};
use ah5_store::bootstrap::{self, Secret};
use ah5_store::tenant::Tenant;
use ah5_store::{agent_tokens, assertions};

use crate::app::{App, Record, now};
use crate::error::{AppError, AppResult};
use crate::input::Input;
use crate::keys::signer;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

pub async fn bootstrap(State(app): State<App>, input: Input) -> AppResult {
    let secret = SecretText::new(input.text("bootstrapSecret")?);
    let jwk = input.value("publicKey");
    let jwk =
        jwk.ok_or_else(|| AppError::bad_request("body must have required property 'publicKey'"))?;
    if !secret.expose().starts_with(BOOTSTRAP_SECRET_PREFIX) {
        return Err(AppError::unauthorized("Invalid bootstrap secret"));
    }
    let refused = || AppError::unauthorized("Invalid or expired bootstrap secret");
    let digest = hash::sha256(secret.expose().as_bytes());
    let mut db = app.db().await?;
    let workspace = bootstrap::workspace_of(&db, &digest)
        .await?
        .ok_or_else(refused)?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    // The agent before its secret, as everybody else locks them.
    let agent = bootstrap::agent_of(&tenant, &digest).await?;
    let agent = agents::lock(&tenant, agent.ok_or_else(refused)?)
        .await?
        .ok_or_else(refused)?;
    let found = bootstrap::lock(&tenant, &digest)
        .await?
        .ok_or_else(refused)?;
    let key = match admit(&found, &agent, jwk) {
        Ok(key) => key,
        Err((reason, error)) => {
            let details = json!({ "reason": reason });
            let record = Record::new(nobody(), Action::AgentBootstrapFailed, details);
            app.record(&tenant, record.agent(agent.id).denied()).await?;
            tenant.commit().await?;
            return Err(error);
        }
    };
    agents::enrol(&tenant, agent.id, &key.stored()).await?;
    agent_tokens::take(&tenant, agent.id, agent.epoch).await?;
    if agent.public_key_jwk.is_some() {
        // Nobody who knows a secret of the old key's days may put another in place of the new one.
        bootstrap::end(&tenant, agent.id).await?;
    } else {
        bootstrap::consume(&tenant, &digest).await?;
    }
    let details = json!({"publicKeyThumbprint": key.thumbprint(), "previousStatus": agent.status});
    app.record(
        &tenant,
        Record::new(
            (ActorKind::Agent, agent.id.to_string()),
            Action::AgentBootstrapped,
            details,
        )
        .agent(agent.id),
    )
    .await?;
    tenant.commit().await?;
    let body = json!({
        "agentId": agent.id, "name": agent.name, "status": "active", "workspaceId": workspace,
    });
    Ok(Json(body).into_response())
}

/// The key to enrol. Whoever tries a secret of an agent that we know, the agent's owners see it.
fn admit(secret: &Secret, agent: &Agent, jwk: &Value) -> Result<AgentPublicKey, Denial> {
    if !secret.usable {
        let error = AppError::unauthorized("Invalid or expired bootstrap secret");
        return Err(("expired or already used", error));
    }
    if agent.status == "disabled" {
        return Err(("agent disabled", AppError::conflict("Agent is disabled")));
    }
    let bad = |error: BadKey| ("invalid key", AppError::bad_request(error.to_string()));
    AgentPublicKey::from_jwk(jwk).map_err(bad)
}

pub async fn token(State(app): State<App>, input: Input) -> AppResult {
    if input.text("grant_type")? != "client_assertion" {
        return Err(AppError::bad_request(
            "body/grant_type must be equal to constant",
        ));
    }
    if input.text("client_assertion_type")? != ASSERTION_TYPE {
        return Err(AppError::bad_request(
            "body/client_assertion_type must be equal to constant",
        ));
    }
    let jws = SecretText::new(input.text("client_assertion")?);
    let subject = assertion::peek_subject(jws.expose())
        .map_err(|_| AppError::unauthorized("Malformed client assertion"))?;
    let subject =
        subject.ok_or_else(|| AppError::unauthorized("Missing sub claim in assertion"))?;
    let unknown = || AppError::unauthorized("Invalid agent or agent not active");
    let id: AgentId = subject.parse().map_err(|_| unknown())?;
    let mut db = app.db().await?;
    let workspace = agents::workspace_of(&db, id).await?.ok_or_else(unknown)?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    // Locked, so that disabling the agent and giving it a token can't pass each other.
    let agent = agents::lock(&tenant, id).await?.ok_or_else(unknown)?;
    let judged = judge(&app, &tenant, &agent, &jws).await;
    let details = match &judged {
        Ok(_) => json!({"tokenTtlSeconds": app.config.agent_token_ttl}),
        Err((reason, _)) => json!({"reason": reason}),
    };
    let action = if judged.is_ok() {
        Action::AgentTokenIssued
    } else {
        Action::AgentTokenDenied
    };
    let actor = match &judged {
        Ok(_) => (ActorKind::Agent, id.to_string()),
        Err(_) => nobody(),
    };
    let record = Record::new(actor, action, details).agent(id);
    let record = if judged.is_ok() {
        record
    } else {
        record.denied()
    };
    app.record(&tenant, record).await?;
    tenant.commit().await?;
    let token = judged.map_err(|(_, error)| error)?;
    let body = json!({
        "access_token": token, "token_type": "Bearer", "expires_in": app.config.agent_token_ttl,
    });
    Ok(Json(body).into_response())
}

// Who failed to prove that he is the agent is not written down as the agent.
const fn nobody() -> (ActorKind, String) {
    (ActorKind::System, String::new())
}

type Denial = (&'static str, AppError);

/// The token, or why not: for the trail, and for the caller.
async fn judge(
    app: &App,
    tenant: &Tenant<'_>,
    agent: &Agent,
    jws: &SecretText,
) -> Result<String, Denial> {
    let jwk = agent
        .public_key_jwk
        .as_ref()
        .filter(|_| agent.status == "active");
    let Some(jwk) = jwk else {
        let error = AppError::unauthorized("Invalid agent or agent not active");
        return Err(("agent not active", error));
    };
    let Ok(key) = AgentPublicKey::from_jwk(jwk) else {
        let error = AppError::unauthorized("Agent key configuration error");
        return Err(("stored key unusable", error));
    };
    let audiences = app.config.origin.spellings();
    let verified = key
        .verify(jws.expose(), agent.id, &audiences, now())
        .map_err(denial)?;
    let jti = hash::sha256(verified.jti.as_bytes());
    let fresh = assertions::spend(&**tenant, agent.id, &jti, verified.exp).await;
    if !fresh.map_err(|error| ("replay store failed", error.into()))? {
        return Err(("replay", AppError::unauthorized("Replay detected")));
    }
    let (token, issued) = (SecretId::random(), now());
    let expires = issued + app.config.agent_token_ttl;
    agent_tokens::insert(tenant, token, agent.id, agent.epoch, expires)
        .await
        .map_err(|error| ("token not noted", error.into()))?;
    let claims = AgentClaims {
        sub: AgentClaims::subject(agent.id),
        wid: tenant.workspace(),
        epoch: agent.epoch,
        jti: token.to_string(),
        iss: app.config.origin.text.clone(),
        aud: AGENT_TOKEN_AUDIENCE.to_owned(),
        iat: issued,
        exp: expires,
        nbf: None,
        cnf: None,
    };
    let keys = app.keys().map_err(|error| ("no keys yet", error))?;
    let key = signer(&keys, &**tenant, KeyKind::Agent)
        .await
        .map_err(|error| ("no key signs", error))?;
    key.sign_agent(&claims)
        .map_err(|error| ("signing failed", AppError::internal(error)))
}

fn denial(error: AssertionError) -> Denial {
    let refused = |text: &str| AppError::unauthorized(text);
    match error {
        AssertionError::ClockSkew => {
            let refused = refused("Invalid client assertion")
                .reason("clock_skew")
                .hint("The assertion's times do not fit the server's clock. Synchronise the clock and try again.");
            ("clock_skew", refused)
        }
        AssertionError::Invalid => ("invalid assertion", refused("Invalid client assertion")),
        AssertionError::Lifetime => ("lifetime", refused(&error.to_string())),
        AssertionError::MissingJti => ("missing jti", refused(&error.to_string())),
    }
}
