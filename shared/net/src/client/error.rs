//! Why a request got no answer, and why a client cannot be set up.

use crate::tls::TlsError;

/// A request got no answer.
#[derive(Debug, thiserror::Error)]
#[error("{failure}")]
pub struct SendError {
    pub failure: Failure,
    /// Whether any byte of the request may have reached the socket.
    pub sent: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The text is for the caller.
    #[error("{0}")]
    Blocked(String),
    #[error("could not connect to the provider")]
    Connect,
    #[error("the request's URI is not absolute")]
    Invalid,
    #[error("the provider closed the connection or broke the protocol")]
    Reset,
    /// The text is for the caller.
    #[error("{0}")]
    Resolve(String),
    #[error("the provider took too long")]
    Timeout,
    #[error("TLS with the provider failed")]
    Tls,
    #[error("the provider's answer is too large")]
    TooLarge,
}

/// What cannot be set up, for the operator.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("not an http(s) origin: {0}")]
    Origin(String),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

// === impl SendError ===

impl SendError {
    /// A short fixed word, for metrics and audit.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.failure {
            Failure::Blocked(_) => "blocked",
            Failure::Connect => "connect",
            Failure::Invalid => "invalid",
            Failure::Reset => "reset",
            Failure::Resolve(_) => "resolve",
            Failure::Timeout => "timeout",
            Failure::Tls => "tls",
            Failure::TooLarge => "too_large",
        }
    }
}
