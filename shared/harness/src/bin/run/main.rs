//! `make run`: brings up the whole product for one machine, in the foreground, and keeps it up until
//! Ctrl-C or SIGTERM. Everything it makes is under `.local/`.
#![allow(
    clippy::disallowed_methods,
    reason = "times its own start; decides nothing by that clock"
)]

mod config;
mod lock;
mod places;
mod report;
mod signals;
mod watch;

use std::process::ExitCode;

use ah5_harness::cancel::{Cancel, Interrupted};
use ah5_harness::stack::{Builder, ConfigFaults, Stack};

use config::Config;
use places::Places;
use report::Report;

/// Exit code for bad configuration (`EX_USAGE` of sysexits.h).
const EX_USAGE: u8 = 64;

fn main() -> ExitCode {
    // There is nothing to choose here: somebody who asks for help must not start everything.
    if std::env::args_os().len() > 1 {
        eprintln!(
            "ah5-run takes no arguments; its settings are environment variables: see README.md"
        );
        return ExitCode::from(EX_USAGE);
    }
    let cancel = Cancel::default();
    let report = Report::new();
    match signals::listen(&cancel).and_then(|()| run(&cancel, &report)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => {
            report.step("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            report.failure(&error);
            ExitCode::from(if error.is::<ConfigFaults>() {
                EX_USAGE
            } else {
                1
            })
        }
    }
}

fn run(cancel: &Cancel, report: &Report) -> anyhow::Result<()> {
    let config = Config::read();
    let places = Places::open(&config.folder)?;
    let _lock = lock::take(places.root())?;
    places.check_disk()?;
    places.put_logs_aside()?;
    let mail = config.mail_folder.then(|| places.mail());
    let mut stack = build(config, &places, cancel, report)?.start()?;

    let file = places.run_file();
    report.write(&stack, &file)?;
    report.ready(&stack, mail.as_deref());
    let ended = watch::until_stopped(&mut stack, cancel, report, &file);
    report.step("stopping");
    // Nothing that reads it may find what is going away.
    drop(std::fs::remove_file(&file));
    let stopped = stack.stop();
    ended?;
    stopped?;
    report.step("stopped");
    Ok(())
}

fn build(
    config: Config,
    places: &Places,
    cancel: &Cancel,
    report: &Report,
) -> anyhow::Result<Builder> {
    let tell = report.clone();
    let mut builder = Stack::builder()
        .home(places.home()?)
        .data_planes(config.replicas)
        .simulator(config.simulator)
        .cancel(cancel)
        .progress(move |step| tell.step(step));
    for (name, value) in &config.passed_on {
        builder = builder.env(name, value);
    }
    if config.mail_folder {
        let folder = places.mail().display().to_string();
        builder = builder
            .env("EMAIL_PROVIDER", "outbox")
            .env("EMAIL_OUTBOX_DIR", &folder);
    }
    if config.existing_database {
        builder = builder.existing_database();
    }
    // With a fault nothing will be started, so no port is needed.
    if config.faults.is_empty() {
        builder = builder.port(config.port);
    }
    Ok(builder.faults(config.faults))
}
