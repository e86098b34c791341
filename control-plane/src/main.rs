//! The control plane: sign-in, token exchange, agents, connections, policies and the audit trail,
//! for people and their dashboards. Stateless: any number may run, everything lives in Postgres.
//! It must never see an agent's call. Of provider credentials it opens the tokens of bots alone, in
//! [`channels::bot`] and nowhere else, to speak to the workspace's own people; those of OAuth it seals as
//! they arrive, in [`oauth`].

mod admin;
mod app;
mod auth;
mod channels;
mod commands;
mod config;
mod edge;
mod entered;
mod error;
mod gates;
mod input;
mod jobs;
mod keys;
mod listener;
mod mail;
mod notices;
mod oauth;
mod openapi;
mod owners;
mod page;
mod panic;
mod passkey;
mod people;
mod room;
mod router;
mod routes;
mod serve;
mod social;
mod turns;
mod vault;
mod workload;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use ah5_security::ring::{KeyRing, RingFile};
use ah5_settings::Settings;
use ah5_store::migrate;

use app::App;

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
    /// Bring workspaces over from another product's database, with their credentials
    Import {
        /// Show what would come over and what would not, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Make the key ring file, unless it exists
    Keyring {
        path: PathBuf,
        /// Have the key management service of KEY_RING_KMS wrap the plain keys of the file
        #[arg(long)]
        wrap: bool,
    },
    /// List and replace the keys that sign tokens
    #[command(subcommand)]
    Keys(commands::keys::Command),
    /// Bring the database to this build's schema
    Migrate,
    /// Print the OpenAPI document
    Openapi,
    /// Stop everything in a workspace; without a step it says what would be stopped
    Panic(commands::panic::Command),
    /// After a restore from a backup: end what it has brought back to life
    RestoreCheck,
    /// Print every route and who may call it, as JSON
    #[command(hide = true)]
    Routes,
    /// Answer requests
    Serve,
    /// People: make, list, keep out, and help those who can't sign in
    #[command(subcommand)]
    User(commands::user::Command),
    /// The keys that seal credentials: what is under which, and others in their place
    #[command(subcommand)]
    Vault(commands::vault::Command),
    /// Workspaces: destroy the secrets of one
    #[command(subcommand)]
    Workspace(commands::workspace::Command),
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
        Command::Import { dry_run } => runtime.block_on(import(dry_run)),
        Command::Keyring { path, wrap: false } => keyring(&path),
        Command::Keyring { path, wrap: true } => runtime.block_on(wrap_keyring(&path)),
        Command::Keys(command) => {
            runtime.block_on(operate(|app| commands::keys::run(app, command)))
        }
        Command::Migrate => runtime.block_on(migrate()),
        Command::Openapi => {
            println!("{:#}", openapi::document());
            ExitCode::SUCCESS
        }
        Command::Panic(command) => {
            runtime.block_on(operate(|app| commands::panic::run(app, command)))
        }
        Command::RestoreCheck => runtime.block_on(operate(commands::restore::run)),
        Command::Routes => {
            println!("{:#}", router::listing::listing());
            ExitCode::SUCCESS
        }
        Command::Serve => runtime.block_on(serve()),
        Command::User(command) => {
            runtime.block_on(operate(|app| commands::user::run(app, command)))
        }
        Command::Vault(command) => {
            runtime.block_on(operate(|app| commands::vault::run(app, command)))
        }
        Command::Workspace(command) => {
            runtime.block_on(operate(|app| commands::workspace::run(app, command)))
        }
    }
}

fn keyring(path: &Path) -> ExitCode {
    let made = if path.exists() {
        RingFile::read(path).map(drop)
    } else {
        KeyRing::create(path)
    };
    made.map_or_else(|error| fail(1, &error), |()| ExitCode::SUCCESS)
}

async fn wrap_keyring(path: &Path) -> ExitCode {
    let mut settings = Settings::from_env();
    let source = ah5_keyring::Source::at(path, &mut settings);
    if let Err(faults) = settings.finish() {
        return fail(EX_USAGE, &faults);
    }
    let Some(source) = source.filter(ah5_keyring::Source::has_kms) else {
        return fail(
            EX_USAGE,
            "KEY_RING_KMS is not set: there is nobody to wrap the keys",
        );
    };
    match source.wrap().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &error),
    }
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
        Err(error) => {
            let text = error.to_string();
            // The login users may change rows and nothing else.
            let hint = match text.contains(INSUFFICIENT_PRIVILEGE) {
                true => {
                    "\n  a migration takes the owner of the database or a superuser: name one in \
                         MIGRATE_DATABASE_URL"
                }
                false => "",
            };
            fail(1, &format!("{text}{hint}"))
        }
    }
}

/// PostgreSQL's code, as it stands in what it says.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

async fn import(dry_run: bool) -> ExitCode {
    let mut settings = Settings::from_env();
    let config = config::Config::read(&mut settings);
    let from = commands::import::Foreign::read(&mut settings);
    if let Err(faults) = settings.finish() {
        return fail(EX_USAGE, &faults);
    }
    let (Some(config), Some(from)) = (config, from) else {
        return ExitCode::from(EX_USAGE);
    };
    finish(config, |app| commands::import::run(app, from, dry_run)).await
}

/// A command with the settings of `serve`. Prints what it did.
async fn operate<F>(work: impl FnOnce(App) -> F) -> ExitCode
where
    F: Future<Output = anyhow::Result<String>>,
{
    let config = match read_config() {
        Ok(config) => config,
        Err(code) => return code,
    };
    finish(config, work).await
}

async fn finish<F>(config: config::Config, work: impl FnOnce(App) -> F) -> ExitCode
where
    F: Future<Output = anyhow::Result<String>>,
{
    let done = async { work(commands::open(config).await?).await };
    match done.await {
        Ok(said) => {
            print!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(1, &format!("{error:#}")),
    }
}

async fn serve() -> ExitCode {
    let config = match read_config() {
        Ok(config) => config,
        Err(code) => return code,
    };
    ah5_telemetry::logs::init(&config.log);
    match serve::run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &format!("{error:#}")),
    }
}

fn read_config() -> Result<config::Config, ExitCode> {
    let mut settings = Settings::from_env();
    let config = config::Config::read(&mut settings);
    if let Err(faults) = settings.finish() {
        return Err(fail(EX_USAGE, &faults));
    }
    config.ok_or(ExitCode::from(EX_USAGE))
}

fn fail(code: u8, why: &(impl std::fmt::Display + ?Sized)) -> ExitCode {
    eprintln!("control-plane: {why}");
    ExitCode::from(code)
}
