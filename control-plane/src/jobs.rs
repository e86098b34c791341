//! Work that goes on by itself. Every control plane does it; locks in the database keep two from
//! doing the same at once.

pub mod alarms;
pub mod approvals;
pub mod keys;
pub mod reauth;
pub mod refresh;
pub mod revocations;
