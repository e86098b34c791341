//! Credentials that expire: had anew before a call is sent, and after a provider has refused one, once.
//! The old one is used for as long as it is good. A call that a person approved, and one that would do
//! something twice, is never sent again.

use std::sync::Arc;
use std::time::Duration;

use ah5_contracts::connection::Auth;
use ah5_contracts::id::ConnectionId;
use ah5_contracts::policy::Method;
use ah5_net::Body;
use ah5_oauth::refresh::{Fresh, RefreshError};
use ah5_store::refreshes::Seen;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, StatusCode};
use jiff::Timestamp;
use tokio::time::timeout;

use super::dues::check_sent;
use super::forward::Provider;
use super::{Caller, Kind, Refusal, unseal};
use crate::plane::Plane;
use crate::snapshot::Connection;

/// Whose credential a call goes out with.
pub struct Account {
    pub seen: Seen,
    is_refreshable: bool,
    /// It was had anew for this very call.
    is_new: bool,
    replay: Option<Replay>,
}

/// A request that may be sent a second time, without its credential.
struct Replay {
    parts: Parts,
    body: Bytes,
    auth: Auth,
}

/// The new credential of a connection whose own is about to expire, if there is one in time.
///
/// # Errors
/// 409 when a person has to connect the account again, 503 when it has expired and there is no new one.
pub async fn ahead(
    plane: &Plane,
    caller: &Caller,
    id: ConnectionId,
) -> Result<Option<Arc<Fresh>>, Refusal> {
    let connection = caller.workspace.connections.get(&id);
    let Some(credential) = connection.and_then(|connection| connection.credential.as_ref()) else {
        return Ok(None);
    };
    let (Some(due), Some(ends)) = (credential.due, credential.expires) else {
        return Ok(None);
    };
    let now = Timestamp::now().as_second();
    if now < due {
        return Ok(None);
    }
    let seen = Seen {
        workspace: caller.workspace_id,
        connection: id,
        version: credential.version,
    };
    let refreshing = plane.refresher.refresh(seen);
    let spare = u64::try_from(ends - now - LEAST_SECONDS).unwrap_or_default();
    if spare == 0 {
        return refreshing.await.map(Some).map_err(refused);
    }
    match timeout(MOST_WAIT.min(Duration::from_secs(spare)), refreshing).await {
        Ok(Ok(fresh)) => Ok(Some(fresh)),
        Ok(Err(error @ (RefreshError::Gone | RefreshError::NeedsReauth))) => Err(refused(error)),
        Ok(Err(RefreshError::Later { .. })) | Err(_) => Ok(None),
    }
}

/// After a 401: has the credential renewed, or looked at, and sends the request once more if that can do
/// no harm. What can't be had or sent leaves the provider's first answer as it is.
///
/// # Errors
/// 403 when the call stopped being allowed meanwhile.
pub async fn after_refusal(
    plane: &Arc<Plane>,
    provider: Provider,
    account: Account,
    is_approved: bool,
) -> Result<Provider, Refusal> {
    if provider.response.status() != StatusCode::UNAUTHORIZED || account.is_new {
        return Ok(provider);
    }
    let seen = account.seen;
    if !account.is_refreshable {
        plane.suspects.look_at(plane, seen);
        return Ok(provider);
    }
    if !plane.suspects.may_renew(seen) {
        return Ok(provider);
    }
    let Some(replay) = account.replay.filter(|_| !is_approved) else {
        plane.refresher.begin(seen);
        return Ok(provider);
    };
    match plane.refresher.refresh(seen).await {
        Ok(fresh) if fresh.version != seen.version => again(plane, provider, replay, &fresh).await,
        _ => Ok(provider),
    }
}

async fn again(
    plane: &Plane,
    first: Provider,
    replay: Replay,
    fresh: &Fresh,
) -> Result<Provider, Refusal> {
    check_sent(plane, &first.exchange)?;
    let Replay {
        mut parts,
        body,
        auth,
    } = replay;
    let scrubber = unseal::put_in(&auth, &fresh.access, &mut parts)?;
    let request = Request::from_parts(parts, Body::from(body));
    let sent = plane.upstreams.send(first.exchange.key, request).await;
    check_sent(plane, &first.exchange)?;
    Ok(match sent {
        Ok(response) => Provider {
            response,
            scrubber,
            exchange: first.exchange,
        },
        Err(_) => first,
    })
}

pub fn needs_reauth() -> Refusal {
    Refusal::conflict("Connection requires reauthentication")
        .hint("A person has to connect the account again.")
}

pub fn revoked() -> Refusal {
    Refusal::conflict("Connection has been revoked")
}

fn refused(error: RefreshError) -> Refusal {
    match error {
        RefreshError::Gone => revoked(),
        RefreshError::NeedsReauth => needs_reauth(),
        RefreshError::Later { after } => {
            let seconds = u32::try_from(after.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
            let why = "The connection's credential has expired and could not be refreshed yet";
            Refusal::unavailable(Kind::Upstream, why).retry_after(seconds.clamp(1, 3600))
        }
    }
}

// === impl Account ===

impl Account {
    pub fn of(
        caller: &Caller,
        id: ConnectionId,
        connection: &Connection,
        renewed: Option<&Fresh>,
    ) -> Self {
        let credential = connection.credential.as_ref();
        let stored = credential.map_or(0, |credential| credential.version);
        Self {
            seen: Seen {
                workspace: caller.workspace_id,
                connection: id,
                version: renewed.map_or(stored, |fresh| fresh.version),
            },
            is_refreshable: credential.is_some_and(|credential| credential.is_refreshable),
            is_new: renewed.is_some(),
            replay: None,
        }
    }

    /// Keeps what a second sending takes: only of what may be done twice, and only if there is a new
    /// credential to be had.
    pub fn replayable(
        self,
        auth: &Auth,
        parts: &Parts,
        method: Method,
        body: Option<Bytes>,
    ) -> Self {
        let idempotent = matches!(method, Method::Delete | Method::Get | Method::Put);
        let may = self.is_refreshable && !self.is_new && idempotent;
        let replay = body.filter(|_| may).map(|body| Replay {
            parts: parts.clone(),
            body,
            auth: auth.clone(),
        });
        Self { replay, ..self }
    }
}

/// A call waits no longer for a new credential while the old one is good.
const MOST_WAIT: Duration = Duration::from_secs(2);
/// What has less left may expire on its way.
const LEAST_SECONDS: i64 = 5;
