//! The only way out: every outbound connection of both planes to what tenants name is opened here.
//!
//! A name is resolved, every address it has is judged, and the connection goes to one of the very
//! addresses that were judged. Proxy settings of the environment are never read.

pub mod body;
pub mod cdn_loop;
pub mod client;
mod connect;
pub mod dial;
pub mod guard;
mod io;
pub mod resolve;
mod retry_after;
mod tls;

pub use body::Body;
pub use client::{Config, PoolKey, ResponseBody, SendError, Timeouts, Upstreams};
pub use dial::Dialed;
pub use retry_after::retry_after;
