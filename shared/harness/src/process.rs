//! One child process: started with an environment of its own, writing to a log file, stopped on
//! drop. It gets a process group of its own, so that Ctrl-C reaches us and not the child.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, kill_process, kill_process_group};

pub use rustix::process::Signal;

use crate::cancel::Cancel;
use crate::program;

mod spawner;

/// What to start.
pub struct Spec<'a> {
    /// For messages.
    pub name: String,
    /// From [`crate::user::RunAs::command`] or plain; its environment is replaced.
    pub command: Command,
    pub env: &'a BTreeMap<String, String>,
    /// Gets stdout and stderr, after what it holds already.
    pub log: PathBuf,
    /// The polite request to stop; [`Process::stop`] waits this long before it kills.
    pub stop: Signal,
    pub patience: Duration,
    /// Sent by the kernel when we die without a word.
    pub orphan: &'static str,
}

pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    /// How long the log was before this process wrote to it.
    log_start: u64,
    stop: Signal,
    patience: Duration,
}

// === impl Process ===

impl Process {
    /// # Errors
    /// The program can't be run or the log can't be written.
    pub fn start(spec: Spec<'_>) -> anyhow::Result<Self> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&spec.log)
            .with_context(|| format!("cannot write {}", spec.log.display()))?;
        let log_start = log.metadata()?.len();
        let mut command = leashed(spec.command, spec.orphan);
        command
            .env_clear()
            .envs(spec.env)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        let child =
            spawner::spawn(command).with_context(|| format!("cannot start the {}", spec.name))?;
        Ok(Self {
            name: spec.name,
            child,
            log: spec.log,
            log_start,
            stop: spec.stop,
            patience: spec.patience,
        })
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it ended, once it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks again and again until there is an answer.
    ///
    /// # Errors
    /// The process ended (the message holds the end of its log), the time is over, it was
    /// cancelled, or the question itself failed.
    pub fn wait_for<T>(
        &mut self,
        limit: Duration,
        cancel: &Cancel,
        mut ask: impl FnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let start = Instant::now();
        loop {
            cancel.check()?;
            if let Some(answer) = ask()? {
                return Ok(answer);
            }
            if let Some(status) = self.ended() {
                return Err(Died::new(self, status).into());
            }
            if start.elapsed() > limit {
                bail!(
                    "the {} was not ready after {} s; its log {} ends with:\n{}",
                    self.name,
                    limit.as_secs(),
                    self.log.display(),
                    self.log_tail()
                );
            }
            std::thread::sleep(POLL);
        }
    }

    pub fn signal(&self, signal: Signal) {
        // Not waited for yet, so the id is still this process's; a dead one doesn't mind.
        if let Some(pid) = self.group() {
            let _ = kill_process(pid, signal);
        }
    }

    /// The polite request only.
    pub fn ask_to_stop(&self) {
        self.signal(self.stop);
    }

    /// Asks it to stop and waits; kills it when it takes too long.
    ///
    /// # Errors
    /// It had to be killed.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        if self.ended().is_some() {
            return Ok(());
        }
        self.ask_to_stop();
        let start = Instant::now();
        while start.elapsed() < self.patience {
            if self.ended().is_some() {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
        self.kill();
        bail!(
            "the {} did not stop within {} s and was killed",
            self.name,
            self.patience.as_secs()
        )
    }

    /// `kill -9`, also for processes that it started itself.
    pub fn kill(&mut self) {
        if let Some(pid) = self.group().filter(|_| self.ended().is_none()) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    fn group(&self) -> Option<Pid> {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// The last lines that it wrote.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let bytes = end_of(&self.log, self.log_start).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().rev().take(TAIL_LINES).collect();
        let lines: Vec<&str> = lines.into_iter().rev().collect();
        lines.join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("{error:#}");
        }
    }
}

/// A process that ended when it should not have.
#[derive(Debug, thiserror::Error)]
#[error("the {name} ended with {status}; its log {} ends with:\n{tail}", log.display())]
pub struct Died {
    pub name: String,
    pub status: ExitStatus,
    pub log: PathBuf,
    pub tail: String,
}

// === impl Died ===

impl Died {
    #[must_use]
    pub fn new(process: &Process, status: ExitStatus) -> Self {
        Self {
            name: process.name.clone(),
            status,
            log: process.log.clone(),
            tail: process.log_tail(),
        }
    }
}

/// The command, and on Linux the kernel's word that it dies with us, also when we are killed.
/// Elsewhere a killed harness leaves its children to be stopped by hand.
fn leashed(command: Command, signal: &str) -> Command {
    let Some(setpriv) = program::find("setpriv", &[]).filter(|_| cfg!(target_os = "linux")) else {
        return command;
    };
    let mut leashed = Command::new(setpriv);
    let (name, arguments) = (command.get_program(), command.get_args());
    leashed.args(["--pdeathsig", signal]);
    // Another setpriv merges with this one: changing the user clears the word, so it comes last.
    if Path::new(name).ends_with("setpriv") {
        leashed.args(arguments);
    } else {
        leashed.arg("--").arg(name).args(arguments);
    }
    leashed
}

/// What a log holds from here on, but never more than its last part.
fn end_of(log: &Path, start: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(log)?;
    let start = start.max(file.metadata()?.len().saturating_sub(TAIL_BYTES));
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

const POLL: Duration = Duration::from_millis(10);
const TAIL_LINES: usize = 20;
const TAIL_BYTES: u64 = 16 * 1024;

#[cfg(test)]
mod tests;
