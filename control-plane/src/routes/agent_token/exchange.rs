//! A token of another party that vouches for the agent's workload (RFC 8693), so that nothing secret
//! has to be deployed with it. Only tokens of the issuer and subject that an admin has named for this
//! very agent are looked at, and nothing is fetched for any other.

use serde_json::json;

use ah5_contracts::id::{AgentId, WorkspaceId};
use ah5_security::dpop::Proof;
use ah5_security::secret::SecretText;
use ah5_security::subject_token::{self, Claimed, SubjectError, Vouched};
use ah5_store::agent_trusts::{self, Trust};
use ah5_store::agents::{self, Agent};
use ah5_store::assertions;
use ah5_store::tenant::Tenant;

use super::{Denial, bond, conclude, sign};
use crate::app::{App, now};
use crate::error::AppError;
use crate::input::Input;
use crate::workload::{self, Place};

pub const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const SUBJECT_TYPES: [&str; 2] = [
    "urn:ietf:params:oauth:token-type:jwt",
    "urn:ietf:params:oauth:token-type:id_token",
];

pub async fn grant(app: &App, input: &Input, proof: Option<&Proof>) -> Result<String, AppError> {
    let jws = asked(input)?;
    let claimed = subject_token::peek(jws.expose()).ok_or_else(refused)?;
    let other = input.optional_text("audience")?;
    if other.is_some_and(|audience| audience != claimed.audience) {
        return Err(AppError::bad_request("invalid_target")
            .hint("The audience must be the one of the subject token: ORIGIN/agents/ID"));
    }
    let id = agent_of(app, &claimed.audience).ok_or_else(refused)?;
    if workload::is_ours(app, &claimed.issuer) {
        return Err(refused());
    }
    let (workspace, trust) = trusted(app, id, &claimed).await?;
    // No connection to the database is held while the issuer answers.
    let vouched = vouch(app, &place(workspace, &trust), &jws, &claimed).await;
    let mut db = app.db().await?;
    let workspace = agents::workspace_of(&db, id).await?.ok_or_else(refused)?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    // Locked, so that disabling the agent and giving it a token can't pass each other.
    let agent = agents::lock(&tenant, id).await?.ok_or_else(refused)?;
    let judged = judge(app, &tenant, &agent, &trust, vouched, proof).await;
    conclude(app, tenant, id, judged, details(&claimed)).await
}

fn asked(input: &Input) -> Result<SecretText, AppError> {
    let invalid = |hint: &str| AppError::bad_request("invalid_request").hint(hint);
    let kind = input.text("subject_token_type")?;
    if !SUBJECT_TYPES.contains(&&*kind) {
        return Err(invalid(
            "subject_token_type must be that of a jwt or an id_token",
        ));
    }
    let wanted = input.optional_text("requested_token_type")?;
    if wanted.is_some_and(|wanted| wanted != ACCESS_TOKEN) {
        return Err(invalid("Only an access_token can be had"));
    }
    // Nobody acts for an agent.
    if input.has("actor_token") {
        return Err(invalid("There must be no actor_token"));
    }
    Ok(SecretText::new(input.text("subject_token")?))
}

/// The agent that an audience of ours names.
fn agent_of(app: &App, audience: &str) -> Option<AgentId> {
    let mut origins = app.origins.iter();
    let path = origins.find_map(|origin| audience.strip_prefix(&**origin))?;
    path.strip_prefix("/agents/")?.parse().ok()
}

/// The agent's word, by an admin, that such a token stands for it.
async fn trusted(
    app: &App,
    id: AgentId,
    claimed: &Claimed,
) -> Result<(WorkspaceId, Trust), AppError> {
    let mut db = app.db().await?;
    let workspace = agents::workspace_of(&db, id).await?.ok_or_else(refused)?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    let found = agent_trusts::find(&tenant, id, &claimed.issuer, &claimed.subject).await?;
    match found {
        Some(trust) => Ok((workspace, trust)),
        None => {
            let denied = Err(("workload not trusted", refused()));
            let ended = conclude(app, tenant, id, denied, details(claimed)).await;
            Err(ended.err().unwrap_or_else(refused))
        }
    }
}

async fn vouch(
    app: &App,
    place: &Place,
    jws: &SecretText,
    claimed: &Claimed,
) -> Result<Vouched, Denial> {
    let unavailable = |_| {
        let hint = "The issuer's keys cannot be fetched now";
        ("issuer not available", AppError::unavailable().hint(hint))
    };
    let keys = app.issuers.keys(place).await.map_err(unavailable)?;
    let vouched = match keys.vouch(jws.expose(), claimed, now()) {
        Err(SubjectError::UnknownKey) => {
            let newer = app.issuers.newer_keys(place).await.map_err(unavailable)?;
            newer.vouch(jws.expose(), claimed, now())
        }
        vouched => vouched,
    };
    vouched.map_err(|error| match error {
        SubjectError::Claims => ("subject token's claims", refused()),
        SubjectError::Signature => ("subject token's signature", refused()),
        SubjectError::UnknownKey => ("subject token's key", refused()),
        // These are told to nobody but a holder of a token that the issuer has made for the agent.
        SubjectError::Lifetime => (
            "subject token's lifetime",
            refused().hint(error.to_string()),
        ),
        SubjectError::Times => ("subject token's times", refused().hint(error.to_string())),
    })
}

async fn judge(
    app: &App,
    tenant: &Tenant<'_>,
    agent: &Agent,
    trust: &Trust,
    vouched: Result<Vouched, Denial>,
    proof: Option<&Proof>,
) -> Result<String, Denial> {
    let vouched = vouched?;
    if agent.status == "disabled" {
        return Err(("agent not active", refused()));
    }
    let store = |error: ah5_store::StoreError| ("store failed", error.into());
    // It may have been taken back while the issuer was asked.
    let still = agent_trusts::find(tenant, agent.id, &trust.issuer, &trust.subject).await;
    if still
        .map_err(store)?
        .is_none_or(|still| still.id != trust.id)
    {
        return Err(("workload not trusted", refused()));
    }
    // First: a token is not lost with a proof that won't do.
    let bond = bond(tenant, agent, proof).await?;
    let fresh = assertions::spend(&**tenant, agent.id, &vouched.id, vouched.expires).await;
    if !fresh.map_err(store)? {
        let hint = "A subject token can be used once: get a new one";
        return Err(("replay", refused().hint(hint)));
    }
    let epoch = if agent.status == "created" {
        agents::activate(tenant, agent.id).await.map_err(store)?
    } else {
        agent.epoch
    };
    sign(app, tenant, agent.id, epoch, bond).await
}

fn place(workspace: WorkspaceId, trust: &Trust) -> Place {
    Place {
        workspace,
        issuer: trust.issuer.clone(),
        jwks_uri: trust.jwks_uri.clone(),
    }
}

/// Of the claims only those that an admin could have named.
fn details(claimed: &Claimed) -> serde_json::Value {
    let short = |text: &str| text.chars().take(MAX_SHOWN).collect::<String>();
    json!({"issuer": short(&claimed.issuer), "subject": short(&claimed.subject)})
}

/// RFC 8693 §2.2.2. Whoever guesses does not learn which of his guesses was right.
fn refused() -> AppError {
    AppError::bad_request("invalid_request")
        .hint("The subject token is not accepted for this agent")
}

const MAX_SHOWN: usize = 512;
