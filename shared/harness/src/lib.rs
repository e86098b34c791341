//! Starts what the product needs around it: a private PostgreSQL cluster. Tests use it; nothing it
//! starts outlives the value that stands for it.
#![allow(
    clippy::disallowed_methods,
    reason = "finds programs on PATH; holds no product settings"
)]

pub mod postgres;
