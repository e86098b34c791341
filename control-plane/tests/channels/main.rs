//! Channels: set up, proved, and sent to, with a simulator that plays Telegram, Slack and the
//! receivers of webhooks, and a real mail server.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bots;
mod fixture;
mod mail;
mod messages;
mod outbox;
mod setting_up;
#[path = "../support/mod.rs"]
mod support;
