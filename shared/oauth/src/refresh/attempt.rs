//! One use of a refresh token, by whoever holds the lease.

use std::sync::Arc;
use std::time::Duration;

use ah5_security::secret::SecretText;
use ah5_security::vault::DataKey;
use ah5_store::StoreError;
use ah5_store::refreshes::{self, Committed, Seen};
use ah5_store::tenant::Tenant;
use metrics::counter;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::journal::Handed;
use super::{Answer, Fresh, Inner, RefreshError, pause, pool_key, stored};
use crate::client::Client;
use crate::registered::{ClientError, Consented, client_of};
use crate::sealed::{Field, Owner};
use crate::token::{self, TokenError, TokenSet};

pub struct Held {
    pub seen: Seen,
    pub lease: Uuid,
    /// From before it was asked for.
    pub since: Instant,
    pub failures: u32,
    pub doubtful: bool,
}

/// Everything that the exchange needs, read before it begins.
struct Prepared {
    client: Client,
    owner: Owner,
    key: DataKey,
    refresh: SecretText,
}

/// Why it does not begin.
enum Unready {
    /// Another credential has taken the place.
    Superseded,
    /// The operator, or a person of the workspace, has to mend it. The account itself may be well.
    Unfit(String),
}

pub async fn run(inner: &Inner, held: Held) -> Result<Answer, StoreError> {
    let seen = held.seen;
    let prepared = match prepare(inner, seen).await? {
        Ok(prepared) => prepared,
        Err(Unready::Superseded) => {
            give_back(inner, &held, Duration::ZERO, false).await?;
            return inner.current(seen).await;
        }
        Err(Unready::Unfit(why)) => {
            tracing::error!(connection = %seen.connection, why, "a token cannot be refreshed");
            give_back(inner, &held, UNFIT, false).await?;
            return Ok(Err(RefreshError::Later { after: UNFIT }));
        }
    };
    let db = inner.pool.get().await?;
    let begun = refreshes::begin(&db, seen.connection, held.lease, AT_LEAST_SECONDS).await?;
    drop(db);
    // A process that was stopped in between must not go on with somebody else's turn.
    if !begun || held.since.elapsed() > LATEST_BEGIN {
        give_back(inner, &held, Duration::ZERO, false).await?;
        return Ok(Err(super::SOON));
    }
    let asked = token::refresh(
        &inner.net,
        pool_key(seen),
        &prepared.client,
        &prepared.refresh,
    );
    let answered = timeout(DEADLINE, asked).await;
    let answered = answered.unwrap_or(Err(TokenError::Unavailable {
        kind: "timeout",
        sent: true,
        retry_after: None,
    }));
    counter!("ah5_token_refreshes_total", "outcome" => outcome(&answered)).increment(1);
    match answered {
        Ok(tokens) => keep(inner, &prepared, seen, tokens).await,
        Err(TokenError::Grant(_)) => {
            let why = reason(held.doubtful);
            tracing::warn!(connection = %seen.connection, why, "the provider refuses the refresh token");
            let db = inner.pool.get().await?;
            match refreshes::refuse(&db, seen, held.lease, why).await? {
                true => Ok(Err(RefreshError::NeedsReauth)),
                false => {
                    drop(db);
                    inner.current(seen).await
                }
            }
        }
        Err(error) => {
            let after = pause::after(held.failures, &error);
            let why = error.word();
            tracing::warn!(connection = %seen.connection, why, ?after, "a token was not refreshed");
            give_back(inner, &held, after, is_doubtful(&error)).await?;
            Ok(Err(RefreshError::Later { after }))
        }
    }
}

/// What the provider made of it, for operators.
const fn outcome(answered: &Result<TokenSet, TokenError>) -> &'static str {
    match answered {
        Ok(_) => "refreshed",
        Err(TokenError::Grant(_)) => "refused",
        Err(_) => "failed",
    }
}

async fn prepare(inner: &Inner, seen: Seen) -> Result<Result<Prepared, Unready>, StoreError> {
    let mut db = inner.pool.get().await?;
    let tenant = Tenant::begin(&mut db, seen.workspace).await?;
    let Some((connection, credential)) = stored(&tenant, seen.connection).await? else {
        return Ok(Err(Unready::Superseded));
    };
    let (Some(sealed), true) = (
        &credential.sealed_refresh,
        credential.version == seen.version,
    ) else {
        return Ok(Err(Unready::Superseded));
    };
    let unfit = |why: &str| Ok(Err(Unready::Unfit(why.to_owned())));
    let key = inner.data_key(&tenant).await?;
    let Some(key) = key else {
        return unfit("the workspace's data key does not open");
    };
    let Some(token_url) = connection.token_url.as_deref() else {
        return unfit("the connection has no token endpoint");
    };
    let consented = Consented {
        provider: &connection.provider,
        app: connection.oauth_app,
        token_url,
    };
    let client = match client_of(&tenant, &key, &inner.installation, consented).await {
        Ok(client) => client,
        Err(ClientError::Store(error)) => return Err(error),
        Err(error) => return unfit(&error.to_string()),
    };
    let opened = Owner::of(seen.workspace, &connection).and_then(|owner| {
        let refresh = owner.open(&key, Field::Refresh, credential.version, sealed)?;
        Ok((owner, refresh))
    });
    let Ok((owner, refresh)) = opened else {
        return unfit("the refresh token does not open");
    };
    tenant.commit().await?;
    Ok(Ok(Prepared {
        client,
        owner,
        key,
        refresh,
    }))
}

/// From here on the old token may be good no more: disk first, then the database.
async fn keep(
    inner: &Inner,
    prepared: &Prepared,
    seen: Seen,
    tokens: TokenSet,
) -> Result<Answer, StoreError> {
    let Prepared { owner, key, .. } = prepared;
    let version = seen.version + 1;
    let refresh = tokens.refresh.as_ref().unwrap_or(&prepared.refresh);
    let mut handed = Handed::new(
        seen,
        owner.seal(key, Field::Secret, version, &tokens.access),
        owner.seal(key, Field::Refresh, version, refresh),
    );
    handed.expires_at = tokens.expires_at;
    handed.scopes = tokens.scopes;
    let file = inner.journal.write(&handed).await;
    if let Err(error) = &file {
        tracing::error!(%error, "a refreshed token cannot be written to disk; the database has it alone");
    }
    let committed = commit(inner, &handed).await;
    if let (Ok(_), Ok(path)) = (&committed, &file) {
        inner.journal.remove(path);
    }
    match committed {
        Ok(Committed::Done) => {
            tracing::info!(connection = %seen.connection, version, "a token was refreshed")
        }
        Ok(Committed::Revoked) => return Ok(Err(RefreshError::Gone)),
        Ok(Committed::Superseded) => return inner.current(seen).await,
        // It is good all the same, and the journal has it.
        Err(error) => {
            tracing::error!(connection = %seen.connection, %error, "a refreshed token waits for the database")
        }
    }
    Ok(Ok(Arc::new(Fresh {
        access: tokens.access,
        version,
        expires_at: tokens.expires_at,
    })))
}

/// Tries for as long as the lease keeps others away.
async fn commit(inner: &Inner, handed: &Handed) -> Result<Committed, StoreError> {
    let began = Instant::now();
    loop {
        let tried = async {
            let db = inner.pool.get().await?;
            refreshes::commit(&db, &handed.renewal()).await
        };
        match tried.await {
            Err(StoreError::Unavailable(_)) if began.elapsed() < COMMIT => {
                sleep(COMMIT_PAUSE).await;
            }
            settled => return settled,
        }
    }
}

async fn give_back(
    inner: &Inner,
    held: &Held,
    pause: Duration,
    doubt: bool,
) -> Result<(), StoreError> {
    let db = inner.pool.get().await?;
    refreshes::fail(&db, held.seen.connection, held.lease, pause, doubt).await
}

/// Whether the provider may have taken the token although it did not say so.
const fn is_doubtful(error: &TokenError) -> bool {
    matches!(error, TokenError::Unavailable { sent: true, .. })
}

const fn reason(doubtful: bool) -> &'static str {
    match doubtful {
        true => "refresh_interrupted",
        false => "invalid_grant",
    }
}

/// For the provider's answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// What must be left of the lease when the token is shown.
const AT_LEAST_SECONDS: i32 = 15;
/// Of the lease, as this process's own clock has it.
const LATEST_BEGIN: Duration = Duration::from_secs(15);
const COMMIT: Duration = Duration::from_secs(10);
const COMMIT_PAUSE: Duration = Duration::from_millis(200);
/// Until what people have to mend is looked at again.
const UNFIT: Duration = Duration::from_secs(60);
