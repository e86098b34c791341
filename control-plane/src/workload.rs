//! The issuers of tokens that vouch for workloads, and their keys. An issuer is known because an admin
//! of some workspace has named it; what it answers is hostile input.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ah5_contracts::id::WorkspaceId;
use ah5_net::Upstreams;
use ah5_security::id_token::IssuerKeys;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;

use crate::app::App;
use crate::social::http::{Ask, Fetch};

/// The keys of all issuers that are in use. One request at a time fetches those of one issuer; a few
/// others wait for that.
pub struct Issuers {
    fetch: Fetch,
    known: Mutex<HashMap<Place, Entry>>,
}

/// Where keys come from. Another admin who names another place for the same issuer has other keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Keys are fetched as one workspace may, and are good for no other.
    pub workspace: WorkspaceId,
    pub issuer: String,
    /// If not where the issuer's own discovery document says.
    pub jwks_uri: Option<String>,
}

struct Entry {
    slot: Arc<Slot>,
    used: Instant,
}

struct Slot {
    keys: tokio::sync::Mutex<Keys>,
    turns: Arc<Semaphore>,
}

#[derive(Default)]
struct Keys {
    held: Option<(Instant, Arc<IssuerKeys>)>,
    /// Whether it went well or not.
    tried: Option<Instant>,
}

/// There are no keys to judge by.
#[derive(Clone, Copy, Debug)]
pub struct Unavailable;

/// Tokens that we sign vouch for nobody: else a token could be traded for another for ever.
pub fn is_ours(app: &App, issuer: &str) -> bool {
    let bare = issuer.trim_end_matches('/');
    let origin = Url::parse(issuer).map(|url| url.origin().ascii_serialization());
    let is_at_ours = origin.is_ok_and(|origin| app.origins.contains(&origin));
    is_at_ours || app.origins.iter().any(|it| it == bare) || issuer == app.config.jwt_issuer
}

/// Whether keys may come from here at all.
pub fn may_ask(app: &App, workspace: WorkspaceId, url: &str) -> bool {
    let Ok(parsed) = Url::parse(url) else {
        return false;
    };
    let plain = parsed.username().is_empty()
        && parsed.password().is_none()
        && parsed.fragment().is_none()
        && url.bytes().all(|b| b.is_ascii_graphic());
    let fetch = app.issuers.fetch.of(workspace);
    plain && fetch.is_safe(&parsed) && !is_ours(app, url)
}

// === impl Issuers ===

impl Issuers {
    pub fn new(net: &Upstreams) -> Self {
        Self {
            fetch: Fetch::new(net.clone()),
            known: Mutex::default(),
        }
    }

    pub async fn keys(&self, place: &Place) -> Result<Arc<IssuerKeys>, Unavailable> {
        self.known(place, MAX_AGE).await
    }

    /// For a token whose key is none of those. Asked as often as it may be, the issuer is not: the
    /// keys are then the same ones.
    pub async fn newer_keys(&self, place: &Place) -> Result<Arc<IssuerKeys>, Unavailable> {
        self.known(place, Duration::ZERO).await
    }

    async fn known(
        &self,
        place: &Place,
        max_age: Duration,
    ) -> Result<Arc<IssuerKeys>, Unavailable> {
        let slot = self.slot(place);
        let turn = slot.turns.clone().try_acquire_owned();
        let turn = turn.map_err(|_| Unavailable)?;
        let (fetch, place) = (self.fetch.of(place.workspace), place.clone());
        // On its own: whoever asked may go away, and the others must not go without keys for that.
        let asked = tokio::spawn(async move {
            let _turn = turn;
            slot.known(&fetch, &place, max_age).await
        });
        asked.await.map_err(|_| Unavailable)?
    }

    fn slot(&self, place: &Place) -> Arc<Slot> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains_key(place) && known.len() >= MAX_ISSUERS {
            let oldest = known.iter().min_by_key(|(_, entry)| entry.used);
            let oldest = oldest.map(|(place, _)| place.clone());
            oldest.and_then(|oldest| known.remove(&oldest));
        }
        let entry = known.entry(place.clone()).or_insert_with(Entry::new);
        entry.used = Instant::now();
        entry.slot.clone()
    }
}

// === impl Entry ===

impl Entry {
    fn new() -> Self {
        Self {
            slot: Arc::new(Slot {
                keys: tokio::sync::Mutex::default(),
                turns: Arc::new(Semaphore::new(MAX_WAITING)),
            }),
            used: Instant::now(),
        }
    }
}

// === impl Slot ===

impl Slot {
    async fn known(
        &self,
        fetch: &Fetch,
        place: &Place,
        max_age: Duration,
    ) -> Result<Arc<IssuerKeys>, Unavailable> {
        let mut keys = self.keys.lock().await;
        if let Some(held) = keys.younger_than(max_age) {
            return Ok(held);
        }
        let is_due = keys.tried.is_none_or(|tried| tried.elapsed() >= COOL_DOWN);
        if is_due {
            keys.tried = Some(Instant::now());
            match load(fetch, place).await {
                Some(fresh) => keys.held = Some((Instant::now(), Arc::new(fresh))),
                None => tracing::warn!(issuer = place.issuer, "an issuer's keys cannot be had"),
            }
        }
        keys.younger_than(MAX_STALE).ok_or(Unavailable)
    }
}

// === impl Keys ===

impl Keys {
    fn younger_than(&self, age: Duration) -> Option<Arc<IssuerKeys>> {
        let (at, keys) = self.held.as_ref()?;
        (at.elapsed() < age).then(|| keys.clone())
    }
}

async fn load(fetch: &Fetch, place: &Place) -> Option<IssuerKeys> {
    let uri = match &place.jwks_uri {
        Some(uri) => uri.clone(),
        None => discover(fetch, &place.issuer).await?,
    };
    // Also of what a discovery document says.
    Url::parse(&uri).ok().filter(|url| fetch.is_safe(url))?;
    let (status, set) = fetch.send(&uri, &Ask::Get(None)).await.ok()?;
    IssuerKeys::parse(&set).filter(|_| status.is_success())
}

/// OpenID Connect Discovery §4; the document must be the issuer's own (§4.3).
async fn discover(fetch: &Fetch, issuer: &str) -> Option<String> {
    let base = issuer.trim_end_matches('/');
    let url = format!("{base}/.well-known/openid-configuration");
    let document = fetch.object(&url, &Ask::Get(None)).await.ok()?;
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    let uri = text("jwks_uri").filter(|_| text("issuer") == Some(issuer));
    uri.map(str::to_owned)
}

/// After an attempt, good or bad, the issuer is left alone for so long.
const COOL_DOWN: Duration = Duration::from_secs(30);
const MAX_AGE: Duration = Duration::from_secs(600);
/// Of keys that are used while their issuer does not answer: a key that it has withdrawn is good for
/// so long at most.
const MAX_STALE: Duration = Duration::from_secs(3600);
/// More are forgotten, beginning with the one that was used least lately.
const MAX_ISSUERS: usize = 1000;
/// For one issuer's answer, at a time.
const MAX_WAITING: usize = 16;
