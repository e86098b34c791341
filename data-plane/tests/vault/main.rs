//! The vault at running planes: what a credential is bound to, keys that follow one another under
//! load, and a workspace whose secrets are destroyed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod binding;
mod fixture;
mod importing;
mod rotation;
mod shredding;
#[path = "../support/mod.rs"]
mod support;
mod wrapped;
