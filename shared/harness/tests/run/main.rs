//! The program behind `make run`, as its user sees it. Mostly without data planes, as these need
//! no more to be tried.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    clippy::disallowed_methods,
    reason = "it holds a port and asks the front door itself"
)]

mod life;
mod refusals;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A running `make run`.
struct Run {
    process: Child,
    folder: PathBuf,
    about: Value,
}

// === impl Run ===

impl Run {
    /// Ready when this returns.
    fn start(folder: &Path) -> Self {
        Self::start_with(folder, "0")
    }

    fn start_with(folder: &Path, replicas: &str) -> Self {
        let file = folder.join("run.json");
        // A killed one leaves its own behind.
        drop(fs::remove_file(&file));
        let process = command(folder).env("REPLICAS", replicas).spawn().unwrap();
        Self::wait(process, folder)
    }

    fn wait(mut process: Child, folder: &Path) -> Self {
        let file = folder.join("run.json");
        let start = Instant::now();
        let about = loop {
            if let Ok(text) = fs::read_to_string(&file) {
                break serde_json::from_str(&text).unwrap();
            }
            if process.try_wait().unwrap().is_some() {
                panic!("ended early: {:?}", process.wait_with_output().unwrap());
            }
            assert!(start.elapsed() < PATIENCE, "not ready in time");
            std::thread::sleep(Duration::from_millis(10));
        };
        Self {
            process,
            folder: folder.to_owned(),
            about,
        }
    }

    fn pids(&self) -> Vec<u64> {
        ["controlPlane", "nginx", "postgres"]
            .map(|part| self.about[part]["pid"].as_u64().unwrap())
            .to_vec()
    }

    fn port(&self) -> u16 {
        let listen = self.about["nginx"]["listen"].as_str().unwrap();
        listen.rsplit(':').next().unwrap().parse().unwrap()
    }

    fn health(&self) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port())).unwrap();
        stream
            .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn signal(&self, signal: Signal) {
        send(u64::from(self.process.id()), signal);
    }

    /// Its end and what it said.
    fn end(self) -> (Option<i32>, String) {
        said(&self.process.wait_with_output().unwrap())
    }
}

/// A folder with a space in its name, inside one that gets the sockets.
struct Folder {
    local: PathBuf,
    _parent: tempfile::TempDir,
}

// === impl Folder ===

impl Folder {
    fn path(&self) -> &Path {
        &self.local
    }
}

fn folder() -> Folder {
    let parent = tempfile::Builder::new()
        .prefix("ah5-run-")
        .tempdir_in("/tmp")
        .unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    fs::set_permissions(parent.path(), mode).unwrap();
    let local = parent.path().join("with a space");
    fs::create_dir(&local).unwrap();
    Folder {
        local,
        _parent: parent,
    }
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ah5-run"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("TMPDIR", folder.parent().unwrap())
        .env("LOCAL_DIR", folder)
        .env("PORT", free_port())
        .env("REPLICAS", "0")
        .env("SIMULATOR", "off")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Nobody's at the moment of asking. The program is told a port, as its users tell it one.
fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

fn said(output: &Output) -> (Option<i32>, String) {
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let text = out + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

fn send(pid: u64, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

// An ended process that nobody has waited for yet has ended all the same.
fn lives(pid: u64) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

const PATIENCE: Duration = Duration::from_secs(120);
