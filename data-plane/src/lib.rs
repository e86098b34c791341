//! The data plane: answers agents' calls. It proves the agent, decides from what is published in
//! its snapshot, opens the credential, forwards what was judged, filters the answer and records it.
//!
//! Any number of replicas run side by side; the balancer sends an agent wherever it likes. Nothing
//! here awaits the database on a call's path but approvals, limits per hour, budgets and the handing out
//! of tokens, and nothing here imports the control plane.

mod admin;
pub mod admission;
mod answer;
mod approvals;
mod budgets;
pub mod config;
mod listener;
mod metrics;
mod pauses;
pub mod plane;
mod proofs;
mod quotas;
pub mod request;
pub mod routes;
pub mod serve;
pub mod snapshot;
pub mod spool;
mod streams;
mod suspects;
mod usage;
mod vending;
