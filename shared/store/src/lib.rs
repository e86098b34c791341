//! PostgreSQL: the only store and the only bus, and this the only crate with SQL in it.
//!
//! One module a table for the control plane, one a task for the data plane. No module here decides
//! who may do what; it keeps a tenant's rows to a tenant's transaction ([`tenant`]).

pub mod database;
pub mod error;
pub mod migrate;
pub mod tenant;

// The control plane's tables.
pub mod accounts;
pub mod agent_tokens;
pub mod agent_trusts;
pub mod agents;
pub mod alarms;
pub mod approvals;
pub mod assertions;
pub mod audit;
pub mod bootstrap;
pub mod ceremonies;
pub mod channel_outbox;
pub mod channels;
pub mod connections;
pub mod credentials;
pub mod data_keys;
pub mod import;
pub mod imports;
pub mod invitations;
pub mod mail_outbox;
pub mod mail_proofs;
pub mod members;
pub mod notifications;
pub mod oauth_apps;
pub mod passkeys;
pub mod pending_connections;
pub mod permission_requests;
pub mod personal_tokens;
pub mod policies;
pub mod refreshes;
pub mod restore;
pub mod revocations;
pub mod ring;
pub mod sealed;
pub mod sessions;
pub mod sign_in_flows;
pub mod signing_keys;
pub mod throttle;
pub mod users;
pub mod workspaces;

// The data plane's reads and its spool.
pub mod audit_spool;
pub mod budgets;
mod call_counts;
pub mod dpop_proofs;
pub mod listen;
pub mod open_streams;
pub mod quotas;
pub mod redemption;
pub mod snapshot;
pub mod usage;
pub mod vending;
pub mod versions;

pub use error::StoreError;
