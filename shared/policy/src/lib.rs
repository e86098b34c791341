//! Policies, compiled and decided. Both planes call it: the control plane to check a policy before
//! it is stored, the data plane to judge a call.
//!
//! Pure: no I/O, no clock, no lock. What this build cannot enforce does not compile, and what no
//! rule covers is denied.

pub mod allowlist;
pub mod body;
pub mod budgets;
pub mod compile;
mod condition;
pub mod constraints;
pub mod decide;
pub mod endpoints;
mod facets;
mod field;
pub mod glob;
pub mod header;
pub mod links;
mod number;
pub mod origin;
pub mod pattern;
pub mod pii;
mod prompt;
pub mod proposal;
pub mod response;
pub mod rules;
mod scan;
mod step_up;
mod stored;
pub mod stream;
pub mod templates;
mod text;
pub mod url;
pub mod windows;

pub use body::Body;
pub use compile::{CompileError, CompiledPolicy, PolicySource};
pub use decide::{Combined, Decision, Facts, Limits, Narrowed, Rule, Stop, decide_all};
pub use endpoints::Endpoints;
pub use facets::Target;
pub use origin::OriginPattern;
pub use pattern::Patterns;
pub use scan::{Match, Redaction};
pub use url::{CanonicalUrl, UrlError};
