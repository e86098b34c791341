//! Private PostgreSQL clusters: temporary ones for tests (Unix socket only, so no port can clash)
//! and kept ones for `make run`. The server is a child of ours and stops on drop.

use std::collections::BTreeMap;
use std::io::{Seek as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;

use ah5_security::secret::SecretText;

use crate::cancel::Cancel;
use crate::process::{Process, Signal, Spec};
use crate::user::RunAs;

pub mod kept;
mod programs;
mod template;

use programs::Programs;
pub use template::Template;

/// Stopped on drop, and deleted if it is a temporary one.
pub struct Cluster {
    programs: Programs,
    user: RunAs,
    data: PathBuf,
    socket: PathBuf,
    /// The socket's name holds a port even where none is open.
    port: u16,
    options: Vec<String>,
    log: PathBuf,
    password: Option<SecretText>,
    stop: Signal,
    server: Option<Process>,
    _temporary: Option<TempDir>,
}

// === impl Cluster ===

impl Cluster {
    /// # Errors
    /// PostgreSQL 15 or newer isn't installed, or doesn't start; the message says what to do.
    pub fn start_temporary() -> anyhow::Result<Self> {
        Self::temporary(|programs, user, data| {
            let arguments = ["-A", "trust", "--no-sync"].map(str::to_owned);
            programs.initdb(user, data, &arguments)
        })
    }

    /// A temporary one that starts with what the template has.
    ///
    /// # Errors
    /// See [`Self::start_temporary`].
    pub fn start_copy(template: &Template) -> anyhow::Result<Self> {
        Self::temporary(|_, user, data| template.copy(data, user))
    }

    fn temporary(
        make: impl FnOnce(&Programs, &RunAs, &Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        // A short path: a socket's is limited to about 100 bytes.
        let folder = tempfile::Builder::new()
            .prefix("ah5-pg-")
            .tempdir_in("/tmp")?;
        let user = RunAs::unprivileged(USERS)?;
        user.own(folder.path(), 0o755)?;
        let programs = Programs::newest()?;
        let data = folder.path().join("data");
        make(&programs, &user, &data)?;
        let mut cluster = Self {
            programs,
            user,
            data,
            socket: folder.path().to_owned(),
            port: 5432,
            options: TEMPORARY.map(str::to_owned).to_vec(),
            log: folder.path().join("server.log"),
            password: None,
            stop: Signal::QUIT,
            server: None,
            _temporary: Some(folder),
        };
        cluster.start(&Cancel::default())?;
        Ok(cluster)
    }

    /// A connection string for a superuser.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let url = self.url_as("postgres", database);
        match &self.password {
            Some(password) => format!("{url} password={}", password.expose()),
            None => url,
        }
    }

    /// Without a password: a temporary cluster asks for none.
    #[must_use]
    pub fn url_as(&self, user: &str, database: &str) -> String {
        let (socket, port) = (self.socket.display(), self.port);
        format!("host={socket} port={port} user={user} dbname={database}")
    }

    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its TCP listener, if it has one.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        self.password.is_some().then_some(address)
    }

    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Process::pid)
    }

    /// The server's process, while it is meant to run.
    pub const fn process(&mut self) -> Option<&mut Process> {
        self.server.as_mut()
    }

    /// # Errors
    /// There is such a database already.
    pub fn create_database(&self, name: &str) -> anyhow::Result<()> {
        self.client("createdb", &[name]).map(drop)
    }

    /// A whole database as text.
    ///
    /// # Errors
    /// There is no such database.
    pub fn dump(&self, name: &str) -> anyhow::Result<String> {
        self.client("pg_dump", &[name])
    }

    /// Puts a database in place of the one that there is, as [`Self::dump`] has written it. Whoever is
    /// connected is thrown out.
    ///
    /// # Errors
    /// The dump is of another version, or malformed.
    pub fn restore(&self, name: &str, dump: &str) -> anyhow::Result<()> {
        self.client("dropdb", &["--force", "--if-exists", name])?;
        self.create_database(name)?;
        let mut file = tempfile::tempfile()?;
        file.write_all(dump.as_bytes())?;
        file.rewind()?;
        let mut command = self.command("psql", &["-q", "-v", "ON_ERROR_STOP=1", "-d", name]);
        command.stdin(file);
        crate::program::run(&mut command).context("psql failed")?;
        Ok(())
    }

    /// Starts the server, if it doesn't run.
    ///
    /// # Errors
    /// It ends early; the message holds what it said.
    pub fn start(&mut self, cancel: &Cancel) -> anyhow::Result<()> {
        if self.server.is_some() {
            return Ok(());
        }
        let mut command = self.user.command(&self.programs.path("postgres"));
        command.arg("-D").arg(&self.data);
        command.arg("-k").arg(&self.socket);
        command.args(["-p", &self.port.to_string()]);
        command.args(self.options.iter().flat_map(|option| ["-c", option]));
        let mut server = Process::start(Spec {
            name: "database server (PostgreSQL)".into(),
            command,
            env: &BTreeMap::from([("LC_ALL".to_owned(), "C".to_owned())]),
            log: self.log.clone(),
            stop: self.stop,
            patience: PATIENCE,
            orphan: "INT",
        })?;
        let status = self.data.join("postmaster.pid");
        server.wait_for(PATIENCE, cancel, || Ok(is_ready(&status).then_some(())))?;
        self.server = Some(server);
        Ok(())
    }

    /// # Errors
    /// It had to be killed.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.server
            .take()
            .map_or(Ok(()), |mut server| server.stop())
    }

    fn client(&self, program: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = self.command(program, arguments);
        let output =
            crate::program::run(&mut command).with_context(|| format!("{program} failed"))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// One of PostgreSQL's own client programs, as the superuser.
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let (socket, port) = (self.socket.display().to_string(), self.port.to_string());
        let mut command = self.programs.command(&self.user, program);
        command
            .args(["-h", &socket, "-p", &port, "-U", "postgres"])
            .args(arguments);
        if let Some(password) = &self.password {
            command.env("PGPASSWORD", password.expose());
        }
        command
    }
}

/// Whether the server says in its own file that it answers.
fn is_ready(status: &Path) -> bool {
    let text = std::fs::read_to_string(status).unwrap_or_default();
    text.lines()
        .nth(7)
        .is_some_and(|line| line.trim() == "ready")
}

/// Whom a server of root's runs as.
const USERS: &[&str] = &["postgres", "nobody"];
/// Speed instead of safety, as the data is gone anyway when the machine stops.
const TEMPORARY: [&str; 4] = [
    "listen_addresses=",
    "fsync=off",
    "full_page_writes=off",
    "max_connections=200",
];
const PATIENCE: Duration = Duration::from_secs(60);
