//! The handlers, one module a resource. [`crate::router`] says who reaches them.

pub mod activity;
pub mod agents;
pub mod approvals;
pub mod audit;
pub mod capabilities;
pub mod connections;
pub mod dashboard;
pub mod enrolment;
pub mod exchange;
pub mod health;
pub mod notifications;
pub mod passkeys;
pub mod passwords;
pub mod permissions;
pub mod policies;
pub mod profile;
pub mod reauthenticate;
pub mod session;
pub mod sessions;
pub mod sign_up;
pub mod social;
pub mod templates;
pub mod tokens;
pub mod verification;
pub mod workspace;
