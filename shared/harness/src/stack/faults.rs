//! Asks the planes what is wrong with their settings before anything is started, so that one start
//! shows all of it.

use std::path::Path;
use std::process::Command;

use super::environment::Env;

/// Everything that is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has {} fault(s):\n  - {}", .0.len(), .0.join("\n  - "))]
pub struct ConfigFaults(pub Vec<String>);

/// A plane told to listen at an address that can't be right starts nothing and lists its faults.
pub fn of_plane(binary: &Path, env: &Env) -> anyhow::Result<Vec<String>> {
    let mut command = Command::new(binary);
    command.arg("serve").current_dir("/").env_clear().envs(env);
    let output = command.env("ADMIN_ADDR", "nowhere").output()?;
    let mut faults = listed(&String::from_utf8_lossy(&output.stderr));
    faults.retain(|fault| !fault.starts_with("ADMIN_ADDR:"));
    Ok(faults)
}

/// The faults in what one of our binaries said.
pub fn listed(said: &str) -> Vec<String> {
    let faults = said.lines().filter_map(|line| line.strip_prefix("  - "));
    faults.map(str::to_owned).collect()
}
