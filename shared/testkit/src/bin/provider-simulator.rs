//! A provider for one's own machine: `make run` starts it, so that calls have somewhere to go.
//! It holds nothing worth protecting and writes down every credential that it is sent.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use ah5_settings::Settings;
use anyhow::Context as _;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use ah5_testkit::simulator::{Options, Simulator};

struct Config {
    options: Options,
    address_file: Option<PathBuf>,
    /// Gets the authority's certificate. The authority's key is never written.
    ca_file: Option<PathBuf>,
}

fn main() -> ExitCode {
    if std::env::args_os().len() > 1 {
        let why = "provider-simulator takes no arguments; its settings are environment variables: \
                   see docs/operations.md";
        return fail(EX_USAGE, &why);
    }
    let mut settings = Settings::from_env();
    let config = Config::read(&mut settings);
    if let Err(faults) = settings.finish() {
        return fail(EX_USAGE, &faults);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => match runtime.block_on(run(config)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(1, &format!("{error:#}")),
        },
        Err(error) => fail(1, &error),
    }
}

async fn run(config: Config) -> anyhow::Result<()> {
    // Before anybody can know our address, so that no signal is missed.
    let (mut term, mut int) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let simulator = Simulator::start_with(config.options).await?;
    if let Some(path) = &config.ca_file {
        simulator.write_ca(path)?;
    }
    if let Some(path) = &config.address_file {
        write_address(path, simulator.address())?;
    }
    println!(
        "provider-simulator: ready at {} (journal: /__simulator/journal)",
        simulator.base_url("localhost")
    );
    tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
    simulator.stop(FINISH).await;
    println!("provider-simulator: stopped");
    Ok(())
}

// === impl Config ===

impl Config {
    fn read(settings: &mut Settings) -> Self {
        let options = Options {
            listen: settings.parsed_or("LISTEN_ADDR", SocketAddr::from(([127, 0, 0, 1], 0))),
            names: settings.list("HOST_NAMES"),
            plain: false,
        };
        Self {
            options,
            address_file: settings.path("ADDRESS_FILE"),
            ca_file: settings.path("CA_FILE"),
        }
    }
}

/// Readers never see half a file.
fn write_address(path: &Path, listen: SocketAddr) -> anyhow::Result<()> {
    let text = json!({"listen": listen, "admin": null, "pid": std::process::id()}).to_string();
    let partial = path.with_extension("partial");
    std::fs::write(&partial, text)
        .and_then(|()| std::fs::rename(&partial, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn fail(code: u8, why: &(impl std::fmt::Display + ?Sized)) -> ExitCode {
    eprintln!("provider-simulator: {why}");
    ExitCode::from(code)
}

/// Exit code for bad usage or configuration (`EX_USAGE` of sysexits.h).
const EX_USAGE: u8 = 64;
const FINISH: Duration = Duration::from_secs(2);
