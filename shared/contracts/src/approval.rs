//! Approvals, as far as both planes must agree on them: the states, and the request that a person is
//! shown.

use serde::{Deserialize, Serialize};

/// How long an approval is good for, waiting and redeeming included.
pub const LIFE_SECONDS: i32 = 30 * 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Approved,
    Consumed,
    Denied,
    Executing,
    Expired,
    OutcomeUnknown,
    Pending,
}

/// What will be sent, but for the credential. Sealed until it is over.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    pub method: String,
    pub url: String,
    /// In order, repetitions kept.
    pub headers: Vec<(String, String)>,
    pub body: Body,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// What is no UTF-8.
    Base64(String),
    None,
    Text(String),
}

// === impl Status ===

impl Status {
    /// A word of the database.
    #[must_use]
    pub fn from_stored(word: &str) -> Option<Self> {
        Some(match word {
            "approved" => Self::Approved,
            "consumed" => Self::Consumed,
            "denied" => Self::Denied,
            "executing" => Self::Executing,
            "expired" => Self::Expired,
            "outcome_unknown" => Self::OutcomeUnknown,
            "pending" => Self::Pending,
            _ => return None,
        })
    }

    /// The word that clients know. Whatever began to be redeemed is used up to them.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Consumed | Self::Executing | Self::OutcomeUnknown => "consumed",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Pending => "pending",
        }
    }

    /// How the redemption went, once there is one.
    #[must_use]
    pub const fn outcome(self) -> Option<&'static str> {
        match self {
            Self::Consumed => Some("executed"),
            Self::Executing => Some("executing"),
            Self::OutcomeUnknown => Some("unknown"),
            Self::Approved | Self::Denied | Self::Expired | Self::Pending => None,
        }
    }

    /// As it is once its time is over.
    #[must_use]
    pub const fn overdue(self) -> Self {
        match self {
            Self::Approved | Self::Pending => Self::Expired,
            other => other,
        }
    }
}
