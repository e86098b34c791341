//! Takes back at providers what was revoked or replaced here. It is tried for three days; the token is
//! kept, sealed, for as long and no longer.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval, timeout};
use uuid::Uuid;

use ah5_contracts::audit::{Action, ActorKind, Verdict};
use ah5_contracts::id::WorkspaceId;
use ah5_net::PoolKey;
use ah5_oauth::client::Client;
use ah5_oauth::registered::{ClientError, Consented, client_of};
use ah5_oauth::revoke::{Revoked, revoke};
use ah5_oauth::sealed::{Field, Owner};
use ah5_providers::custom;
use ah5_security::random;
use ah5_security::secret::SecretText;
use ah5_store::StoreError;
use ah5_store::revocations::{self, Ended, Revocation};
use ah5_store::tenant::Tenant;

use crate::app::{App, Record};
use crate::vault;

/// Runs for as long as the process.
pub async fn run(app: App) {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = look(&app, &turns).await {
            tracing::warn!(%error, "what is to be revoked cannot be read; it is tried again soon");
        }
    }
}

async fn look(app: &App, turns: &Arc<Semaphore>) -> Result<(), StoreError> {
    let free = i32::try_from(turns.available_permits()).unwrap_or(0);
    if free == 0 {
        return Ok(());
    }
    let db = app.db().await?;
    let claimed = revocations::claim(&db, free, LEASE_SECONDS).await?;
    drop(db);
    for (workspace, id) in claimed {
        let Ok(turn) = turns.clone().try_acquire_owned() else {
            break;
        };
        let app = app.clone();
        tokio::spawn(async move {
            if let Err(error) = see_to(&app, workspace, id).await {
                // The lease ends by itself.
                tracing::warn!(%id, %error, "a revocation was not settled");
            }
            drop(turn);
        });
    }
    Ok(())
}

async fn see_to(app: &App, workspace: WorkspaceId, id: Uuid) -> Result<(), StoreError> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    let Some(revocation) = revocations::get(&tenant, id).await? else {
        return Ok(());
    };
    let opened = open(app, &tenant, &revocation).await?;
    tenant.commit().await?;
    // No connection to the database is held while the provider is slow.
    drop(db);
    let ended = match opened {
        Ok((client, token)) => send(app, workspace, &revocation, &client, &token).await,
        Err(why) => {
            tracing::error!(%id, why, "a token cannot be revoked at its provider");
            is_past_hope(&revocation).then_some(Ended::Failed)
        }
    };
    settle(app, workspace, &revocation, ended).await
}

/// The token, and the client that may show it; or why not, which may be mended.
async fn open(
    app: &App,
    tenant: &Tenant<'_>,
    revocation: &Revocation,
) -> Result<Result<(Client, SecretText), String>, StoreError> {
    let Some(key) = vault::data_key(app, tenant).await? else {
        return Ok(Err("the workspace's data key does not open".to_owned()));
    };
    let consented = Consented {
        provider: &revocation.provider,
        app: revocation.oauth_app,
        token_url: &revocation.token_url,
    };
    let client = match client_of(tenant, &key, app.config.oauth.installation(), consented).await {
        Ok(client) => client,
        Err(ClientError::Store(error)) => return Err(error),
        Err(error) => return Ok(Err(error.to_string())),
    };
    let field = match revocation.is_refresh {
        true => Field::Refresh,
        false => Field::Secret,
    };
    let token = Owner::of_revocation(tenant.workspace(), revocation)
        .and_then(|owner| owner.open(&key, field, revocation.version, &revocation.sealed));
    Ok(token
        .map(|token| (client, token))
        .map_err(|error| error.to_string()))
}

/// Of a provider that the workspace had described itself and has deleted: nobody knows any more where
/// the token could be shown, and it is sealed for that client.
fn is_past_hope(revocation: &Revocation) -> bool {
    revocation.provider == custom::PROVIDER && revocation.oauth_app.is_none()
}

/// `None`: it may be tried again.
async fn send(
    app: &App,
    workspace: WorkspaceId,
    revocation: &Revocation,
    client: &Client,
    token: &SecretText,
) -> Option<Ended> {
    let key = PoolKey {
        workspace,
        connection: revocation.connection,
    };
    let sent = revoke(&app.net, key, client, token, revocation.is_refresh);
    match timeout(DEADLINE, sent).await {
        Ok(Ok(Revoked::Done)) => Some(Ended::Revoked),
        Ok(Ok(Revoked::NoWay)) => Some(Ended::Unsupported),
        Ok(Err(error)) => {
            let why = error.word();
            tracing::warn!(id = %revocation.id, why, "a token was not revoked at its provider");
            None
        }
        Err(_) => None,
    }
}

async fn settle(
    app: &App,
    workspace: WorkspaceId,
    revocation: &Revocation,
    ended: Option<Ended>,
) -> Result<(), StoreError> {
    let age = Timestamp::now().as_second() - revocation.created_at.as_second();
    let ended = ended.or((age >= LONGEST_SECONDS).then_some(Ended::Failed));
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    let Some(ended) = ended else {
        revocations::put_off(&tenant, revocation, pause(revocation.attempts)).await?;
        return tenant.commit().await;
    };
    if !revocations::settle(&tenant, revocation, ended).await? {
        return Ok(());
    }
    let details = json!({"provider": revocation.provider, "result": ended.as_str()});
    let by = (ActorKind::System, String::new());
    let record = Record::new(by, Action::ConnectionRevokedUpstream, details);
    let decision = match ended {
        Ended::Revoked => Verdict::Allowed,
        Ended::Failed | Ended::Unsupported => Verdict::Error,
    };
    let record = Record { decision, ..record };
    app.record(&tenant, record.connection(revocation.connection))
        .await?;
    tenant.commit().await
}

/// Seconds: doubling from five to an hour, give or take a quarter.
fn pause(attempts: i32) -> i32 {
    let usual = (5 << attempts.clamp(1, 11).saturating_sub(1)).min(3600);
    let [byte] = random::bytes::<1>();
    usual * (192 + i32::from(byte) / 2) / 256
}

const AT_ONCE: usize = 8;
const DEADLINE: Duration = Duration::from_secs(10);
/// Longer than a provider is given, with what goes before and comes after.
const LEASE_SECONDS: i32 = 60;
const LONGEST_SECONDS: i64 = 3 * 24 * 3600;
const LOOK_EVERY: Duration = Duration::from_secs(1);
