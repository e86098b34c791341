//! Bytes that no well-meaning client sends, at a data plane and through the real nginx in front of it.
//! What counts is what the provider got: nothing, or exactly what was judged.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    clippy::disallowed_methods,
    reason = "plays clients and providers that speak no proper HTTP"
)]

mod envelopes;
mod fate;
mod frames;
mod http1;
mod http2;
mod repeats;
mod rows;
#[path = "../support/mod.rs"]
mod support;
mod upgrades;
mod wire;
