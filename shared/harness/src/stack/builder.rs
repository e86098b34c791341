//! What a stack is to be made of.

use std::path::Path;

use super::Stack;
use super::environment::{Env, Environment};
use super::home::Home;
use super::plane::Launcher;
use crate::binaries::Binaries;
use crate::cancel::Cancel;
use crate::nginx::Routing;
use crate::port::Reservation;

/// Made by [`Stack::builder`]: two data planes behind nginx on a free port, a fresh private
/// database and the provider simulator, all in a temporary folder.
pub struct Builder {
    home: Option<Home>,
    binaries: Option<Binaries>,
    pub(super) data_planes: usize,
    pub(super) routing: Routing,
    pub(super) front: bool,
    port: Option<u16>,
    pub(super) simulator: bool,
    pub(super) plays: Vec<String>,
    pub(super) existing_database: bool,
    pub(super) env: Env,
    pub(super) faults: Vec<String>,
    pub(super) cancel: Cancel,
    pub(super) progress: Box<dyn Fn(&str)>,
}

// === impl Builder ===

impl Default for Builder {
    fn default() -> Self {
        Self {
            home: None,
            binaries: None,
            data_planes: 2,
            routing: Routing::Sticky,
            front: true,
            port: None,
            simulator: true,
            plays: Vec::new(),
            existing_database: false,
            env: Env::new(),
            faults: Vec::new(),
            cancel: Cancel::default(),
            progress: Box::new(|_| ()),
        }
    }
}

impl Builder {
    #[must_use]
    pub const fn data_planes(mut self, number: usize) -> Self {
        self.data_planes = number;
        self
    }

    #[must_use]
    pub const fn routing(mut self, routing: Routing) -> Self {
        self.routing = routing;
        self
    }

    #[must_use]
    pub const fn simulator(mut self, wanted: bool) -> Self {
        self.simulator = wanted;
        self
    }

    /// Calls to these hosts go to the simulator, which shows a certificate for them.
    #[must_use]
    pub fn plays(mut self, hosts: &[&str]) -> Self {
        self.plays = hosts.iter().map(|&host| host.to_owned()).collect();
        self
    }

    /// nginx; without it the planes are reached directly.
    #[must_use]
    pub const fn front_door(mut self, wanted: bool) -> Self {
        self.front = wanted;
        self
    }

    /// The front door's port instead of a free one.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// A setting of both planes.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Faults that the caller found in its own settings, to be told together with the planes'.
    #[must_use]
    pub fn faults(mut self, faults: Vec<String>) -> Self {
        self.faults = faults;
        self
    }

    /// No private database: `DATABASE_URL` and its like are among the settings.
    #[must_use]
    pub const fn existing_database(mut self) -> Self {
        self.existing_database = true;
        self
    }

    /// Our binaries are in this folder instead of beside the running one.
    #[must_use]
    pub fn binaries(mut self, folder: &Path) -> Self {
        self.binaries = Some(Binaries::of(folder));
        self
    }

    #[must_use]
    pub fn home(mut self, home: Home) -> Self {
        self.home = Some(home);
        self
    }

    /// Whose wish ends the start-up early.
    #[must_use]
    pub fn cancel(mut self, cancel: &Cancel) -> Self {
        self.cancel = cancel.clone();
        self
    }

    /// Is told every step.
    #[must_use]
    pub fn progress(mut self, tell: impl Fn(&str) + 'static) -> Self {
        self.progress = Box::new(tell);
        self
    }

    /// Brings everything up; blocks until all of it answers.
    ///
    /// # Errors
    /// A part is missing or doesn't come up. What was started by then is stopped.
    pub fn start(mut self) -> anyhow::Result<Stack> {
        let home = self.home.take().map_or_else(Home::temporary, Ok)?;
        let port = self.port.map_or_else(Reservation::any, Reservation::of)?;
        let number = port.addresses()[0].port();
        let binaries = self.binaries.take();
        let binaries = binaries.map_or_else(Binaries::beside_us, Ok)?;
        let mut stack = Stack {
            front: None,
            data_planes: Vec::new(),
            control_plane: None,
            more_control_planes: Vec::new(),
            simulator: None,
            cluster: None,
            launcher: Launcher {
                binaries,
                logs: home.logs(),
                cancel: self.cancel.clone(),
            },
            environment: Environment::new(&self.env, &home, number),
            origin: self.origin(number),
            port,
            home,
            cancel: self.cancel.clone(),
        };
        self.bring_up(&mut stack)?;
        Ok(stack)
    }

    // As the planes work it out from the same settings.
    fn origin(&self, port: u16) -> String {
        let given = ["PUBLIC_ORIGIN", "WEB_URL"].map(|name| self.env.get(name));
        let given = given.into_iter().flatten().next();
        given.map_or_else(
            || format!("http://localhost:{port}"),
            |text| text.trim().trim_end_matches('/').to_owned(),
        )
    }
}
