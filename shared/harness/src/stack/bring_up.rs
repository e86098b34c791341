//! Bringing a stack up, step by step, in the order in which the parts need each other.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, bail};

use super::builder::Builder;
use super::environment::Env;
use super::faults::{self, ConfigFaults};
use super::home::{DATABASE, Home};
use super::plane::ANY_PORT;
use super::{Replica, Simulator, Stack};
use crate::binaries::Binaries;
use crate::nginx::{Nginx, Plan};
use crate::postgres::kept::Place;
use crate::postgres::{Cluster, Template};

// === impl Builder ===

impl Builder {
    pub(super) fn bring_up(&self, stack: &mut Stack) -> anyhow::Result<()> {
        self.make_key_ring(stack)?;
        self.check_settings(stack)?;
        if !self.existing_database {
            self.start_database(stack)?;
        }
        self.migrate(stack)?;
        if self.simulator {
            self.start_simulator(stack)?;
        }
        self.say("starting the control plane");
        let env = stack.environment.of_control_plane();
        stack.control_plane = Some(stack.launcher.control_plane(&env)?);
        self.start_data_planes(stack)?;
        if self.front {
            self.start_front_door(stack)?;
        }
        Ok(())
    }

    fn make_key_ring(&self, stack: &Stack) -> anyhow::Result<()> {
        let mut command = Command::new(stack.launcher.binaries.find("control-plane")?);
        command.arg("keyring").arg(stack.environment.key_ring());
        run_quietly(command.env_clear())
    }

    /// Faults of both planes at once, before anything is started.
    fn check_settings(&self, stack: &Stack) -> anyhow::Result<()> {
        let mut control = stack.environment.of_control_plane();
        let mut data = stack.environment.of_data_plane(0, ANY_PORT);
        if !self.existing_database {
            // Not known yet, and not the operator's to get wrong.
            control.insert("DATABASE_URL".into(), "host=/nowhere".into());
            data.insert("DATA_PLANE_DATABASE_URL".into(), "host=/nowhere".into());
        }
        let binaries = &stack.launcher.binaries;
        let mut found = faults::of_plane(&binaries.find("control-plane")?, &control)?;
        if self.data_planes > 0 {
            found.extend(faults::of_plane(&binaries.find("data-plane")?, &data)?);
        }
        let mut faults = self.faults.clone();
        for fault in found {
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(ConfigFaults(faults).into())
        }
    }

    fn start_database(&self, stack: &mut Stack) -> anyhow::Result<()> {
        self.say("starting PostgreSQL");
        let home = &stack.home;
        let cluster = match home.cluster() {
            None => Cluster::start_copy(&template(&stack.launcher.binaries)?)?,
            Some(folder) => {
                let place = Place {
                    folder: folder.to_owned(),
                    socket: home.postgres_socket(),
                    log: home.log("postgres"),
                    password: home.password("postgres-password")?,
                };
                let cluster = Cluster::start_kept(place, &self.cancel, &self.progress)?;
                if let Err(error) = cluster.create_database(DATABASE)
                    && !format!("{error:#}").contains("already exists")
                {
                    return Err(error);
                }
                cluster
            }
        };
        let control = write_url(&cluster, home, CONTROL_LOGIN)?;
        let data = write_url(&cluster, home, DATA_LOGIN)?;
        stack.environment.set_databases(&control, &data);
        stack.cluster = Some(cluster);
        Ok(())
    }

    fn migrate(&self, stack: &Stack) -> anyhow::Result<()> {
        self.say("bringing the database's schema up to date");
        let mut command = Command::new(stack.launcher.binaries.find("control-plane")?);
        command.arg("migrate").env_clear().envs(&self.env);
        if let Some(cluster) = &stack.cluster {
            let home = &stack.home;
            let url = home.write_secret("migrate-database-url", &cluster.url(DATABASE))?;
            command
                .env("MIGRATE_DATABASE_URL_FILE", url)
                .env_remove("MIGRATE_DATABASE_URL")
                .env_remove("DATABASE_URL");
            for (name, user) in [
                ("CONTROL_LOGIN_PASSWORD", CONTROL_LOGIN),
                ("DATA_LOGIN_PASSWORD", DATA_LOGIN),
            ] {
                let file = home.root().join(format!("secrets/{user}-password"));
                command.env_remove(name).env(format!("{name}_FILE"), file);
            }
        }
        run_quietly(&mut command)
    }

    fn start_simulator(&self, stack: &mut Stack) -> anyhow::Result<()> {
        self.say("starting the provider simulator");
        let home = &stack.home;
        let ca_file = home.root().join("simulator-ca.pem");
        let file = home.addresses("provider-simulator");
        let env = Env::from(
            [
                ("LISTEN_ADDR", ANY_PORT.to_string()),
                ("ADDRESS_FILE", file.display().to_string()),
                ("CA_FILE", ca_file.display().to_string()),
                ("HOST_NAMES", self.plays.join(",")),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        let plane = stack.launcher.simulator(&env)?;
        let listen = plane.addresses.listen;
        let host = format!("localhost:{}", listen.port());
        stack.environment.set_simulator(&host, &ca_file, home)?;
        stack.environment.play(&self.plays, listen);
        stack.simulator = Some(Simulator {
            plane,
            listen,
            host,
            ca_file,
        });
        Ok(())
    }

    fn start_data_planes(&self, stack: &mut Stack) -> anyhow::Result<()> {
        let mut ours = stack.port.addresses().to_vec();
        ours.push(stack.control_plane().listen);
        ours.extend(stack.control_plane().admin);
        let database = stack.cluster.as_ref().and_then(Cluster::address);
        ours.extend(database);
        stack.environment.protect(&ours);
        for number in 0..self.data_planes {
            self.say(&format!("starting data plane {number}"));
            let plane = stack.launch_data_plane(number, ANY_PORT)?;
            stack.environment.protect(&[plane.addresses.listen]);
            stack.data_planes.push(Replica::of(plane));
        }
        Ok(())
    }

    fn start_front_door(&self, stack: &mut Stack) -> anyhow::Result<()> {
        self.say("starting nginx");
        let plan = Plan {
            folder: stack.home.front(),
            log: stack.home.log("nginx"),
            listen: stack.port.addresses().to_vec(),
            routing: self.routing,
            data_planes: stack.data_planes().map(|it| it.listen).collect(),
            control_planes: vec![stack.control_plane().listen],
        };
        stack.front = Some(Nginx::start(plan, &self.cancel)?);
        Ok(())
    }

    fn say(&self, what: &str) {
        (self.progress)(what);
    }
}

/// A cluster with the schema of this control plane, its login users without passwords.
fn template(binaries: &Binaries) -> anyhow::Result<Template> {
    let program = binaries.find("control-plane")?;
    let metadata = program.metadata()?;
    let built = metadata.modified()?.duration_since(UNIX_EPOCH)?;
    let name = format!("{}-{}", metadata.len(), built.as_nanos());
    let folder = program.parent().unwrap_or(Path::new("/"));
    Template::open(folder, &name, || {
        let cluster = Cluster::start_temporary()?;
        cluster.create_database(DATABASE)?;
        let mut command = Command::new(&program);
        command.arg("migrate").env_clear();
        run_quietly(command.env("MIGRATE_DATABASE_URL", cluster.url(DATABASE)))?;
        Ok(cluster)
    })
}

/// Where a login user's connection string stands; nothing secret is in an environment.
fn write_url(cluster: &Cluster, home: &Home, user: &str) -> anyhow::Result<PathBuf> {
    let password = home.password(&format!("{user}-password"))?;
    let url = cluster.url_as(user, DATABASE) + " password=" + password.expose();
    home.write_secret(&format!("{user}-database-url"), &url)
}

/// Runs one of our own commands, which says what went wrong in a sentence.
fn run_quietly(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().context("cannot run control-plane")?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(EX_USAGE) {
        return Err(ConfigFaults(faults::listed(&said)).into());
    }
    let said = said.trim();
    bail!("{}", said.strip_prefix("control-plane: ").unwrap_or(said))
}

const CONTROL_LOGIN: &str = "ah5_control_login";
const DATA_LOGIN: &str = "ah5_data_login";
/// Bad configuration (`EX_USAGE` of sysexits.h).
const EX_USAGE: i32 = 64;
