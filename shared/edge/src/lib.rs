//! What both planes do alike where requests arrive: which origin is ours, where a request comes
//! from, which credential it carries, the balancer's cookie, how a connection ends, and telling where
//! a process listens.
//!
//! Both planes call it. It opens no socket and judges no credential.

pub mod announce;
pub mod client;
pub mod connection;
pub mod cookie;
pub mod counter;
pub mod credential;
pub mod dpop;
pub mod origin;

pub use origin::Origin;
