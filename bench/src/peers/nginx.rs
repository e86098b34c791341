//! Starts nginx as a proxy and nothing else: one worker, kept connections, no log.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use ah5_harness::port::Reservation;
use ah5_harness::program;
use anyhow::Context as _;

use super::{Running, Setting, Via};

/// # Errors
/// nginx isn't installed, or does not start.
pub fn start(setting: &Setting<'_>, via: Via) -> anyhow::Result<Running> {
    let name = format!("nginx-{via:?}");
    let folder = setting.folder.join(&name);
    std::fs::create_dir(&folder)?;
    let reserved = Reservation::any()?;
    let address = reserved.addresses()[0];
    let configuration = folder.join("nginx.conf");
    std::fs::write(&configuration, configure(setting, via, &folder, address)?)?;
    let mut command = Command::new(program()?);
    command.arg("-p").arg(&folder).arg("-c").arg(&configuration);
    command.args(["-e", "stderr"]);
    Running::start(&name, command, setting, || {
        Ok(TcpStream::connect(address).is_ok().then_some(address))
    })
}

fn configure(
    setting: &Setting<'_>,
    via: Via,
    folder: &Path,
    listen: SocketAddr,
) -> anyhow::Result<String> {
    let upstream = setting.target(via);
    let tls = match via {
        Via::Plain => "proxy_pass http://provider;".to_owned(),
        Via::Tls => format!(
            "proxy_pass https://provider; proxy_ssl_verify on; proxy_ssl_name localhost; \
             proxy_ssl_server_name on; proxy_ssl_trusted_certificate \"{}\";",
            setting.authority_file()?.display()
        ),
    };
    let template = include_str!("nginx/proxy.conf.template");
    Ok(template
        .replace("{folder}", &folder.display().to_string())
        .replace("{listen}", &listen.to_string())
        .replace("{upstream}", &upstream.to_string())
        .replace("{pass}", &tls))
}

fn program() -> anyhow::Result<PathBuf> {
    program::find("nginx", &["/usr/sbin", "/usr/local/sbin"])
        .context("nginx is not installed; on Debian: sudo apt-get install nginx")
}
