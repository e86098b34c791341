//! The data plane's binary: reads its settings, serves until told to stop.

use std::process::ExitCode;

use ah5_data_plane::config::Config;
use ah5_data_plane::serve;
use ah5_settings::Settings;
use clap::{Parser, Subcommand};

// A call is many small pieces of memory, taken by one thread and given back by another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit code for bad usage or configuration (`EX_USAGE` of sysexits.h).
const EX_USAGE: u8 = 64;

#[derive(Parser)]
#[command(version, about = "AgentHiFive data plane")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answer agents' calls
    Serve,
}

fn main() -> ExitCode {
    let Arguments {
        command: Command::Serve,
    } = Arguments::parse();
    // Fails only if a provider is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut settings = Settings::from_env();
    let config = Config::read(&mut settings);
    if let Err(faults) = settings.finish() {
        return fail(EX_USAGE, &faults);
    }
    let Some(config) = config else {
        return ExitCode::from(EX_USAGE);
    };
    ah5_telemetry::logs::init(&config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let served = match runtime {
        Ok(runtime) => runtime.block_on(serve::run(config)),
        Err(error) => return fail(1, &error),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &format!("{error:#}")),
    }
}

fn fail(code: u8, why: &(impl std::fmt::Display + ?Sized)) -> ExitCode {
    eprintln!("data-plane: {why}");
    ExitCode::from(code)
}
