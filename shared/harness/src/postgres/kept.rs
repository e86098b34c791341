//! A cluster that stays: made on the first start, found again on the next. Passwords are asked for
//! on every way in, as other users of the machine can reach its socket and port.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, kill_process};

use ah5_security::secret::SecretText;

use super::programs::Programs;
use super::{Cluster, USERS};
use crate::cancel::Cancel;
use crate::port::Reservation;
use crate::process::Signal;
use crate::user::RunAs;

/// Where a kept cluster lives.
pub struct Place {
    /// Holds the data folder; the server's user can enter it.
    pub folder: PathBuf,
    /// Short, and the server's user can write there.
    pub socket: PathBuf,
    pub log: PathBuf,
    /// The superuser's.
    pub password: SecretText,
}

/// Whom a kept cluster's server runs as.
///
/// # Errors
/// We are root and there is nobody for it.
pub fn user() -> anyhow::Result<RunAs> {
    RunAs::unprivileged(USERS)
}

// === impl Cluster ===

impl Cluster {
    /// # Errors
    /// The message is a sentence for whoever typed `make run`.
    pub fn start_kept(
        place: Place,
        cancel: &Cancel,
        progress: &dyn Fn(&str),
    ) -> anyhow::Result<Self> {
        let user = user()?;
        user.own(&place.folder, 0o700)?;
        user.own(&place.socket, 0o755)?;
        let data = place.folder.join("data");
        let programs = if data.exists() {
            of_this_data(&data)?
        } else {
            make(&user, &place, &data, progress)?
        };
        wait_for_the_last_one(&data, cancel, progress)?;
        let mut cluster = Self {
            programs,
            user,
            data,
            socket: place.socket,
            port: 0,
            options: Vec::new(),
            log: place.log,
            password: Some(place.password),
            stop: Signal::INT,
            server: None,
            _temporary: None,
        };
        cluster.start_on_a_free_port(cancel)?;
        Ok(cluster)
    }

    // Somebody may take the port between our look and the server's.
    fn start_on_a_free_port(&mut self, cancel: &Cancel) -> anyhow::Result<()> {
        let mut tries = 0;
        loop {
            self.port = Reservation::any()?.addresses()[0].port();
            self.options = vec!["listen_addresses=127.0.0.1".into()];
            tries += 1;
            match self.start(cancel) {
                Err(error) if tries < 3 && format!("{error:#}").contains("already in use") => {}
                result => return result,
            }
        }
    }
}

/// The programs that can open this data.
fn of_this_data(data: &Path) -> anyhow::Result<Programs> {
    let whole = data.join("global/pg_control").exists();
    let version = std::fs::read_to_string(data.join("PG_VERSION")).ok();
    let version: Option<u32> = version.and_then(|text| text.trim().parse().ok());
    let Some(major) = version.filter(|_| whole) else {
        bail!(
            "{} is not a complete PostgreSQL data folder: move it away (or remove it, if nothing \
             in it is needed) and start again",
            data.display()
        );
    };
    Programs::of_version(major).with_context(|| {
        format!(
            "{} was made by PostgreSQL {major}: install that version (Debian: postgresql-{major}), \
             or move the folder away to start with an empty one",
            data.display()
        )
    })
}

/// Makes the data under another name first, so that half of it is never taken for all of it.
fn make(
    user: &RunAs,
    place: &Place,
    data: &Path,
    progress: &dyn Fn(&str),
) -> anyhow::Result<Programs> {
    let programs = Programs::newest()?;
    let partial = place.folder.join("data.partial");
    if partial.exists() {
        progress("an earlier first start was interrupted: making the database folder anew");
        std::fs::remove_dir_all(&partial)
            .with_context(|| format!("cannot remove {}", partial.display()))?;
    }
    progress(&format!(
        "making a database folder with PostgreSQL {}",
        programs.major
    ));
    let password = write_password(user, place)?;
    let arguments = [
        "-A".into(),
        "scram-sha-256".into(),
        format!("--pwfile={}", password.display()),
    ];
    let made = programs.initdb(user, &partial, &arguments);
    std::fs::remove_file(&password)?;
    made?;
    std::fs::rename(&partial, data)?;
    Ok(programs)
}

/// For `initdb`, which reads it as the server's user.
fn write_password(user: &RunAs, place: &Place) -> anyhow::Result<PathBuf> {
    let path = place.folder.join("initial-password");
    drop(std::fs::remove_file(&path));
    let mut file = std::fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    writeln!(file, "{}", place.password.expose())?;
    user.own(&path, 0o600)?;
    Ok(path)
}

/// A server whose harness was killed is told to stop by the kernel, but takes a moment.
fn wait_for_the_last_one(
    data: &Path,
    cancel: &Cancel,
    progress: &dyn Fn(&str),
) -> anyhow::Result<()> {
    let Some(pid) = running(data) else {
        return Ok(());
    };
    progress("waiting for the PostgreSQL of an earlier start to stop");
    let _ = kill_process(pid, Signal::INT);
    let start = Instant::now();
    // Its file goes a moment before it does.
    while works_in(pid, data) {
        cancel.check()?;
        ensure!(
            start.elapsed() < Duration::from_secs(30),
            "a PostgreSQL (process {pid:?}) still uses {}: stop it first",
            data.display()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

// The id in the file may be somebody else's by now, so the process must also be working there.
fn running(data: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let pid = Pid::from_raw(text.lines().next()?.trim().parse().ok()?)?;
    works_in(pid, data).then_some(pid)
}

// An ended process that nobody has waited for has no working directory any more.
fn works_in(pid: Pid, data: &Path) -> bool {
    let place = std::fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero()));
    place.is_ok_and(|place| data.canonicalize().is_ok_and(|data| data == place))
}
