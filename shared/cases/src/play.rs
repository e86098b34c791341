//! Plays cases through the whole product: an owner writes the policy over the API, an agent calls
//! over the wire, and a provider of our own writes down what reached it. Everything is started for
//! the first case that needs it and is gone with the player.

mod call;
mod connection;
mod hosts;
mod policy;
mod provider;
mod redemption;
mod running;

use ah5_harness::cancel::Cancel;
use serde_json::{Map, Value};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::compare::same;
use crate::{Case, Mismatch, Stack};
use running::Running;

pub struct Player {
    runtime: Runtime,
    /// Whom the provider has to play.
    hosts: Vec<(String, u16)>,
    cancel: Cancel,
    stop: watch::Sender<bool>,
    /// After the first case that needs it: the product, or why it did not start.
    running: Option<anyhow::Result<Running>>,
}

// === impl Player ===

impl Player {
    /// Starts nothing yet.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn of(text: &str) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        Ok(Self {
            runtime,
            hosts: hosts::of(text),
            cancel: Cancel::default(),
            stop: watch::Sender::new(false),
            running: None,
        })
    }

    /// From here on Ctrl-C, SIGTERM and a closed terminal end the case that is being played.
    ///
    /// # Errors
    /// The system doesn't let us listen.
    pub fn stop_on_signals(&self) -> anyhow::Result<()> {
        let _inside = self.runtime.enter();
        let mut signals = [
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ];
        let (cancel, stop) = (self.cancel.clone(), self.stop.clone());
        self.runtime.spawn(async move {
            any(&mut signals).await;
            cancel.cancel();
            stop.send_replace(true);
        });
        Ok(())
    }

    /// Why the cases that need the product failed, all of them.
    #[must_use]
    pub fn start_failure(&self) -> Option<&anyhow::Error> {
        self.running.as_ref()?.as_ref().err()
    }

    /// Stops what was started.
    ///
    /// # Errors
    /// Something had to be killed; everything is stopped all the same.
    pub fn stop(mut self) -> anyhow::Result<()> {
        match self.running.take() {
            Some(Ok(running)) => running.stop(),
            _ => Ok(()),
        }
    }

    fn play(&mut self, case: &Case) -> Result<Map<String, Value>, Mismatch> {
        let Self { runtime, hosts, .. } = self;
        let running = self
            .running
            .get_or_insert_with(|| Running::start(runtime, hosts, &self.cancel));
        let not_started = |_| Mismatch::new("the product did not start");
        let running = running.as_mut().map_err(not_started)?;
        let mut stopped = self.stop.subscribe();
        let answer = runtime.block_on(async {
            tokio::select! {
                answer = running.play(case) => answer,
                _ = stopped.wait_for(|stopped| *stopped) => anyhow::bail!("interrupted"),
            }
        });
        answer.map_err(|error| Mismatch::new(format!("{error:#}")))
    }
}

impl Stack for Player {
    fn run(&mut self, case: &Case) -> Result<(), Mismatch> {
        let answer = self.play(case)?;
        same(case.right_answer(), &answer)
    }

    fn interrupted(&self) -> bool {
        *self.stop.borrow()
    }
}

async fn any(signals: &mut [Signal]) {
    std::future::poll_fn(|context| {
        let mut signals = signals.iter_mut();
        match signals.any(|signal| signal.poll_recv(context).is_ready()) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
}
