//! Starts the bare hyper proxy: this very program under another command.

use std::process::Command;

use anyhow::Context as _;

use super::process::Process;
use super::{Running, Setting, Via};

/// # Errors
/// It does not start.
pub async fn start(setting: &Setting<'_>, via: Via) -> anyhow::Result<Running> {
    let name = format!("bare-hyper-{via:?}");
    let address_file = setting.folder.join(format!("{name}.address"));
    let mut command = Command::new(std::env::current_exe()?);
    command.env_clear().arg("bare-hyper");
    command.arg("--address-file").arg(&address_file);
    command.arg("--upstream").arg(setting.target(via).to_string());
    if via == Via::Tls {
        command.arg("--authority").arg(setting.authority_file()?);
    }
    let log = setting.folder.join(format!("{name}.log"));
    let mut process = Process::start(&mut command, &log, setting.cores)?;
    let read = async || std::fs::read_to_string(&address_file).ok();
    let text = process.wait_until(read).await?;
    let address = text.parse().context("the bare proxy's address")?;
    Ok(Running::of(process, address))
}
