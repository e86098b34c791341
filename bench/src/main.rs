//! What an agent's call costs: CPU time per request of one data plane beside nginx and a bare hyper
//! proxy, all in one run. `make bench-quick` calls it; README.md says how to read what it prints.
//! It talks HTTP like any agent and must never switch off a part of the product to look better.
#![allow(
    clippy::disallowed_methods,
    reason = "opens sockets and reads clocks as any load generator does; holds no product settings"
)]

#[cfg(target_os = "linux")]
mod bare_hyper;
#[cfg(target_os = "linux")]
mod command;
#[cfg(target_os = "linux")]
mod cpu;
#[cfg(target_os = "linux")]
mod http1;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod machine;
#[cfg(target_os = "linux")]
mod peers;
#[cfg(target_os = "linux")]
mod pin;
#[cfg(target_os = "linux")]
mod quick;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod rounds;
#[cfg(target_os = "linux")]
mod statistics;
#[cfg(target_os = "linux")]
mod upstream;

use std::process::ExitCode;

// As the data plane has it: the bare proxy is to differ in what it does only.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    command::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("the bench reads Linux's scheduler statistics: it runs on Linux only");
    ExitCode::from(64)
}
