//! Secrets and what is done with them: the types that hold them, the key ring, the vault's
//! envelope, password hashes, token signatures and the audit chain.
//!
//! Both planes call it. It does no network I/O and reads no clock; it must never print a secret.

pub mod assertion;
pub mod audit;
pub mod dpop;
pub mod encode;
pub mod hash;
pub mod id_token;
pub mod password;
pub mod personal;
pub mod random;
pub mod ring;
pub mod secret;
pub mod subject_token;
pub mod token;
pub mod vault;
pub mod webhook;
