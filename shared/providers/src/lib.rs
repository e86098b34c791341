//! What is known about providers: where their services live, how a credential is carried, which
//! headers pass, and how an echoed credential is kept from the agent. Opens no socket.

pub mod catalogue;
pub mod custom;
pub mod headers;
pub mod inject;
pub mod models;
pub mod oauth;
pub mod scrub;
pub mod service;
