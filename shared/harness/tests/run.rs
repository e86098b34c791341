//! The program behind `make run`, as its user sees it. Mostly without data planes, as these need
//! no more to be tried.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    clippy::disallowed_methods,
    reason = "it holds a port and asks the front door itself"
)]

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
        let mut process = command(folder).env("REPLICAS", replicas).spawn().unwrap();
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

#[test]
fn it_starts_keeps_its_data_stops_and_leaves_nothing_running() {
    let folder = folder();
    // What an interrupted first start leaves behind.
    fs::create_dir_all(folder.path().join("postgres/data.partial/base")).unwrap();
    let first = Run::start(folder.path());
    assert!(
        first.health().ends_with(r#"{"status":"ok"}"#),
        "{}",
        first.health()
    );
    assert_eq!(
        first.about["origin"],
        format!("http://localhost:{}", first.port())
    );
    assert_eq!(first.about["simulator"], Value::Null);
    let secrets = fs::read_dir(folder.path().join("secrets")).unwrap();
    let modes = secrets.map(|it| mode(&it.unwrap().path()));
    assert!(modes.into_iter().all(|mode| mode == 0o600));

    let (code, text) = said(&command(folder.path()).output().unwrap());
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains(&format!("already running (process {})", first.process.id())),
        "{text}"
    );

    let pids = first.pids();
    first.signal(Signal::INT);
    let (code, text) = first.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("an earlier first start was interrupted"),
        "{text}"
    );
    assert!(!folder.path().join("run.json").exists());
    assert!(pids.iter().all(|&pid| !lives(pid)));

    let second = Run::start(folder.path());
    second.signal(Signal::TERM);
    let (code, text) = second.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains("making a database folder"), "{text}");
}

#[test]
fn whatever_ends_it_the_next_start_works() {
    let folder = folder();
    let killed = Run::start(folder.path());
    let pids = killed.pids();
    killed.signal(Signal::KILL);
    killed.end();
    let next = Run::start(folder.path());
    // On Linux the kernel stops what a killed one left behind, in its own time.
    let start = Instant::now();
    while pids.iter().any(|&pid| lives(pid)) {
        assert!(start.elapsed() < PATIENCE, "something is left");
        std::thread::sleep(Duration::from_millis(10));
    }

    let (control, pids) = (next.pids()[0], next.pids());
    send(control, Signal::KILL);
    let (code, text) = next.end();
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("the control plane ended with signal: 9"),
        "{text}"
    );
    assert!(pids.iter().all(|&pid| !lives(pid)));
}

#[test]
fn a_fallen_data_plane_is_started_again() {
    let folder = folder();
    let run = Run::start_with(folder.path(), "1");
    let plane = |about: &Value| about["dataPlanes"][0].clone();
    let before = plane(&run.about);
    send(before["pid"].as_u64().unwrap(), Signal::KILL);
    let file = folder.path().join("run.json");
    let start = Instant::now();
    let after = loop {
        let about = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        if plane(&about)["pid"] != before["pid"] {
            break plane(&about);
        }
        assert!(start.elapsed() < PATIENCE, "it stayed down");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(after["listen"], before["listen"]);
    run.signal(Signal::TERM);
    let (code, text) = run.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("data plane 0 ended with signal: 9"), "{text}");
    assert!(text.contains("data plane 0 is back"), "{text}");
    assert!(!lives(after["pid"].as_u64().unwrap()));
}

#[tokio::test]
async fn a_schema_of_a_newer_build_is_left_alone() {
    let folder = folder();
    let run = Run::start(folder.path());
    let url = fs::read_to_string(run.folder.join("secrets/migrate-database-url")).unwrap();
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .unwrap();
    let driver = tokio::spawn(async move { drop(connection.await) });
    let newer = "insert into ah5.schema_history (version, name) values (9999, 'of tomorrow')";
    client.batch_execute(newer).await.unwrap();
    drop(client);
    driver.await.unwrap();
    run.signal(Signal::TERM);
    run.end();
    let (code, text) = said(&command(folder.path()).output().unwrap());
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("(version 9999) is newer than this build"),
        "{text}"
    );
}

#[test]
fn every_fault_is_told_in_one_start() {
    let folder = folder();
    let mut command = command(folder.path());
    command.envs([
        ("PORT", "http"),
        ("SIMULATOR", "maybe"),
        ("DB_POOL_SIZE", "0"),
    ]);
    let (code, text) = said(&command.output().unwrap());
    assert_eq!(code, Some(64), "{text}");
    for name in ["PORT", "SIMULATOR", "DB_POOL_SIZE"] {
        assert!(text.contains(&format!("  - {name}: ")), "{text}");
    }
}

#[test]
fn a_taken_port_is_told_before_anything_is_started() {
    let folder = folder();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    let mut command = command(folder.path());
    let (code, text) = said(&command.env("PORT", &port).output().unwrap());
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains(&format!("port {port} can't be used")),
        "{text}"
    );
    assert!(!folder.path().join("postgres/data").exists());
}

#[test]
fn a_data_folder_that_it_cannot_use_is_told_and_left_alone() {
    let folder = folder();
    let data = folder.path().join("postgres/data");
    fs::create_dir_all(data.join("global")).unwrap();
    let (code, text) = said(&command(folder.path()).output().unwrap());
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("is not a complete PostgreSQL data folder"),
        "{text}"
    );

    fs::write(data.join("PG_VERSION"), "9\n").unwrap();
    fs::write(data.join("global/pg_control"), "").unwrap();
    let (code, text) = said(&command(folder.path()).output().unwrap());
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("was made by PostgreSQL 9"), "{text}");
    assert!(
        text.contains("PostgreSQL 9 is not installed here"),
        "{text}"
    );
    assert!(data.join("PG_VERSION").exists());
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
