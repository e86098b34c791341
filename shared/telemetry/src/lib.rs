//! Logs and metrics, set up once by each binary. Nothing secret may reach either; what is logged is
//! decided where it is logged.

pub mod logs;
pub mod metrics;
