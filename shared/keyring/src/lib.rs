//! Where the key ring comes from: a file, whose keys may be wrapped by a key management service. Both
//! planes open it at start and follow the file, so that a key can be added, made current and retired
//! without a restart. A service is asked once for each key of a new file, never for a call.

mod aws;
pub mod follow;
pub mod kms;
pub mod source;
mod transit;
mod way;

pub use follow::follow;
pub use kms::{Kms, KmsError};
pub use source::{OpenError, Source};
