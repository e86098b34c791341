//! One round of one proxy: warm up, wait until it is quiet, measure, wait until it is quiet again.
//! What trails the answers, such as writing the audit trail, counts as part of the calls.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{bail, ensure};
use tokio::time::{Instant, sleep};

use super::{Bench, Plan};
use crate::cpu::{self, Reading};
use crate::load::{Load, Outcome};
use crate::machine::{Shares, Usage};
use crate::peers::Peer;
use crate::statistics::percentile;
use crate::upstream::Arrived;

/// The figures of one round; CPU in microseconds a call.
#[derive(Clone, Debug, Default)]
pub struct Round {
    pub calls: u64,
    pub per_second: f64,
    pub cpu: f64,
    /// The same by the names of the proxy's threads.
    pub cpu_by_thread: BTreeMap<String, f64>,
    pub cpu_load: f64,
    pub cpu_upstream: f64,
    pub cpu_postgres: f64,
    pub p50: f64,
    pub p99: f64,
    /// Of the proxy's core while calls ran: what wasn't the proxy's.
    pub others: f64,
    /// Of the core of everything else, while calls ran.
    pub rest_busy: f64,
    /// Of either core while calls ran.
    pub stolen: f64,
}

/// All counters at one moment.
struct Mark {
    at: Instant,
    proxy: Reading,
    postgres: Reading,
    load: Duration,
    arrived: Arrived,
    usage: Usage,
}

pub async fn measure(bench: &Bench, peer: &Peer, plan: Plan) -> anyhow::Result<Round> {
    let mut load = Load::open(peer.address, &peer.requests, plan.connections).await?;
    no_errors(&load.run(plan.pace, plan.warm_up).await?)?;
    quiet(peer).await?;
    let start = Mark::take(bench, peer)?;
    let outcome = load.run(plan.pace, plan.measured).await?;
    let end = Mark::take(bench, peer)?;
    no_errors(&outcome)?;
    quiet(peer).await?;
    let last = Mark::take(bench, peer)?;
    arrived_as_it_should(peer, &last.arrived.since(&start.arrived), &outcome)?;
    Ok(figures(bench, &outcome, [&start, &end, &last]))
}

// === impl Mark ===

impl Mark {
    fn take(bench: &Bench, peer: &Peer) -> anyhow::Result<Self> {
        let postgres = bench.postgres.map(cpu::tree).unwrap_or_default();
        Ok(Self {
            at: Instant::now(),
            proxy: Reading::of(&cpu::tree(peer.root)),
            postgres: Reading::of(&postgres),
            load: cpu::of_own_thread(cpu::thread_id()),
            arrived: bench.upstream.arrived()?,
            usage: Usage::now(),
        })
    }
}

fn figures(bench: &Bench, outcome: &Outcome, [start, end, last]: [&Mark; 3]) -> Round {
    let calls = outcome.latencies.len() as u64;
    let per_call = |used: Duration| used.as_secs_f64() * 1e6 / calls.max(1) as f64;
    let shares = |core| end.usage.since(&start.usage, core).unwrap_or_default();
    let (own, rest): (Shares, Shares) = (shares(bench.cores.proxy), shares(bench.cores.rest));
    let proxy_share = end.proxy.since(&start.proxy).as_secs_f64()
        / end
            .at
            .duration_since(start.at)
            .as_secs_f64()
            .max(f64::EPSILON);
    let by_thread = last.proxy.by_name_since(&start.proxy);
    Round {
        calls,
        per_second: calls as f64 / outcome.elapsed.as_secs_f64().max(f64::EPSILON),
        cpu: per_call(last.proxy.since(&start.proxy)),
        cpu_by_thread: by_thread
            .into_iter()
            .map(|(name, used)| (name, per_call(used)))
            .collect(),
        cpu_load: per_call(end.load.saturating_sub(start.load)),
        cpu_upstream: per_call(last.arrived.since(&start.arrived).cpu),
        cpu_postgres: per_call(last.postgres.since(&start.postgres)),
        p50: f64::from(percentile(&outcome.latencies, 0.5)) / 1e3,
        p99: f64::from(percentile(&outcome.latencies, 0.99)) / 1e3,
        others: (own.busy - proxy_share).max(0.0),
        rest_busy: rest.busy,
        stolen: own.stolen.max(rest.stolen),
    }
}

fn no_errors(outcome: &Outcome) -> anyhow::Result<()> {
    if let Some(error) = &outcome.first_error {
        let errors = outcome.errors;
        bail!("{errors} connections met an error; the first: {error}");
    }
    Ok(())
}

/// The proof that each proxy did its whole job: every call reached the upstream once, and with the
/// credential that belongs there.
fn arrived_as_it_should(peer: &Peer, arrived: &Arrived, outcome: &Outcome) -> anyhow::Result<()> {
    let calls = outcome.latencies.len() as u64;
    ensure!(
        arrived.requests == calls,
        "{calls} calls were answered, {} reached the upstream",
        arrived.requests
    );
    let expected = if peer.brokers { (calls, 0) } else { (0, calls) };
    let found = (arrived.with_secret, arrived.with_token);
    ensure!(
        found == expected,
        "(calls with the provider's secret, with the caller's token) should be {expected:?}, are {found:?}"
    );
    Ok(())
}

/// Waits until the proxy uses next to no CPU for longer than it waits for Postgres.
async fn quiet(peer: &Peer) -> anyhow::Result<()> {
    let end = Instant::now() + QUIET_WITHIN;
    let processes = cpu::tree(peer.root);
    let (mut before, mut steps) = (Reading::of(&processes), 0);
    while Instant::now() < end {
        sleep(QUIET_STEP).await;
        let now = Reading::of(&processes);
        steps = if now.since(&before) < QUIET_USE {
            steps + 1
        } else {
            0
        };
        if steps == QUIET_STEPS {
            return Ok(());
        }
        before = now;
    }
    bail!(
        "{} was still busy {QUIET_WITHIN:?} after the last answer",
        peer.name
    )
}

const QUIET_STEP: Duration = Duration::from_millis(50);
const QUIET_STEPS: u32 = 2;
const QUIET_USE: Duration = Duration::from_micros(500);
const QUIET_WITHIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::arrived_as_it_should;
    use crate::load::Outcome;
    use crate::peers::Peer;
    use crate::upstream::Arrived;

    fn peer(brokers: bool) -> Peer {
        Peer {
            name: "peer",
            address: ([127, 0, 0, 1], 1).into(),
            requests: Vec::new(),
            root: 0,
            brokers,
        }
    }

    fn arrived(requests: u64, with_secret: u64, with_token: u64) -> Arrived {
        Arrived {
            requests,
            with_secret,
            with_token,
            ..Arrived::default()
        }
    }

    #[test]
    fn a_broker_that_skips_its_job_fails_the_run() {
        let outcome = Outcome {
            latencies: vec![1, 2],
            ..Outcome::default()
        };
        let good = |brokers, found| arrived_as_it_should(&peer(brokers), &found, &outcome).is_ok();
        assert!(good(true, arrived(2, 2, 0)));
        assert!(!good(true, arrived(2, 1, 0)), "one call without the secret");
        assert!(!good(true, arrived(2, 2, 1)), "the caller's token went out");
        assert!(!good(true, arrived(1, 1, 0)), "an answer without a call");
        assert!(good(false, arrived(2, 0, 2)));
        assert!(!good(false, arrived(3, 0, 3)), "a call sent twice");
    }
}
