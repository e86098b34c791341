//! Accounts connected by OAuth: against a real provider, by everybody who would come in between, and in
//! the way of each provider that is known.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod apps;
mod attacks;
mod browser;
mod consents;
mod device;
mod dialects;
mod fixture;
mod requests;
#[path = "../support/mod.rs"]
mod support;
mod used;
