//! The front door: the real nginx with the real configuration, in a folder of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::cancel::Cancel;
use crate::process::{Process, Signal, Spec};
use crate::user::RunAs;
use crate::{probe, program};

mod template;

/// How calls are spread over the data planes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Routing {
    /// The same caller always to the same replica, as in production.
    #[default]
    Sticky,
    /// Any call to any replica: nothing but speed may depend on stickiness.
    Random,
}

/// What to put in front of what.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Ours alone, with a short and plain path: it gets the configuration, sockets and access log.
    pub folder: PathBuf,
    /// Gets nginx's error log.
    pub log: PathBuf,
    pub listen: Vec<SocketAddr>,
    pub routing: Routing,
    pub data_planes: Vec<SocketAddr>,
    pub control_planes: Vec<SocketAddr>,
}

/// Stopped on drop.
pub struct Nginx {
    program: PathBuf,
    plan: Plan,
    user: RunAs,
    process: Process,
}

// === impl Nginx ===

impl Nginx {
    /// # Errors
    /// nginx isn't installed, refuses the configuration, or doesn't come up.
    pub fn start(plan: Plan, cancel: &Cancel) -> anyhow::Result<Self> {
        let program = find()?;
        let user = RunAs::unprivileged(USERS)?;
        prepare(&plan, &user)?;
        // A killed nginx leaves its sockets behind, and the next one can't make them again.
        for socket in ["data.sock", "control.sock"] {
            drop(std::fs::remove_file(plan.folder.join(socket)));
        }
        test(&program, &plan)?;
        let mut command = Command::new(&program);
        command.args(arguments(&plan)).args(["-g", "daemon off;"]);
        let process = Process::start(Spec {
            name: "front door (nginx)".into(),
            command,
            env: &BTreeMap::new(),
            log: plan.log.clone(),
            stop: Signal::TERM,
            patience: Duration::from_secs(10),
            orphan: "TERM",
        })?;
        let mut nginx = Self {
            program,
            plan,
            user,
            process,
        };
        nginx.wait(cancel)?;
        Ok(nginx)
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.plan.listen[0]
    }

    pub const fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Other replicas from now on. Calls under way are finished by the old workers.
    ///
    /// # Errors
    /// nginx refuses the configuration; then it goes on with the old one.
    pub fn reload(&mut self, data_planes: Vec<SocketAddr>) -> anyhow::Result<()> {
        self.plan.data_planes = data_planes;
        prepare(&self.plan, &self.user)?;
        test(&self.program, &self.plan)?;
        self.process.signal(Signal::HUP);
        Ok(())
    }

    /// # Errors
    /// It had to be killed.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.process.stop()
    }

    fn wait(&mut self, cancel: &Cancel) -> anyhow::Result<()> {
        let address = self.plan.listen[0];
        // Paths that it keeps from everybody nginx answers itself.
        let answers = || Ok((probe::status(address, "/readyz") == Some(404)).then_some(()));
        self.process
            .wait_for(Duration::from_secs(15), cancel, answers)
    }
}

fn find() -> anyhow::Result<PathBuf> {
    let more = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"];
    program::find("nginx", &more)
        .context("nginx is not installed; on Debian: sudo apt-get install nginx")
}

/// Writes the configuration into a folder that only we and nginx's workers may enter.
fn prepare(plan: &Plan, user: &RunAs) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(&plan.folder)?;
    let mode = std::fs::Permissions::from_mode(0o750);
    std::fs::set_permissions(&plan.folder, mode)?;
    if let RunAs::Other { gid, .. } = user {
        std::os::unix::fs::chown(&plan.folder, None, Some(*gid))?;
    }
    let Some(folder) = plan.folder.to_str().filter(|path| is_plain(path)) else {
        bail!("nginx needs a folder with a plain name");
    };
    std::fs::write(config(plan), template::render(plan, folder, user))?;
    Ok(())
}

fn test(program: &Path, plan: &Plan) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    command.arg("-t").args(arguments(plan));
    program::run(&mut command)
        .map(drop)
        .context("nginx refuses its configuration")
}

fn arguments(plan: &Plan) -> [std::ffi::OsString; 6] {
    [
        "-p".into(),
        plan.folder.clone().into(),
        "-c".into(),
        config(plan).into(),
        // Until it has read its configuration it would write to the system's log.
        "-e".into(),
        "stderr".into(),
    ]
}

fn config(plan: &Plan) -> PathBuf {
    plan.folder.join("nginx.conf")
}

fn is_plain(path: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
    path.chars().all(plain) && path.len() <= MAX_PATH
}

/// Whom the workers of root's nginx run as.
const USERS: &[&str] = &["www-data", "nginx", "nobody"];
/// A socket's path is limited to about 100 bytes.
const MAX_PATH: usize = 80;
