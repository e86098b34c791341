//! Starts the real thing: private PostgreSQL clusters, the product's processes, nginx in front, or
//! all of it as one [`stack::Stack`]. `make run`, tests and benchmarks use it. Start-up blocks the
//! calling thread. Nothing that is started outlives the value that stands for it.
#![allow(
    clippy::disallowed_methods,
    reason = "finds programs on PATH and probes what it started; holds no product settings"
)]

pub mod binaries;
pub mod cancel;
pub mod nginx;
pub mod port;
pub mod postgres;
mod probe;
pub mod process;
pub mod program;
pub mod stack;
pub mod user;
