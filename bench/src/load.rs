//! The load generator: some kept connections to one proxy, each sending its next request when the
//! last is answered (max rate) or when the clock says so (fixed rate). Every answer is checked.

pub mod pace;
pub mod request;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::http1::Message;
use pace::{Pace, Schedule};

/// What a set of connections did.
#[derive(Default)]
pub struct Outcome {
    /// Time from when a request was due to its whole answer, in nanoseconds, sorted.
    pub latencies: Vec<u32>,
    pub errors: u64,
    pub first_error: Option<String>,
    pub elapsed: Duration,
}

/// Open connections to one proxy, kept from the warm-up to the measured part.
pub struct Load {
    connections: Vec<Connection>,
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    requests: Vec<Bytes>,
    next: usize,
}

// === impl Load ===

impl Load {
    /// # Errors
    /// The proxy takes no connections.
    pub async fn open(
        to: SocketAddr,
        requests: &[Bytes],
        connections: usize,
    ) -> anyhow::Result<Self> {
        let mut open = Vec::with_capacity(connections);
        for number in 0..connections {
            let stream = TcpStream::connect(to).await?;
            stream.set_nodelay(true)?;
            open.push(Connection {
                stream,
                buffer: Vec::with_capacity(BUFFER),
                requests: requests.to_vec(),
                // Each begins elsewhere, so that many callers are many at once.
                next: number,
            });
        }
        Ok(Self { connections: open })
    }

    /// Runs for `duration`; a connection that met an error takes no further part.
    ///
    /// # Errors
    /// Connections are still waiting long after the end.
    pub async fn run(&mut self, pace: Pace, duration: Duration) -> anyhow::Result<Outcome> {
        let start = Instant::now();
        let count = self.connections.len();
        let mut running = JoinSet::new();
        for (number, connection) in self.connections.drain(..).enumerate() {
            let schedule = pace.schedule(start, duration, number, count)?;
            running.spawn(connection.run(schedule));
        }
        let mut outcome = Outcome::default();
        let all = timeout(duration + GRACE, running.join_all()).await;
        for (connection, part) in all.context("answers are missing long after the end")? {
            self.connections.push(connection);
            outcome.add(part);
        }
        outcome.elapsed = start.elapsed();
        outcome.latencies.sort_unstable();
        Ok(outcome)
    }
}

// === impl Connection ===

impl Connection {
    async fn run(mut self, mut schedule: Schedule) -> (Self, Outcome) {
        let mut outcome = Outcome::default();
        while let Some(due) = schedule.next().await {
            if let Err(error) = self.exchange().await {
                outcome.errors += 1;
                outcome.first_error = Some(format!("{error:#}"));
                break;
            }
            let nanos = due.elapsed().as_nanos();
            outcome.latencies.push(nanos.try_into().unwrap_or(u32::MAX));
        }
        (self, outcome)
    }

    async fn exchange(&mut self) -> anyhow::Result<()> {
        let request = &self.requests[self.next % self.requests.len()];
        self.next += 1;
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await?;
            ensure!(read > 0, "the connection was closed before an answer");
            if let Some(answer) = Message::response(&self.buffer)? {
                return check(&answer, &self.buffer);
            }
            ensure!(self.buffer.len() < BUFFER, "an answer that never ends");
        }
    }
}

// === impl Outcome ===

impl Outcome {
    fn add(&mut self, part: Self) {
        self.latencies.extend(part.latencies);
        self.errors += part.errors;
        self.first_error = self.first_error.take().or(part.first_error);
    }
}

fn check(answer: &Message, bytes: &[u8]) -> anyhow::Result<()> {
    if answer.status != 200 || answer.body != request::BODY || answer.len() != bytes.len() {
        let shown = &bytes[..bytes.len().min(600)];
        bail!(
            "not the answer that was sent: {}",
            String::from_utf8_lossy(shown)
        );
    }
    Ok(())
}

const BUFFER: usize = 64 * 1024;
const GRACE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
