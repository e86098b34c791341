//! The vocabulary both planes share: ids, roles, scopes, token claims, wire types, the error body
//! and the shape of an audit row.
//!
//! Every crate may import this one; it imports nothing of ours and does no I/O.

pub mod approval;
pub mod audit;
pub mod claims;
pub mod connection;
pub mod error;
pub mod id;
pub mod policy;
pub mod role;
pub mod scope;
