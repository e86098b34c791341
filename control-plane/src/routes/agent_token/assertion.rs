//! A client assertion: signed with the key that the agent has enrolled (RFC 7523).

use serde_json::json;

use ah5_contracts::id::AgentId;
use ah5_security::assertion::{self, AgentPublicKey, AssertionError};
use ah5_security::dpop::Proof;
use ah5_security::hash;
use ah5_security::secret::SecretText;
use ah5_store::agents::{self, Agent};
use ah5_store::assertions;
use ah5_store::tenant::Tenant;

use super::{Denial, bond, conclude, sign};
use crate::app::{App, now};
use crate::error::AppError;
use crate::input::Input;

pub const GRANT: &str = "client_assertion";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

pub async fn grant(app: &App, input: &Input, proof: Option<&Proof>) -> Result<String, AppError> {
    if input.text("client_assertion_type")? != ASSERTION_TYPE {
        let text = "body/client_assertion_type must be equal to constant";
        return Err(AppError::bad_request(text).hint(format!("It is {ASSERTION_TYPE}.")));
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
    let judged = judge(app, &tenant, &agent, &jws, proof).await;
    conclude(app, tenant, id, judged, json!({})).await
}

async fn judge(
    app: &App,
    tenant: &Tenant<'_>,
    agent: &Agent,
    jws: &SecretText,
    proof: Option<&Proof>,
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
    let verified = key
        .verify(jws.expose(), agent.id, &app.origins, now())
        .map_err(denial)?;
    // First: an assertion is not lost with a proof that won't do.
    let bond = bond(tenant, agent, proof).await?;
    let jti = hash::sha256(verified.jti.as_bytes());
    let fresh = assertions::spend(&**tenant, agent.id, &jti, verified.exp).await;
    if !fresh.map_err(|error| ("replay store failed", error.into()))? {
        return Err(("replay", AppError::unauthorized("Replay detected")));
    }
    sign(app, tenant, agent.id, agent.epoch, bond).await
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
