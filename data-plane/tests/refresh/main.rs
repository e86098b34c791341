//! Credentials that expire, in a whole installation: data planes, a control plane, a provider that
//! rotates refresh tokens and takes none twice. One use of a token at a time, no account lost.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod ends;
mod fixture;
mod kills;
mod refusals;
mod repeated;
mod rules;
mod storm;
mod troubles;
mod vended;
