//! Credentials that are typed: keys, bots' tokens and mailboxes' passwords. Tried at a simulator that
//! plays every provider of the catalogue, and at real mail servers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bots;
mod fixture;
mod health;
mod keys;
mod mailboxes;
mod replacing;
mod seen;
mod ssrf;
#[path = "../support/mod.rs"]
mod support;
