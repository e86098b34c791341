//! The control plane: sign-in, token exchange, agents, connections, policies and the audit trail,
//! for people and their dashboards. Stateless: any number may run, everything lives in Postgres.
//! It must never see an agent's call nor open a provider credential.

mod admin;
mod app;
mod auth;
mod config;
mod edge;
mod error;
mod gates;
mod input;
mod jobs;
mod keys;
mod listener;
mod mail;
mod openapi;
mod owners;
mod passkey;
mod people;
mod router;
mod routes;
mod serve;
mod social;
mod workload;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use ah5_security::ring::KeyRing;
use ah5_settings::Settings;
use ah5_store::migrate;

/// Exit code for bad usage or configuration (`EX_USAGE` of sysexits.h).
const EX_USAGE: u8 = 64;

#[derive(Parser)]
#[command(version, about = "AgentHiFive control plane")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make the key ring file, unless it exists
    Keyring { path: PathBuf },
    /// Bring the database to this build's schema
    Migrate,
    /// Print the OpenAPI document
    Openapi,
    /// Print every route and who may call it, as JSON
    #[command(hide = true)]
    Routes,
    /// Answer requests
    Serve,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Fails only if a provider is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &error),
    };
    match arguments.command {
        Command::Keyring { path } => keyring(&path),
        Command::Migrate => runtime.block_on(migrate()),
        Command::Openapi => {
            println!("{:#}", openapi::document());
            ExitCode::SUCCESS
        }
        Command::Routes => {
            println!("{:#}", router::listing::listing());
            ExitCode::SUCCESS
        }
        Command::Serve => runtime.block_on(serve()),
    }
}

fn keyring(path: &Path) -> ExitCode {
    let made = if path.exists() {
        KeyRing::load(path).map(drop)
    } else {
        KeyRing::create(path)
    };
    made.map_or_else(|error| fail(1, &error), |()| ExitCode::SUCCESS)
}

async fn migrate() -> ExitCode {
    let mut settings = Settings::from_env();
    let database = config::migrate(&mut settings);
    if let Err(faults) = settings.finish() {
        return fail(EX_USAGE, &faults);
    }
    let Some((database, passwords)) = database else {
        return ExitCode::from(EX_USAGE);
    };
    match migrate::run(&database, &passwords).await {
        Ok(version) => {
            println!("the database schema is at version {version}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(1, &error),
    }
}

async fn serve() -> ExitCode {
    let mut settings = Settings::from_env();
    let config = config::Config::read(&mut settings);
    if let Err(faults) = settings.finish() {
        return fail(EX_USAGE, &faults);
    }
    let Some(config) = config else {
        return ExitCode::from(EX_USAGE);
    };
    ah5_telemetry::logs::init(&config.log);
    match serve::run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &format!("{error:#}")),
    }
}

fn fail(code: u8, why: &(impl std::fmt::Display + ?Sized)) -> ExitCode {
    eprintln!("control-plane: {why}");
    ExitCode::from(code)
}
