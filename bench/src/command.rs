//! The commands: the bench itself, and the bare proxy that it starts beside the others.

use std::process::ExitCode;

use ah5_harness::cancel::{Cancel, Interrupted};
use clap::{Parser, Subcommand};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::{bare_hyper, quick};

/// Exit code of a run that was interrupted, as a shell reports it.
const INTERRUPTED: u8 = 130;

#[derive(Parser)]
#[command(
    version,
    about = "What an agent's call costs, beside nginx and a bare proxy"
)]
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
    let cancel = Cancel::default();
    match arguments.command.run(&cancel) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if cancel.is_cancelled() => {
            eprintln!("interrupted; everything is stopped");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

// === impl Command ===

impl Command {
    fn run(self, cancel: &Cancel) -> anyhow::Result<()> {
        match self {
            Self::Quick(options) => quick(options, cancel),
            Self::BareHyper(options) => Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(bare_hyper::serve(options)),
        }
    }
}

// The worker sees a signal also while a start-up blocks this thread.
fn quick(options: quick::Options, cancel: &Cancel) -> anyhow::Result<()> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let wish = cancel.clone();
        let asked = tokio::spawn(async move {
            interrupted().await;
            wish.cancel();
        });
        // Dropping what runs stops every process that it started.
        tokio::select! {
            biased;
            _ = asked => Err(Interrupted.into()),
            result = quick::run(options, cancel) => result,
        }
    })
}

async fn interrupted() {
    let pair = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    let (Ok(mut interrupt), Ok(mut terminate)) = pair else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
