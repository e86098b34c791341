//! Whom a child runs as. PostgreSQL refuses root and nginx gives its workers to somebody else, so a
//! harness that was started by root needs users without rights.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::program;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunAs {
    Us,
    Other { name: String, uid: u32, gid: u32 },
}

// === impl RunAs ===

impl RunAs {
    /// Us, unless we are root: then the first of these users that exists.
    ///
    /// # Errors
    /// We are root and there is none of them.
    pub fn unprivileged(names: &[&str]) -> anyhow::Result<Self> {
        if !is_root() {
            return Ok(Self::Us);
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let found = names.iter().find_map(|name| find(&users, name));
        found.with_context(|| format!("root can't run this and there is no user of {names:?}"))
    }

    /// Whether this user can get into the folder, past all of its parents.
    #[must_use]
    pub fn can_enter(&self, folder: &Path) -> bool {
        let mut test = self.command(Path::new("test"));
        test.arg("-x").arg(folder).current_dir("/");
        test.output().is_ok_and(|output| output.status.success())
    }

    /// Gives the folder to this user, with this mode.
    ///
    /// # Errors
    /// There is no such folder, or it isn't ours to give.
    pub fn own(&self, folder: &Path, mode: u32) -> anyhow::Result<()> {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode))?;
        if let Self::Other { uid, gid, .. } = self {
            std::os::unix::fs::chown(folder, Some(*uid), Some(*gid))
                .with_context(|| format!("cannot give {} to its user", folder.display()))?;
        }
        Ok(())
    }

    /// A command that runs as this user and, where the system can do that, dies with its parent.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        match (self, program::find("setpriv", &[])) {
            (Self::Us, _) => Command::new(program),
            (Self::Other { uid, gid, .. }, Some(setpriv)) => {
                let mut command = Command::new(setpriv);
                command.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
                command.args(["--clear-groups", "--"]).arg(program);
                command
            }
            (Self::Other { name, .. }, None) => {
                let mut command = Command::new("runuser");
                command.args(["-u", name, "--"]).arg(program);
                command
            }
        }
    }
}

#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn find(users: &str, name: &str) -> Option<RunAs> {
    let line = users
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some(RunAs::Other {
        name: name.to_owned(),
        uid: fields.next()?.parse().ok()?,
        gid: fields.next()?.parse().ok()?,
    })
}
