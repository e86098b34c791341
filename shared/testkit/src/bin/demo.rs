//! `demo [RUN_FILE]`: shows a real agent call through a running stack. See `make demo`.

use std::path::PathBuf;
use std::process::ExitCode;

use ah5_testkit::demo::{self, RunFile};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let path = arguments.next().map(PathBuf::from);
    let is_option = |path: &PathBuf| path.as_os_str().as_encoded_bytes().starts_with(b"-");
    if path.as_ref().is_some_and(is_option) || arguments.next().is_some() {
        eprintln!("usage: demo [RUN_FILE] (.local/run.json unless given)");
        return ExitCode::from(EX_USAGE);
    }
    let path = path.unwrap_or_else(|| PathBuf::from(".local/run.json"));
    let shown = RunFile::read(&path).and_then(|run| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.block_on(demo::run(&run))
    });
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ndemo: FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Exit code for bad usage (`EX_USAGE` of sysexits.h).
const EX_USAGE: u8 = 64;
