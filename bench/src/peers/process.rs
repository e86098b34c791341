//! A proxy's process, stopped on drop.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use crate::pin::{self, Cores};

/// Stopped with everything below it on drop.
pub struct Process {
    name: String,
    child: Child,
}

// === impl Process ===

impl Process {
    /// Starts on the proxy's core: children and their threads inherit it.
    ///
    /// # Errors
    /// There is no such program.
    pub fn start(command: &mut Command, log: &Path, cores: Cores) -> anyhow::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let log = std::fs::File::create(log)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        pin::this_thread(cores.proxy);
        let child = command.spawn();
        pin::this_thread(cores.rest);
        let child = child.with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks until `ready` says what was waited for.
    ///
    /// # Errors
    /// The process ended, or nothing came in 10 s.
    pub async fn wait_until<T>(&mut self, ready: impl AsyncFn() -> Option<T>) -> anyhow::Result<T> {
        let end = Instant::now() + START;
        while Instant::now() < end {
            if let Some(found) = ready().await {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}", self.name);
            }
            sleep(STEP).await;
        }
        bail!("{} was not ready in {START:?}", self.name)
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // It may have ended by itself.
        let _ = id.map(|id| kill_process(id, signal));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        for _ in 0..STOP_STEPS {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(STEP);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const START: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(10);
const STOP_STEPS: u32 = 300;
