//! Agents in mailboxes: at a running data plane, with Dovecot to read from, aiosmtpd to hand in to, and
//! servers that mean no good.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod changing;
mod deciding;
mod fake;
mod fixture;
mod hostile;
mod reading;
mod sending;
#[path = "../support/mod.rs"]
mod support;
