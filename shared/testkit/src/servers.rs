//! The servers that `.ci/test-servers` brought: started by a test, gone with it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// A program that prints one line when it is ready.
pub struct Server {
    process: Child,
    pub line: String,
}

/// A real mail server to hand mail in to.
pub struct MailServer {
    pub port: u16,
    folder: tempfile::TempDir,
    _server: Server,
}

// === impl Server ===

impl Server {
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = process.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "{command:?} ended: run .ci/test-servers");
        let line = line.trim().to_owned();
        Self { process, line }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// === impl MailServer ===

impl MailServer {
    #[must_use]
    pub fn start() -> Self {
        Self::with(json!({}))
    }

    /// With more settings than where it puts mail: see `servers/smtp/server.py`.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn with(mut settings: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        settings["folder"] = folder.path().to_str().unwrap().into();
        let mut command = Command::new("python3");
        let ours = Path::new(env!("CARGO_MANIFEST_DIR"));
        command
            .arg(ours.join("../../control-plane/tests/servers/smtp/server.py"))
            .arg(settings.to_string())
            .env("PYTHONPATH", installed().join("smtp"));
        let server = Server::start(command);
        Self {
            port: server.line.parse().unwrap(),
            folder,
            _server: server,
        }
    }

    /// Everything it has taken so far.
    ///
    /// # Panics
    /// It cannot be read.
    #[must_use]
    pub fn mails(&self) -> Vec<String> {
        self.taken().into_iter().map(|(mail, _)| mail).collect()
    }

    /// The same, and of each `{from, to}`: whom it was for.
    ///
    /// # Panics
    /// It cannot be read.
    #[must_use]
    pub fn taken(&self) -> Vec<(String, Value)> {
        let mut taken = Vec::new();
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|it| it == "eml") {
                let beside = path.with_extension("eml.json");
                let beside = std::fs::read_to_string(beside).unwrap();
                let mail = std::fs::read_to_string(path).unwrap();
                taken.push((mail, serde_json::from_str(&beside).unwrap()));
            }
        }
        taken
    }

    /// The mail to this address whose text has these words, as soon as it is there.
    ///
    /// # Panics
    /// It does not come.
    pub async fn wait_for(&self, to: &str, words: &str) -> String {
        let to = format!("To: {to}\r\n");
        for _ in 0..400 {
            let mut mails = self.mails().into_iter();
            if let Some(mail) = mails.find(|mail| mail.contains(&to) && mail.contains(words)) {
                return mail;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no mail with {words:?} to {to}: {:?}", self.mails());
    }
}

/// `target/test-servers`, found from where the test itself is.
///
/// # Panics
/// The test is nowhere.
#[must_use]
pub fn installed() -> PathBuf {
    let ourselves = std::env::current_exe().unwrap();
    ourselves.ancestors().nth(3).unwrap().join("test-servers")
}
