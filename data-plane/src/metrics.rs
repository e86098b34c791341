//! The data plane's metrics. Labels come from closed lists only: no caller can add one.

use std::sync::LazyLock;
use std::time::Duration;

use ::metrics::{Counter, Histogram, counter, gauge, histogram};
use ah5_contracts::audit::Verdict;

use crate::admission::Admission;
use crate::plane::Plane;
use crate::request::{Kind, Outcome};
use crate::routes::Endpoint;

// Handles are looked up once, not at every call.
static ANSWERS: LazyLock<[Counter; 5]> = LazyLock::new(|| {
    ["1xx", "2xx", "3xx", "4xx", "5xx"]
        .map(|status| counter!("ah5_provider_answers_total", "status" => status))
});
static EXECUTE: LazyLock<Endpoints> = LazyLock::new(|| Endpoints::new("execute"));
static LLM: LazyLock<Endpoints> = LazyLock::new(|| Endpoints::new("llm"));
static PROXY: LazyLock<Endpoints> = LazyLock::new(|| Endpoints::new("proxy"));

struct Endpoints {
    allowed: Counter,
    error: Counter,
    seconds: Histogram,
}

/// A call that reached its provider.
pub fn completed(endpoint: Option<Endpoint>, outcome: &Outcome, took: Duration) {
    let handles = match endpoint {
        Some(Endpoint::Execute) => &*EXECUTE,
        Some(Endpoint::Llm) => &*LLM,
        _ => &*PROXY,
    };
    match outcome.verdict {
        Verdict::Allowed => handles.allowed.increment(1),
        Verdict::Denied | Verdict::Error => handles.error.increment(1),
    }
    handles.seconds.record(took);
    if let Some(answers) = outcome.upstream_status.and_then(of_class) {
        answers.increment(1);
    }
    if outcome.scrubbed > 0 {
        counter!("ah5_credentials_removed_total").increment(outcome.scrubbed);
    }
}

fn of_class(status: u16) -> Option<&'static Counter> {
    ANSWERS.get(usize::from(status / 100).checked_sub(1)?)
}

/// A call that was refused.
pub fn refused(kind: Kind) {
    counter!("ah5_refusals_total", "kind" => kind.as_str()).increment(1);
}

/// What is read rather than counted: as of now.
pub fn observe(plane: &Plane) {
    let age = plane.published.age();
    gauge!("ah5_snapshot_age_seconds").set(age.map_or(f64::INFINITY, |age| age.as_secs_f64()));
    gauge!("ah5_workspaces_behind").set(plane.published.behind() as f64);
    let admission: &Admission = &plane.admission;
    let (calls, bytes) = admission.in_use();
    gauge!("ah5_calls_in_flight").set(calls as f64);
    gauge!("ah5_buffered_bytes").set(bytes as f64);
    gauge!("ah5_connections").set(admission.connected() as f64);
    gauge!("ah5_paused_connections").set(plane.pauses.count() as f64);
    gauge!("ah5_streams_watched").set(plane.streams.count() as f64);
    gauge!("ah5_upstream_connections_idle").set(plane.upstreams.idle() as f64);
}

// === impl Endpoints ===

impl Endpoints {
    fn new(endpoint: &'static str) -> Self {
        let calls = |verdict: Verdict| counter!("ah5_calls_total", "endpoint" => endpoint, "verdict" => verdict.as_str());
        Self {
            allowed: calls(Verdict::Allowed),
            error: calls(Verdict::Error),
            seconds: histogram!("ah5_call_seconds", "endpoint" => endpoint),
        }
    }
}
