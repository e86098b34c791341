//! Starts nginx as a proxy and nothing else: one worker, kept connections, no log.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use tokio::net::TcpStream;

use super::process::Process;
use super::{Running, Setting, Via};

/// # Errors
/// nginx isn't installed, or does not start.
pub async fn start(setting: &Setting<'_>, via: Via) -> anyhow::Result<Running> {
    let folder = setting.folder.join(format!("nginx-{via:?}"));
    std::fs::create_dir(&folder)?;
    let address = free_address()?;
    let configuration = folder.join("nginx.conf");
    std::fs::write(&configuration, configure(setting, via, &folder, address)?)?;
    let mut command = Command::new(program()?);
    command.arg("-p").arg(&folder).arg("-c").arg(&configuration);
    command.arg("-e").arg(folder.join("error.log"));
    let mut process = Process::start(&mut command, &folder.join("log"), setting.cores)?;
    let open = async || TcpStream::connect(address).await.ok();
    process.wait_until(open).await?;
    Ok(Running::of(process, address))
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

// nginx can't pick a port for itself and say which.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn program() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(usual)
        .map(|folder| folder.join("nginx"))
        .find(|file| file.is_file())
        .context("nginx is not installed; on Debian: apt-get install nginx")
}
