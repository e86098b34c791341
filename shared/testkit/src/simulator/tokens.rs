//! A provider's token endpoint (RFC 6749 §6) that rotates refresh tokens and takes none twice, and its
//! revocation endpoint (RFC 7009). Tests decide what goes wrong and when it answers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use http::{HeaderValue, Response, header};
use serde_json::{Value, json};
use tokio::sync::watch;
use url::form_urlencoded;

use super::connection::Received;
use super::routes::{json_answer, text_answer};
use super::wire::{Script, Then};
use super::{Body, Simulator, lock};

/// Cheap to clone.
#[derive(Clone)]
pub struct TokenEndpoint {
    state: Arc<Mutex<State>>,
    gate: Arc<watch::Sender<Gate>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

/// What the next requests get instead of tokens.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// `{"error": …}` with 400.
    Error(&'static str),
    /// 200 with something else.
    Malformed,
    /// The connection is reset instead of an answer.
    Reset,
    /// With this `Retry-After`, if any.
    Status(u16, Option<u32>),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gate {
    /// Requests wait before anything is done about them.
    Before,
    /// Tokens are made, and answers wait.
    After,
    #[default]
    Open,
}

struct State {
    grants: Vec<Grant>,
    trouble: VecDeque<Trouble>,
    trouble_revoking: VecDeque<Trouble>,
    expires_in: u64,
    made: u64,
    counts: Counts,
}

struct Grant {
    refresh: String,
    spent: Vec<String>,
    access: String,
    ended: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub requests: u64,
    /// Refresh tokens that were exchanged.
    pub refreshed: u64,
    /// Refresh tokens that came a second time: their grant ends.
    pub replayed: u64,
    pub revoked: u64,
    pub under_way: u64,
    pub most_under_way: u64,
}

// === impl TokenEndpoint ===

impl TokenEndpoint {
    /// From now on the simulator has it at these paths.
    #[must_use]
    pub fn play(simulator: &Simulator, token: &str, revoke: &str) -> Self {
        let endpoint = Self {
            state: Arc::new(Mutex::new(State {
                grants: Vec::new(),
                trouble: VecDeque::new(),
                trouble_revoking: VecDeque::new(),
                expires_in: 3600,
                made: 0,
                counts: Counts::default(),
            })),
            gate: Arc::new(watch::Sender::new(Gate::Open)),
        };
        let at_token = endpoint.clone();
        simulator.on(token, move |received| {
            let endpoint = at_token.clone();
            async move { endpoint.answer(&received).await }
        });
        let at_revoke = endpoint.clone();
        simulator.on(revoke, move |received| {
            let endpoint = at_revoke.clone();
            async move { endpoint.revoke(&received) }
        });
        endpoint
    }

    /// As if a person had consented.
    #[must_use]
    pub fn grant(&self) -> Tokens {
        let mut state = lock(&self.state);
        let tokens = state.make();
        state.grants.push(Grant {
            refresh: tokens.refresh.clone(),
            spent: Vec::new(),
            access: tokens.access.clone(),
            ended: false,
        });
        tokens
    }

    /// Whether this access token is the last one of a grant that has not ended.
    #[must_use]
    pub fn accepts(&self, access: &str) -> bool {
        let state = lock(&self.state);
        let mut grants = state.grants.iter();
        grants.any(|grant| !grant.ended && grant.access == access)
    }

    /// No access token that was handed out so far is good any more; refresh tokens are.
    pub fn end_access(&self) {
        for grant in &mut lock(&self.state).grants {
            grant.access.clear();
        }
    }

    /// The person takes it back.
    pub fn end(&self, refresh: &str) {
        let mut state = lock(&self.state);
        let mut grants = state.grants.iter_mut();
        if let Some(grant) = grants.find(|grant| grant.knows(refresh)) {
            grant.ended = true;
        }
    }

    #[must_use]
    pub fn has_ended(&self, refresh: &str) -> bool {
        let state = lock(&self.state);
        let mut grants = state.grants.iter();
        grants.any(|grant| grant.ended && grant.knows(refresh))
    }

    /// Of tokens from now on, in seconds.
    pub fn expire_in(&self, seconds: u64) {
        lock(&self.state).expires_in = seconds;
    }

    /// What the next requests get, one each.
    pub fn trouble(&self, next: impl IntoIterator<Item = Trouble>) {
        lock(&self.state).trouble.extend(next);
    }

    /// The same for revocations.
    pub fn trouble_revoking(&self, next: impl IntoIterator<Item = Trouble>) {
        lock(&self.state).trouble_revoking.extend(next);
    }

    pub fn gate(&self, gate: Gate) {
        self.gate.send_replace(gate);
    }

    #[must_use]
    pub fn counts(&self) -> Counts {
        lock(&self.state).counts
    }

    async fn answer(&self, received: &Received) -> Response<Body> {
        let _under_way = UnderWay::begin(self);
        let mut gate = self.gate.subscribe();
        let _ = gate.wait_for(|gate| *gate != Gate::Before).await;
        let answer = lock(&self.state).exchange(received);
        let _ = gate.wait_for(|gate| *gate == Gate::Open).await;
        answer
    }

    fn revoke(&self, received: &Received) -> Response<Body> {
        let token = field(received, "token").unwrap_or_default();
        let mut state = lock(&self.state);
        state.counts.revoked += 1;
        if let Some(trouble) = state.trouble_revoking.pop_front() {
            return trouble.answer();
        }
        let mut grants = state.grants.iter_mut();
        let of = |grant: &&mut Grant| grant.knows(&token) || grant.access == token;
        if let Some(grant) = grants.find(of) {
            grant.ended = true;
        }
        json_answer(200, &json!({}))
    }
}

/// Also a client that hangs up ends it.
struct UnderWay<'a>(&'a TokenEndpoint);

impl<'a> UnderWay<'a> {
    fn begin(endpoint: &'a TokenEndpoint) -> Self {
        let counts = &mut lock(&endpoint.state).counts;
        counts.requests += 1;
        counts.under_way += 1;
        counts.most_under_way = counts.most_under_way.max(counts.under_way);
        Self(endpoint)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).counts.under_way -= 1;
    }
}

// === impl State ===

impl State {
    fn make(&mut self) -> Tokens {
        self.made += 1;
        let secret = uuid::Uuid::new_v4().simple();
        Tokens {
            access: format!("planted-access-{}-{secret}", self.made),
            refresh: format!("planted-refresh-{}-{secret}", self.made),
        }
    }

    fn exchange(&mut self, received: &Received) -> Response<Body> {
        if let Some(trouble) = self.trouble.pop_front() {
            return trouble.answer();
        }
        let given = field(received, "refresh_token").unwrap_or_default();
        let next = self.make();
        let expires_in = self.expires_in;
        let refused = json_answer(400, &json!({"error": "invalid_grant"}));
        let Some(grant) = self.grants.iter_mut().find(|grant| grant.knows(&given)) else {
            return refused;
        };
        if grant.refresh != given {
            grant.ended = true;
            self.counts.replayed += 1;
            return refused;
        }
        if grant.ended {
            return refused;
        }
        let spent = std::mem::replace(&mut grant.refresh, next.refresh.clone());
        grant.spent.push(spent);
        grant.access.clone_from(&next.access);
        self.counts.refreshed += 1;
        let body = json!({"access_token": next.access, "refresh_token": next.refresh,
            "token_type": "Bearer", "expires_in": expires_in});
        json_answer(200, &body)
    }
}

// === impl Trouble ===

impl Trouble {
    fn answer(self) -> Response<Body> {
        match self {
            Self::Error(error) => json_answer(400, &json!({"error": error})),
            Self::Malformed => text_answer(200, "<html>Sorry</html>"),
            Self::Reset => reset(),
            Self::Status(status, after) => {
                let mut answer = text_answer(status, "no");
                if let Some(after) = after {
                    let after = HeaderValue::from(after);
                    answer.headers_mut().insert(header::RETRY_AFTER, after);
                }
                answer
            }
        }
    }
}

// === impl Grant ===

impl Grant {
    fn knows(&self, refresh: &str) -> bool {
        self.refresh == refresh || self.spent.iter().any(|spent| spent == refresh)
    }
}

/// Of a form, or of JSON.
fn field(received: &Received, name: &str) -> Option<String> {
    if let Ok(body) = serde_json::from_slice::<Value>(&received.body) {
        return body[name].as_str().map(str::to_owned);
    }
    let mut pairs = form_urlencoded::parse(&received.body);
    pairs.find_map(|(found, value)| (found == name).then(|| value.into_owned()))
}

fn reset() -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    answer.extensions_mut().insert(Script {
        bytes: bytes::Bytes::new(),
        then: Then::Reset,
    });
    answer
}
