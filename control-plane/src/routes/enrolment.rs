//! How an agent gets in: it enrols its public key with a bootstrap secret. The route is open to the
//! world; everything in a request is hostile input.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use ah5_contracts::audit::{Action, ActorKind};
use ah5_contracts::claims::BOOTSTRAP_SECRET_PREFIX;
use ah5_security::assertion::{AgentPublicKey, BadKey};
use ah5_security::hash;
use ah5_security::secret::SecretText;
use ah5_store::agent_tokens;
use ah5_store::agents::{self, Agent};
use ah5_store::bootstrap::{self, Secret};
use ah5_store::tenant::Tenant;

use crate::app::{App, Record};
use crate::error::{AppError, AppResult};
use crate::input::Input;
use crate::owners::tell_owners;

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
    let details = json!({"publicKeyThumbprint": key.thumbprint(), "previousStatus": agent.status,
        "name": agent.name});
    let actor = (ActorKind::Agent, agent.id.to_string());
    let record = Record::new(actor, Action::AgentBootstrapped, details).agent(agent.id);
    if agent.public_key_jwk.is_some() {
        // Whoever has a new key is the agent now, and the one before no longer.
        tell_owners(&app, &tenant, record).await?;
    } else {
        app.record(&tenant, record).await?;
    }
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

// Who failed to prove that he is the agent is not written down as the agent.
const fn nobody() -> (ActorKind, String) {
    (ActorKind::System, String::new())
}

type Denial = (&'static str, AppError);
