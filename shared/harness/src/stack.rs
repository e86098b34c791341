//! The whole product, started for real: database, migrations, provider simulator, control plane,
//! data planes and nginx in front. Tests and benchmarks give it a temporary folder, `make run` a
//! lasting one.
//!
//! ```no_run
//! # use ah5_harness::stack::Stack;
//! let mut stack = Stack::builder().data_planes(2).start()?;
//! println!("{} and directly {}", stack.origin(), stack.data_plane(0).listen);
//! stack.kill_data_plane(0);
//! stack.restart_data_plane(0)?;
//! # anyhow::Ok(())
//! ```

use std::io::{Seek as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::Context as _;

use crate::cancel::Cancel;
use crate::nginx::Nginx;
use crate::port::Reservation;
use crate::postgres::Cluster;

mod bring_up;
mod builder;
mod environment;
mod fallen;
mod faults;
pub mod home;
mod plane;

pub use crate::nginx::Routing;
pub use builder::Builder;
pub use fallen::Part;
pub use faults::ConfigFaults;
pub use plane::Addresses;

use environment::Environment;
use home::Home;
use plane::{Launcher, Plane};

/// Everything stops, in order, on [`Stack::stop`] and on drop.
pub struct Stack {
    // In the order of stopping.
    front: Option<Nginx>,
    data_planes: Vec<Replica>,
    control_plane: Option<Plane>,
    /// Beside the first; the front door doesn't know them.
    more_control_planes: Vec<Plane>,
    simulator: Option<Simulator>,
    cluster: Option<Cluster>,
    launcher: Launcher,
    environment: Environment,
    origin: String,
    port: Reservation,
    home: Home,
    cancel: Cancel,
}

/// A stand-in for the companies whose APIs agents call.
pub struct Simulator {
    plane: Plane,
    pub listen: SocketAddr,
    /// As a base URL names it, and exactly as it is exempted from the address rules.
    pub host: String,
    pub ca_file: PathBuf,
}

/// One data plane, also while it is down.
struct Replica {
    plane: Option<Plane>,
    /// Where it is, or was last.
    addresses: Addresses,
}

// === impl Stack ===

impl Stack {
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where the product is for its users, without a trailing slash.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// nginx.
    ///
    /// # Panics
    /// It was built without one.
    #[must_use]
    pub fn front(&self) -> SocketAddr {
        self.front.as_ref().expect("a front door").address()
    }

    /// # Panics
    /// It is stopped.
    #[must_use]
    pub fn control_plane(&self) -> &Addresses {
        &self.control_plane.as_ref().expect("running").addresses
    }

    /// A setting of planes that are started from now on.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.environment.set(name, value);
    }

    /// Starts one more control plane beside the first. It is reached directly.
    ///
    /// # Errors
    /// It doesn't come up.
    pub fn add_control_plane(&mut self) -> anyhow::Result<Addresses> {
        let number = self.more_control_planes.len() + 1;
        let env = self.environment.of_further_control_plane(number);
        let plane = self.launcher.further_control_plane(number, &env)?;
        let addresses = plane.addresses.clone();
        self.more_control_planes.push(plane);
        Ok(addresses)
    }

    /// `kill -9` of the first control plane.
    pub fn kill_control_plane(&mut self) {
        if let Some(mut plane) = self.control_plane.take() {
            plane.process.kill();
        }
    }

    /// Where this data plane is, or was before it was killed.
    #[must_use]
    pub fn data_plane(&self, number: usize) -> &Addresses {
        &self.data_planes[number].addresses
    }

    pub fn data_planes(&self) -> impl Iterator<Item = &Addresses> {
        self.data_planes.iter().map(|replica| &replica.addresses)
    }

    #[must_use]
    pub const fn simulator(&self) -> Option<&Simulator> {
        self.simulator.as_ref()
    }

    /// The private database server; none where an existing one is used.
    #[must_use]
    pub const fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    #[must_use]
    pub fn front_pid(&self) -> Option<u32> {
        self.front.as_ref().map(Nginx::pid)
    }

    /// The folder that holds the logs, one file a part.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.home.logs()
    }

    /// The folder that holds everything else of this stack.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.home.root()
    }

    /// `kill -9`.
    pub fn kill_data_plane(&mut self, number: usize) {
        if let Some(mut plane) = self.data_planes[number].plane.take() {
            plane.process.kill();
        }
    }

    /// SIGTERM, and waits until it has drained.
    ///
    /// # Errors
    /// It had to be killed.
    pub fn stop_data_plane(&mut self, number: usize) -> anyhow::Result<()> {
        let plane = self.data_planes[number].plane.take();
        plane.map_or(Ok(()), |mut plane| plane.process.stop())
    }

    /// Starts it again where it was; where its port is taken, elsewhere, which nginx is then told.
    ///
    /// # Errors
    /// It doesn't come up.
    pub fn restart_data_plane(&mut self, number: usize) -> anyhow::Result<()> {
        self.stop_data_plane(number)?;
        let before = self.data_planes[number].addresses.listen;
        let plane = match self.launch_data_plane(number, before) {
            Err(error) if format!("{error:#}").contains("in use") => {
                self.launch_data_plane(number, plane::ANY_PORT)?
            }
            result => result?,
        };
        self.data_planes[number] = Replica::of(plane);
        let now: Vec<SocketAddr> = self.data_planes().map(|it| it.listen).collect();
        if let Some(front) = self
            .front
            .as_mut()
            .filter(|it| it.plan().data_planes != now)
        {
            front.reload(now)?;
        }
        Ok(())
    }

    /// # Errors
    /// It had to be killed, or the database isn't ours.
    pub fn stop_postgres(&mut self) -> anyhow::Result<()> {
        self.private_cluster()?.stop()
    }

    /// # Errors
    /// It doesn't come up, or the database isn't ours.
    pub fn start_postgres(&mut self) -> anyhow::Result<()> {
        let cancel = self.cancel.clone();
        self.private_cluster()?.start(&cancel)
    }

    /// The product's database as text.
    ///
    /// # Errors
    /// Postgres doesn't answer, or the database isn't ours.
    pub fn dump(&self) -> anyhow::Result<String> {
        let cluster = self.cluster.as_ref().context(NOT_OURS)?;
        cluster.dump(home::DATABASE)
    }

    /// Puts the database of a dump in place of the one that there is.
    ///
    /// # Errors
    /// The dump is not one of this server's, or the database isn't ours.
    pub fn restore(&self, dump: &str) -> anyhow::Result<()> {
        let cluster = self.cluster.as_ref().context(NOT_OURS)?;
        cluster.restore(home::DATABASE, dump)
    }

    /// Runs a command of the control plane's as an operator does, with the settings that the stack's
    /// own has and this on its standard input.
    ///
    /// # Errors
    /// It can't be run. How it ended is for the caller to judge.
    pub fn operate(&self, arguments: &[&str], input: &str) -> anyhow::Result<Output> {
        self.operate_with(arguments, input, &[])
    }

    /// The same with further settings.
    ///
    /// # Errors
    /// As [`Self::operate`].
    pub fn operate_with(
        &self,
        arguments: &[&str],
        input: &str,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Output> {
        let mut env = self.environment.of_control_plane();
        env.extend(
            settings
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string())),
        );
        let mut command = Command::new(self.launcher.binaries.find("control-plane")?);
        command.args(arguments).env_clear().envs(&env);
        let mut file = tempfile::tempfile()?;
        file.write_all(input.as_bytes())?;
        file.rewind()?;
        Ok(command.stdin(file).output()?)
    }

    /// Stops everything in order: who asks before who is asked.
    ///
    /// # Errors
    /// Something had to be killed; everything is stopped all the same.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.take_down()
    }

    fn take_down(&mut self) -> anyhow::Result<()> {
        let mut results = Vec::new();
        results.push(self.front.take().map_or(Ok(()), Nginx::stop));
        let planes = self.data_planes.iter_mut().filter_map(|it| it.plane.take());
        let mut planes: Vec<Plane> = planes.collect();
        // They drain side by side.
        planes.iter().for_each(|plane| plane.process.ask_to_stop());
        planes.extend(self.control_plane.take());
        planes.append(&mut self.more_control_planes);
        planes.extend(self.simulator.take().map(|simulator| simulator.plane));
        results.extend(planes.iter_mut().map(|plane| plane.process.stop()));
        results.push(self.cluster.as_mut().map_or(Ok(()), Cluster::stop));
        results.into_iter().collect()
    }

    fn launch_data_plane(&self, number: usize, listen: SocketAddr) -> anyhow::Result<Plane> {
        let env = self.environment.of_data_plane(number, listen);
        self.launcher.data_plane(number, &env)
    }

    fn private_cluster(&mut self) -> anyhow::Result<&mut Cluster> {
        self.cluster.as_mut().context(NOT_OURS)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if let Err(error) = self.take_down() {
            eprintln!("{error:#}");
        }
    }
}

// === impl Simulator ===

impl Simulator {
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.plane.addresses.pid
    }
}

// === impl Replica ===

impl Replica {
    fn of(plane: Plane) -> Self {
        Self {
            addresses: plane.addresses.clone(),
            plane: Some(plane),
        }
    }
}

const NOT_OURS: &str = "the database is an existing server's";
