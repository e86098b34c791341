//! Rounds: each proxy in turn for a few seconds, again and again, so that what else happens on the
//! machine meets all of them alike.

mod measure;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::sync::oneshot;

use crate::load::pace::Pace;
use crate::peers::Peer;
use crate::pin::{self, Cores};
use crate::upstream::Upstream;
pub use measure::Round;

/// How much is measured, and how.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub rounds: usize,
    pub connections: usize,
    pub warm_up: Duration,
    pub measured: Duration,
    pub pace: Pace,
}

/// What every round needs.
#[derive(Clone)]
pub struct Bench {
    pub upstream: Arc<Upstream>,
    pub cores: Cores,
    /// The cluster's first process, once there is one.
    pub postgres: Option<u32>,
}

/// All rounds of one proxy.
pub struct Series {
    pub name: &'static str,
    pub rounds: Vec<Round>,
}

// === impl Bench ===

impl Bench {
    /// Measures all peers side by side. The first round of each is thrown away.
    ///
    /// # Errors
    /// Any answer was wrong, or the upstream did not get what it should.
    pub async fn compare(&self, peers: &[Arc<Peer>], plan: Plan) -> anyhow::Result<Vec<Series>> {
        let mut all: Vec<Series> = peers.iter().map(|peer| Series::new(peer.name)).collect();
        for number in 0..=plan.rounds {
            for turn in 0..peers.len() {
                // Another one goes first each time: what follows a peer may favour the next.
                let index = (number + turn) % peers.len();
                let round = self.round(&peers[index], plan).await;
                let round = round.with_context(|| format!("round of {}", peers[index].name))?;
                if number > 0 {
                    all[index].rounds.push(round);
                }
            }
            eprint!(".");
        }
        eprintln!();
        Ok(all)
    }

    // On a thread of its own: the kernel counts its CPU time apart, and it can be pinned.
    async fn round(&self, peer: &Arc<Peer>, plan: Plan) -> anyhow::Result<Round> {
        let (done, result) = oneshot::channel();
        let (bench, peer) = (self.clone(), Arc::clone(peer));
        std::thread::Builder::new()
            .name("load".to_owned())
            .spawn(move || {
                pin::this_thread(bench.cores.rest);
                // Nobody waits any longer when the whole run is being ended.
                let _ = done.send(bench.round_here(&peer, plan));
            })?;
        result.await.context("the load generator ended")?
    }

    fn round_here(&self, peer: &Peer, plan: Plan) -> anyhow::Result<Round> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let round = runtime.block_on(measure::measure(self, peer, plan))?;
        ensure!(round.calls > 0, "nothing was answered");
        Ok(round)
    }
}

// === impl Series ===

impl Series {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            rounds: Vec::new(),
        }
    }
}
