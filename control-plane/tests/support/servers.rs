//! The servers that `.ci/test-servers` brought: started by a test, gone with it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ah5_testkit::client::{Call, Http};
use serde_json::{Value, json};

/// A program that prints one line when it is ready.
struct Server {
    process: Child,
    line: String,
}

/// A real mail server.
pub struct MailServer {
    pub port: u16,
    folder: tempfile::TempDir,
    _server: Server,
}

/// A real OpenID provider.
pub struct OpenId {
    pub issuer: String,
    _server: Server,
}

// === impl Server ===

impl Server {
    fn start(mut command: Command) -> Self {
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
    pub fn start() -> Self {
        Self::with(json!({}))
    }

    /// With more settings than where it puts mail: see `servers/smtp/server.py`.
    pub fn with(mut settings: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        settings["folder"] = folder.path().to_str().unwrap().into();
        let mut command = Command::new("python3");
        command
            .arg(sources().join("smtp/server.py"))
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
    pub fn mails(&self) -> Vec<String> {
        let mut mails = Vec::new();
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|it| it == "eml") {
                mails.push(std::fs::read_to_string(path).unwrap());
            }
        }
        mails
    }

    /// The mail to this address whose text has these words, as soon as it is there.
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

/// The link in a mail: what stands after the origin.
pub fn link(mail: &str, origin: &str) -> String {
    let start = mail.find(&format!("{origin}/api/auth/")).unwrap() + origin.len();
    mail[start..].split_whitespace().next().unwrap().to_owned()
}

// === impl OpenId ===

impl OpenId {
    /// `people` is `{NAME: {email, email_verified, name}}`.
    pub fn start(people: &Value, redirect_uris: &[String]) -> Self {
        Self::with(people, redirect_uris, json!({}))
    }

    /// With more settings: see `servers/oidc/provider.mjs`.
    pub fn with(people: &Value, redirect_uris: &[String], mut settings: Value) -> Self {
        settings["people"] = people.clone();
        settings["clientId"] = CLIENT_ID.into();
        settings["clientSecret"] = CLIENT_SECRET.into();
        settings["redirectUris"] = json!(redirect_uris);
        // A module finds its packages beside itself only. Tests run at the same time, each with a
        // copy of its own.
        let place = installed().join("oidc");
        let program = place.join(format!("provider-{}.mjs", uuid::Uuid::new_v4()));
        std::fs::copy(sources().join("oidc/provider.mjs"), &program)
            .unwrap_or_else(|error| panic!("run .ci/test-servers first: {error}"));
        let mut command = Command::new("node");
        command.arg(&program).arg(settings.to_string());
        let server = Server::start(command);
        let _ = std::fs::remove_file(program);
        Self {
            issuer: server.line.clone(),
            _server: server,
        }
    }

    /// A token that vouches for its client `workload` to this audience.
    pub async fn vouch(&self, audience: &str) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials")
            .append_pair("client_id", "workload")
            .append_pair("client_secret", CLIENT_SECRET)
            .append_pair("resource", audience);
        let call = Call::post("/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.finish());
        let answer = Http::new(&*self.issuer).send(call).await.unwrap();
        let answer = answer.expect(200).unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// `host:port`, as the operator exempts it.
    pub fn host(&self) -> &str {
        self.issuer.trim_start_matches("http://")
    }
}

pub const CLIENT_ID: &str = "ah5";
pub const CLIENT_SECRET: &str = "planted-client-secret-0123456789";

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers")
}

/// `target/test-servers`, found from where the test itself is.
fn installed() -> PathBuf {
    let ourselves = std::env::current_exe().unwrap();
    ourselves.ancestors().nth(3).unwrap().join("test-servers")
}
