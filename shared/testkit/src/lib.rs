//! What tests, the demo and the benchmarks play the outside world with: a provider, a certificate
//! authority, an owner and an agent. Everything goes over the wire; the product never uses it.
#![allow(
    clippy::disallowed_methods,
    reason = "plays clients and servers of the outside world; holds no product settings"
)]

pub mod certificates;
pub mod client;
pub mod demo;
pub mod dovecot;
pub mod servers;
pub mod simulator;
pub mod transit;
