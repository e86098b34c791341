//! The programs of an installed PostgreSQL.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::program;
use crate::user::RunAs;

/// One installation.
#[derive(Clone, Debug)]
pub struct Programs {
    folder: PathBuf,
    pub major: u32,
}

// === impl Programs ===

impl Programs {
    /// # Errors
    /// There is none of a version that will do.
    pub fn newest() -> anyhow::Result<Self> {
        let newest = installed().into_iter().max_by_key(|it| it.major);
        match newest {
            Some(it) if it.major >= MIN_VERSION => Ok(it),
            Some(it) => bail!(
                "PostgreSQL {} is too old: version {MIN_VERSION} or newer is needed; {INSTALL}",
                it.major
            ),
            None => bail!("PostgreSQL is not installed; {INSTALL}"),
        }
    }

    /// # Errors
    /// There is none of exactly this version.
    pub fn of_version(major: u32) -> anyhow::Result<Self> {
        let found = installed();
        let others: Vec<String> = found.iter().map(|it| it.major.to_string()).collect();
        let exact = found.into_iter().find(|it| it.major == major);
        exact.with_context(|| match others.len() {
            0 => format!("PostgreSQL is not installed; {INSTALL}"),
            _ => format!(
                "PostgreSQL {major} is not installed here, only {}",
                others.join(" and ")
            ),
        })
    }

    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A program of this installation, run as the server's user, untouched by our environment.
    #[must_use]
    pub fn command(&self, user: &RunAs, name: &str) -> Command {
        let mut command = user.command(&self.path(name));
        // Not ours: a folder that the server's user can't enter is no place to start from.
        command.current_dir("/").env_clear().env("LC_ALL", "C");
        command
    }

    /// Makes a data folder whose superuser is `postgres`.
    ///
    /// # Errors
    /// What `initdb` says.
    pub fn initdb(&self, user: &RunAs, data: &Path, more: &[String]) -> anyhow::Result<()> {
        let mut command = self.command(user, "initdb");
        command.arg("-D").arg(data);
        command
            .args(["-U", "postgres", "-E", "UTF8", "--no-instructions"])
            .args(["--locale", "C"])
            .args(more);
        program::run(&mut command).context("initdb failed")?;
        Ok(())
    }
}

fn installed() -> Vec<Programs> {
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let debian = debian.map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let homebrew = ["/opt/homebrew/bin", "/usr/local/bin"].map(PathBuf::from);
    let folders = debian
        .chain(path)
        .chain(said_by_pg_config())
        .chain(homebrew);
    folders
        .filter(|folder| {
            NEEDED
                .iter()
                .all(|name| program::is_program(&folder.join(name)))
        })
        .filter_map(|folder| {
            Some(Programs {
                major: version(&folder)?,
                folder,
            })
        })
        .collect()
}

fn said_by_pg_config() -> Option<PathBuf> {
    let program = program::find("pg_config", HOMEBREW)?;
    let output = Command::new(program).arg("--bindir").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(text.trim()))
}

fn version(folder: &Path) -> Option<u32> {
    let output = Command::new(folder.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    major(&String::from_utf8(output.stdout).ok()?)
}

// "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)", "postgres (PostgreSQL) 18beta1"
fn major(said: &str) -> Option<u32> {
    let version = said.split_whitespace().nth(2)?;
    let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The oldest major version that will do.
const MIN_VERSION: u32 = 15;
const NEEDED: [&str; 4] = ["createdb", "initdb", "pg_dump", "postgres"];
const INSTALL: &str = "on Debian: sudo apt-get install postgresql";
const HOMEBREW: &[&str] = &["/opt/homebrew/bin", "/usr/local/bin"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_what_postgres_says() {
        let debian = "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n";
        assert_eq!(major(debian), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("postgres"), None);
    }
}
