//! What is known about providers: where their services live and how a credential is carried. Opens
//! no socket and holds no secret.

pub mod custom;
