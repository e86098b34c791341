//! Who is calling, and may they.

pub mod caller;
pub mod cookie;
pub mod origin;
pub mod proofs;
pub mod rate;
pub mod recent;
pub mod stronger;
pub mod target;
pub mod throttle;
