//! The commands: the bench itself, and the bare proxy that it starts beside the others.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::{bare_hyper, quick};

/// Exit code of a run that was interrupted, as a shell reports it.
const INTERRUPTED: u8 = 130;

#[derive(Parser)]
#[command(version, about = "What an agent's call costs, beside nginx and a bare proxy")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// CPU time per call of one data plane, nginx and a bare hyper proxy, in a few minutes
    Quick(quick::Options),
    /// The bare proxy; the bench starts it by itself
    #[command(hide = true)]
    BareHyper(bare_hyper::Options),
}

pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Fails only if a provider is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    runtime.block_on(async {
        // Dropping what runs stops every process that it started.
        tokio::select! {
            result = arguments.command.run() => match result {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&error),
            },
            () = interrupted() => ExitCode::from(INTERRUPTED),
        }
    })
}

// === impl Command ===

impl Command {
    async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Quick(options) => quick::run(options).await,
            Self::BareHyper(options) => bare_hyper::serve(options).await,
        }
    }
}

async fn interrupted() {
    let pair = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = pair else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("{error:#}");
    ExitCode::FAILURE
}
