//! Credentials that a provider has refused. One answer of 401 proves nothing: some endpoints refuse
//! whom they do not know. So a credential that can be had anew is, and any other is shown to the
//! provider's own probe; both at most once a minute for a connection, and a probe beside the call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ah5_contracts::id::ConnectionId;
use ah5_mail::{Fault, Way, try_imap};
use ah5_net::PoolKey;
use ah5_security::secret::SecretText;
use ah5_security::vault::SealContext;
use ah5_store::refreshes::Seen;
use bytes::Bytes;
use http::{Request, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::plane::Plane;
use crate::snapshot::Mailbox;

pub struct Suspects {
    probed: Seldom,
    renewed: Seldom,
    probes: Arc<Semaphore>,
}

/// When something was last done for a connection, and for which of its credentials.
#[derive(Default)]
struct Seldom(Mutex<HashMap<ConnectionId, (Instant, i64)>>);

// === impl Suspects ===

impl Default for Suspects {
    fn default() -> Self {
        Self {
            probed: Seldom::default(),
            renewed: Seldom::default(),
            probes: Arc::new(Semaphore::new(MOST_PROBES)),
        }
    }
}

impl Suspects {
    /// Whether its refusal is reason for a new one. Not if the refused one is itself the answer to
    /// another refusal of a moment ago.
    pub fn may_renew(&self, seen: Seen) -> bool {
        self.renewed.may(seen)
    }

    /// Has the provider say whether it is good, and tells if not. Does not wait.
    pub fn look_at(&self, plane: &Arc<Plane>, seen: Seen) {
        let Ok(turn) = self.probes.clone().try_acquire_owned() else {
            return;
        };
        if !self.probed.first(seen) {
            return;
        }
        let plane = Arc::clone(plane);
        tokio::spawn(async move {
            let _turn = turn;
            if is_refused(&plane, seen).await != Some(true) {
                return;
            }
            let marked = plane.refresher.mark_needs_reauth(seen, REASON).await;
            match marked {
                Ok(true) => {
                    tracing::warn!(connection = %seen.connection, "the provider refuses the credential")
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "a refused credential could not be noted"),
            }
        });
    }
}

/// `None` if there is no telling.
async fn is_refused(plane: &Plane, seen: Seen) -> Option<bool> {
    let request = match probe(plane, seen)? {
        Probe::Http(request) => *request,
        Probe::Mail(mailbox, password) => {
            let way = Way {
                net: &plane.upstreams,
                workspace: seen.workspace,
            };
            let tried = try_imap(way, &mailbox.servers.imap, &password).await;
            return Some(tried == Err(Fault::Login));
        }
    };
    let key = PoolKey {
        workspace: seen.workspace,
        connection: seen.connection,
    };
    let probed = timeout(DEADLINE, plane.upstreams.fetch(key, request, MAX_ANSWER)).await;
    let answer = probed.ok()?.ok()?;
    Some(answer.status() == StatusCode::UNAUTHORIZED)
}

enum Probe {
    Http(Box<Request<Bytes>>),
    Mail(Arc<Mailbox>, SecretText),
}

fn probe(plane: &Plane, seen: Seen) -> Option<Probe> {
    let workspace = plane.published.workspace(seen.workspace)?;
    let connection = workspace.connections.get(&seen.connection)?;
    let credential = connection.credential.as_ref();
    let credential = credential.filter(|credential| credential.version == seen.version)?;
    let context = SealContext {
        workspace: seen.workspace,
        connection: seen.connection,
        field: "secret",
        version: credential.version,
        service: &connection.service.id,
        auth: &connection.auth,
        destinations: &connection.destinations,
    };
    let secret = workspace.key.as_ref()?.open(&context, &credential.sealed);
    let (secret, service) = (secret.ok()?, connection.service);
    if let Some(mailbox) = &connection.mailbox {
        return Some(Probe::Mail(Arc::clone(mailbox), secret));
    }
    let request = service.probe_request(&connection.base, &connection.auth, &secret)?;
    let request = request.ok()?;
    let request = request.map(|body| Bytes::copy_from_slice(body.as_bytes()));
    Some(Probe::Http(Box::new(request)))
}

// === impl Seldom ===

impl Seldom {
    /// The first in a minute.
    fn first(&self, seen: Seen) -> bool {
        self.note(seen, |_| false)
    }

    /// The first in a minute, and whoever has seen the same credential or an older one.
    fn may(&self, seen: Seen) -> bool {
        self.note(seen, |version| seen.version <= version)
    }

    fn note(&self, seen: Seen, joins: impl Fn(i64) -> bool) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_over = |at: Instant| now.saturating_duration_since(at) >= ONCE_IN;
        match all.get(&seen.connection) {
            Some((at, version)) if !is_over(*at) => return joins(*version),
            _ => {}
        }
        if all.len() >= MOST_KNOWN {
            all.retain(|_, (at, _)| !is_over(*at));
        }
        if all.len() >= MOST_KNOWN {
            return false;
        }
        all.insert(seen.connection, (now, seen.version));
        true
    }
}

const REASON: &str = "credential_refused";
const ONCE_IN: Duration = Duration::from_secs(60);
const DEADLINE: Duration = Duration::from_secs(5);
const MAX_ANSWER: usize = 64 * 1024;
const MOST_KNOWN: usize = 10_000;
const MOST_PROBES: usize = 8;

#[cfg(test)]
mod tests {
    use ah5_contracts::id::WorkspaceId;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_new_credential_that_is_refused_too_is_not_renewed_at_once() {
        let seldom = Seldom::default();
        let first = Seen {
            workspace: WorkspaceId::random(),
            connection: ConnectionId::random(),
            version: 1,
        };
        let next = Seen {
            version: 2,
            ..first
        };
        assert!(seldom.may(first) && seldom.may(first));
        assert!(!seldom.may(next), "it is the answer to the first refusal");
        assert!(!seldom.first(first));
        tokio::time::advance(ONCE_IN).await;
        assert!(seldom.may(next));
    }
}
