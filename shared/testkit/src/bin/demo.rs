//! `demo [RUN_FILE]`: shows a real agent call through a running stack. See `make demo`.

use std::path::PathBuf;
use std::process::ExitCode;

use ah5_testkit::demo::{self, RunFile};

fn main() -> ExitCode {
    let path = std::env::args_os().nth(1).map(PathBuf::from);
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
