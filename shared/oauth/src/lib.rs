//! OAuth 2 towards providers: the consent's URL, code for tokens, refresh, revocation. Both planes
//! call it. What a provider does in its own way is data of `ah5-providers`; everything leaves
//! through `ah5-net`. It must never log, print or store a token that is not sealed, and never take a
//! provider's silence for a refusal.

pub mod authorize;
pub mod client;
pub mod device;
pub mod installation;
pub mod refresh;
pub mod registered;
pub mod revoke;
pub mod sealed;
pub mod token;
