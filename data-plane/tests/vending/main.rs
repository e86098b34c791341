//! What is handed out of the vault, and what isn't: access tokens to agents, credentials to admins.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fixture;
mod panic;
mod recorded;
mod resolving;
#[path = "../support/mod.rs"]
mod support;
mod tokens;
