//! A private PostgreSQL cluster in a temporary folder: Unix socket only, so no port can clash.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;

/// The oldest major version that will do.
const MIN_VERSION: u32 = 15;

/// Stopped and deleted on drop.
pub struct Cluster {
    folder: TempDir,
    binaries: PathBuf,
    server: Server,
}

/// How programs of Postgres are run: it refuses to be started by root.
enum Server {
    AsOther(&'static str),
    AsUs,
}

// === impl Cluster ===

impl Cluster {
    /// # Errors
    /// PostgreSQL 15 or newer isn't installed, or doesn't start; the message says what to do.
    pub fn start_temporary() -> anyhow::Result<Self> {
        // A short path: a socket's is limited to about 100 bytes.
        let folder = tempfile::Builder::new()
            .prefix("ah5-pg-")
            .tempdir_in("/tmp")?;
        let server = Server::choose()?;
        let cluster = Self {
            folder,
            binaries: binaries()?,
            server,
        };
        cluster.prepare()?;
        let data = cluster.data();
        let data = data
            .to_str()
            .context("the temporary folder has a plain name")?;
        let init = [
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
            "--no-instructions",
        ];
        cluster.program("initdb", &init)?;
        let options = format!(
            "-k {} -c listen_addresses= -c fsync=off -c full_page_writes=off -c max_connections=200",
            cluster.folder.path().display()
        );
        let log = cluster.folder.path().join("data/server.log");
        let log = log
            .to_str()
            .context("the temporary folder has a plain name")?;
        cluster.program(
            "pg_ctl",
            &[
                "-D", data, "-w", "-t", "60", "-l", log, "-o", &options, "start",
            ],
        )?;
        Ok(cluster)
    }

    /// A connection string for a superuser.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url_as("postgres", database)
    }

    #[must_use]
    pub fn url_as(&self, user: &str, database: &str) -> String {
        format!(
            "host={} user={user} dbname={database}",
            self.folder.path().display()
        )
    }

    /// # Errors
    /// There is such a database already.
    pub fn create_database(&self, name: &str) -> anyhow::Result<()> {
        let socket = self.folder.path().to_string_lossy().into_owned();
        self.program("createdb", &["-h", &socket, "-U", "postgres", name])
            .map(drop)
    }

    /// A whole database as text.
    ///
    /// # Errors
    /// There is no such database.
    pub fn dump(&self, name: &str) -> anyhow::Result<String> {
        let socket = self.folder.path().to_string_lossy().into_owned();
        let output = self.program("pg_dump", &["-h", &socket, "-U", "postgres", name])?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    // The server's user must be able to enter the folder and own what is in it.
    fn prepare(&self) -> anyhow::Result<()> {
        if let Server::AsOther(user) = self.server {
            let folder = self.folder.path().to_string_lossy().into_owned();
            run(Command::new("chown").args([user, &folder]))?;
        }
        let mode = std::fs::Permissions::from_mode(0o755);
        Ok(std::fs::set_permissions(self.folder.path(), mode)?)
    }

    fn program(&self, name: &str, arguments: &[&str]) -> anyhow::Result<Output> {
        let path = self.binaries.join(name);
        let mut command = match self.server {
            Server::AsUs => Command::new(path),
            Server::AsOther(user) => {
                let mut command = Command::new("runuser");
                command.args(["-u", user, "--"]).arg(path);
                command
            }
        };
        // Not ours: a folder that the server's user can't enter is no place to start from.
        run(command
            .args(arguments)
            .current_dir("/")
            .env_remove("PGDATA")
            .env_remove("PGHOST"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.data();
        if let Some(data) = data.to_str().filter(|_| data.exists()) {
            let stopped = self.program("pg_ctl", &["-D", data, "-m", "immediate", "-w", "stop"]);
            if let Err(error) = stopped {
                eprintln!("the temporary PostgreSQL did not stop: {error:#}");
            }
        }
    }
}

// === impl Server ===

impl Server {
    fn choose() -> anyhow::Result<Self> {
        // Whoever owns our own /proc entry is who we run as.
        if std::fs::metadata("/proc/self").map_or(1, |us| us.uid()) != 0 {
            return Ok(Self::AsUs);
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let known = |name: &&str| {
            users
                .lines()
                .any(|line| line.starts_with(&format!("{name}:")))
        };
        let user = ["postgres", "nobody"].into_iter().find(known);
        user.map(Self::AsOther)
            .context("PostgreSQL refuses to run as root and there is no user `postgres`")
    }
}

/// The folder of the newest PostgreSQL of a version that will do.
fn binaries() -> anyhow::Result<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let debian = debian.map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let homebrew = ["/opt/homebrew/bin", "/usr/local/bin"].map(PathBuf::from);
    let found = debian.chain(std::env::split_paths(&path)).chain(homebrew);
    let needed = ["createdb", "initdb", "pg_ctl", "pg_dump", "postgres"];
    let usable = found.filter(|folder| needed.iter().all(|name| folder.join(name).exists()));
    let newest = usable
        .filter_map(|folder| Some((version(&folder)?, folder)))
        .max();
    match newest {
        Some((version, folder)) if version >= MIN_VERSION => Ok(folder),
        Some((version, _)) => {
            bail!("PostgreSQL {version} is too old: version {MIN_VERSION} or newer is needed")
        }
        None => bail!("PostgreSQL is not installed; on Debian: apt-get install postgresql"),
    }
}

fn version(folder: &Path) -> Option<u32> {
    let output = Command::new(folder.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace()
        .nth(2)?
        .split('.')
        .next()?
        .parse()
        .ok()
}

fn run(command: &mut Command) -> anyhow::Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .with_context(|| format!("cannot run {name}"))?;
    let (said, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(output.status.success(), "{name} failed: {said}{error}");
    Ok(output)
}
