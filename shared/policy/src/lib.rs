//! Policies, compiled and decided. Both planes call it: the control plane to check a policy before
//! it is stored, the data plane to judge a call.
//!
//! Pure: no I/O, no clock, no lock. What this build cannot enforce does not compile, and what no
//! rule covers is denied.

pub mod allowlist;
pub mod compile;
pub mod decide;
pub mod glob;
pub mod pii;
pub mod response;
pub mod stream;
pub mod url;

pub use compile::{CompileError, CompiledPolicy, PolicySource};
pub use decide::{Combined, Decision, Facts, Limits, Rule, decide_all};
pub use url::{CanonicalUrl, UrlError};
