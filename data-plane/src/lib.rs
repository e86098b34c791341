//! The data plane: what a replica knows, and (to come) how it answers agents' calls with it.
//!
//! Nothing here awaits the database on a call's path, and nothing here imports the control plane.

pub mod snapshot;
pub mod spool;
