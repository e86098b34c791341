//! Calls that a policy leaves to a person: asked for, decided, and made at most once, by three replicas
//! on one database.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod asking;
mod counted;
mod faults;
mod from_now_on;
mod house;
mod people;
mod played;
mod reading_along;
mod redeeming;
#[path = "../support/mod.rs"]
mod support;
mod wishes;
