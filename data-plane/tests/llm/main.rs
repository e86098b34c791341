//! Clients of language models that know a base URL and a key. The simulator plays the providers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod budgets;
mod clients;
mod conversations;
mod models;
mod overrides;
mod route;
mod streams;
#[path = "../support/mod.rs"]
mod support;
