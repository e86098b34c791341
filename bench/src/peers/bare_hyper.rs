//! Starts the bare hyper proxy: this very program under another command.

use std::process::Command;

use anyhow::Context as _;

use super::{Running, Setting, Via};

/// # Errors
/// It does not start.
pub fn start(setting: &Setting<'_>, via: Via) -> anyhow::Result<Running> {
    let name = format!("bare-hyper-{via:?}");
    let address_file = setting.folder.join(format!("{name}.address"));
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("bare-hyper");
    command.arg("--address-file").arg(&address_file);
    command
        .arg("--upstream")
        .arg(setting.target(via).to_string());
    if via == Via::Tls {
        command.arg("--authority").arg(setting.authority_file()?);
    }
    Running::start(&name, command, setting, || {
        let Ok(text) = std::fs::read_to_string(&address_file) else {
            return Ok(None);
        };
        text.parse().map(Some).context("the bare proxy's address")
    })
}
