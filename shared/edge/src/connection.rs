//! One connection from a client, and how it ends: by the client, by silence, or because the process
//! is leaving. Whoever is in front of us must never find a connection closed on which it was just
//! sending: it could not know whether the request was taken.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ah5_settings::Settings;
use hyper_util::server::graceful::GracefulConnection;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How far the process is with stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Serving,
    /// Answers ask for the connection to be closed; nothing new is accepted.
    Closing,
    /// What is still open is closed.
    Ending,
}

/// How the process takes its leave.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// Goes on accepting for so long, until the balancer has noticed.
    pub delay: Duration,
    /// Then finishes for at most so long.
    pub deadline: Duration,
}

/// What the requests on one connection have told of it.
#[derive(Default)]
pub struct Heard {
    http2: AtomicBool,
    anything: AtomicBool,
}

// === impl Drain ===

impl Drain {
    pub fn read(settings: &mut Settings) -> Self {
        let mut millis = |name, default| Duration::from_millis(settings.parsed_or(name, default));
        Self {
            delay: millis("DRAIN_DELAY_MS", 2_000),
            deadline: millis("DRAIN_DEADLINE_MS", 25_000),
        }
    }
}

// === impl Heard ===

impl Heard {
    /// Call it at each request.
    pub fn request(&self, version: http::Version) {
        let http2 = version == http::Version::HTTP_2;
        self.http2.store(http2, Ordering::Relaxed);
        self.anything.store(true, Ordering::Relaxed);
    }

    /// Ends when there was no request for so long. Nothing else limits how long a client takes to
    /// say which version of HTTP it speaks.
    pub async fn silence(&self, limit: Duration) {
        tokio::time::sleep(limit).await;
        if self.anything.load(Ordering::Relaxed) {
            std::future::pending().await
        }
    }

    /// Drives the connection to its end. On HTTP/2 a GOAWAY loses nothing, so it is sent as soon as
    /// the process leaves. An idle HTTP/1 connection may have a request on its way to us: it is left
    /// open until the end.
    pub async fn drive<C: GracefulConnection>(
        &self,
        mut connection: Pin<&mut C>,
        mut phase: watch::Receiver<Phase>,
    ) {
        loop {
            tokio::select! {
                // How a connection ends is the client's affair.
                _ = &mut connection => return,
                changed = phase.changed() => {
                    let ending = changed.is_err() || *phase.borrow() == Phase::Ending;
                    if ending || self.http2.load(Ordering::Relaxed) {
                        connection.as_mut().graceful_shutdown();
                    }
                    if changed.is_err() {
                        let _ = connection.await;
                        return;
                    }
                }
            }
        }
    }
}

/// Ends when the process is told to stop: SIGTERM, or SIGINT. Never, if it cannot hear signals.
pub async fn told_to_stop() {
    let heard = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    );
    let (Ok(mut terminate), Ok(mut interrupt)) = heard else {
        tracing::error!("cannot hear signals");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("told to stop; draining");
}
