//! What is to become of a request, and whether it did.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use ah5_harness::stack::Stack;
use ah5_testkit::client::Http;
use ah5_testkit::simulator::Entry;
use http::Method;
use serde_json::Value;

use crate::support::{self, SECRET, World};

#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// It began, and broke off: nothing whole arrives.
    Broken,
    /// Nothing arrives: it is refused by who has read it whole, so that what is behind it is a request
    /// of its own.
    Denied(&'static [u16]),
    /// Nothing arrives, and the connection ends. With one of these statuses; whatever the answer is, if there are none.
    Refused(&'static [u16]),
    /// It is the one request that was judged, with this body.
    Sent(&'static str),
}

/// A request that was tried.
pub struct Tried {
    pub what: String,
    pub fate: Fate,
    /// Nobody else's, below the base URL.
    pub path: String,
    /// The body that a provider may get.
    pub body: String,
    /// Of rows of the trail that there must be: action and id.
    pub recorded: Vec<(&'static str, String)>,
}

/// A data plane behind nginx, for all tests that run at the same time.
pub fn stack() -> Arc<Stack> {
    static SHARED: Mutex<Weak<Stack>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(stack) = shared.upgrade() {
        return stack;
    }
    let builder = support::settings(Stack::builder()).data_planes(1);
    let stack = Arc::new(builder.start().unwrap());
    *shared = Arc::downgrade(&stack);
    stack
}

/// An agent that may call everything below `/v2/echo`, and nothing else.
pub async fn world() -> World {
    let world = World::closed(stack()).await;
    world.allow(&["GET", "POST", "PUT"], "/v2/echo/**").await;
    world
}

/// Where the agent's own things are: everybody uses the same provider.
pub fn path(world: &World, name: &str) -> String {
    format!("/echo/{}/{name}", world.agent.id)
}

/// The next call of a client that means well is served as ever.
pub async fn others_are_served(world: &World, way: &Http) -> Result<(), String> {
    let path = path(world, "good");
    let call = world
        .agent
        .proxy(&world.connection, Method::PUT, &path)
        .header("content-type", "text/plain")
        .body("good");
    let answer = way.send(call).await.map_err(|error| format!("{error:#}"))?;
    let echoed = answer.json();
    let is_its_own = echoed["path"] == format!("/v2{path}") && echoed["body"] == "good";
    match answer.status.as_u16() == 200 && is_its_own {
        true => Ok(()),
        false => Err(format!("the next call got {}", answer.text())),
    }
}

/// What is wrong with what the provider got and with what was written down of it.
pub async fn judge(world: &World, tried: &[Tried]) -> Vec<String> {
    let journal = world.provider.journal(0).await.unwrap();
    let ours: Vec<Entry> = journal
        .into_iter()
        .filter(|entry| entry.path().contains(&world.agent.id))
        .collect();
    let mut faults = Vec::new();
    for one in tried {
        let arrived = ours.iter();
        let arrived = arrived.filter(|entry| entry.path() == format!("/v2{}", one.path));
        if let Err(fault) = one.check(world, &arrived.collect::<Vec<_>>()) {
            faults.push(format!("{}: {fault}", one.what));
        }
    }
    let denied = ours.iter();
    let denied = denied.filter(|entry| entry.path().starts_with("/v2/denied/"));
    faults.extend(denied.map(|entry| format!("{} was sent", entry.target)));
    for action in ["execution_completed", "execution_denied"] {
        let wanted = tried.iter().flat_map(|one| &one.recorded);
        let wanted: Vec<&String> = wanted
            .filter(|(of, _)| *of == action)
            .map(|(_, id)| id)
            .collect();
        let query = format!("agentId={}&action={action}", world.agent.id);
        world
            .until(|| async {
                let rows = world.owner.audit(&query).await.unwrap();
                let is_there = |id: &&String| rows.iter().any(|row| row["auditId"] == ***id);
                wanted.iter().all(is_there)
            })
            .await;
    }
    // Whatever came of it.
    let arrived = ours.len();
    let query = format!("agentId={}&action=execution_completed", world.agent.id);
    world
        .until(|| async { world.owner.audit(&query).await.unwrap().len() >= arrived })
        .await;
    faults
}

// === impl Tried ===

impl Tried {
    fn check(&self, world: &World, arrived: &[&Entry]) -> Result<(), String> {
        match (self.fate, arrived) {
            (Fate::Broken | Fate::Denied(_) | Fate::Refused(_), []) => Ok(()),
            (Fate::Broken, [one]) if !one.body_complete => Ok(()),
            (Fate::Sent(_), [one]) => self.is_what_was_judged(world, one),
            (_, arrived) => {
                let arrived: Vec<String> = arrived.iter().map(|entry| told(entry)).collect();
                Err(format!("{:?}, and arrived {arrived:?}", self.fate))
            }
        }
    }

    fn is_what_was_judged(&self, world: &World, one: &Entry) -> Result<(), String> {
        let host = &*world.stack.simulator().unwrap().host;
        let secret = format!("Bearer {SECRET}");
        let names = one.headers.iter().map(|(name, _)| &**name);
        let strange: Vec<&str> = names.filter(|name| !PASSES.contains(name)).collect();
        let whole = one.body_complete && one.body == self.body;
        let good = whole
            && one.method == "POST"
            && strange.is_empty()
            && one.trailers.is_empty()
            && one.header("host") == Some(host)
            && one.header("authorization") == Some(&secret)
            && !one.target.contains(&world.agent.token);
        match good {
            true => Ok(()),
            false => Err(format!("it is another: {} {strange:?}", told(one))),
        }
    }

    /// The id that an answer of ours names.
    pub fn record(&mut self, action: &'static str, body: &Value) {
        if let Some(id) = body["auditId"].as_str() {
            self.recorded.push((action, id.to_owned()));
        }
    }
}

fn told(entry: &Entry) -> String {
    let whole = if entry.body_complete { "" } else { ", cut" };
    let body = String::from_utf8_lossy(&entry.body);
    let (method, path) = (&entry.method, entry.path());
    format!("{method} {path} {body:?}{whole} {:?}", entry.trailers)
}

const PASSES: [&str; 9] = [
    "accept",
    "accept-encoding",
    "authorization",
    "cdn-loop",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
    "x-request-id",
];
