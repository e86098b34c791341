//! Limits by client address, counted in this process. They slow guessing down; what must hold
//! exactly (limits of a policy) is not counted here.

use std::net::IpAddr;

use ah5_edge::counter::Counter;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::Config;
use crate::error::AppError;

const WINDOW_SECONDS: i64 = 60;
const FAILED_AUTH_PER_MINUTE: u32 = 300;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bucket {
    Bootstrap,
    Exchange,
    FailedAuth,
    SignIn,
    Token,
}

/// What is left of a limit in the running window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub limit: u32,
    pub left: u32,
    /// Until the window ends.
    pub seconds: u32,
}

pub struct Limits {
    bootstrap: u32,
    token: u32,
    sign_in: u32,
    counts: Counter<Bucket>,
}

// === impl Quota ===

impl Quota {
    pub fn write(self, headers: &mut HeaderMap) {
        let values = [
            ("x-ratelimit-limit", self.limit),
            ("x-ratelimit-remaining", self.left),
            ("x-ratelimit-reset", self.seconds),
        ];
        for (name, value) in values {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
        }
    }
}

// === impl Limits ===

impl Limits {
    pub fn new(config: &Config) -> Self {
        Self {
            bootstrap: config.bootstrap_per_minute,
            token: config.token_per_minute,
            sign_in: config.sign_in_per_minute,
            counts: Counter::new(),
        }
    }

    /// Counts one and refuses if that is too many.
    pub fn count(&self, bucket: Bucket, client: IpAddr, now: i64) -> Result<Quota, AppError> {
        let limit = match bucket {
            Bucket::Bootstrap => self.bootstrap,
            Bucket::FailedAuth => FAILED_AUTH_PER_MINUTE,
            Bucket::SignIn => self.sign_in,
            Bucket::Exchange | Bucket::Token => self.token,
        };
        let used = self
            .counts
            .add(bucket, client, now.div_euclid(WINDOW_SECONDS));
        let left = WINDOW_SECONDS - now.rem_euclid(WINDOW_SECONDS);
        let quota = Quota {
            limit,
            left: limit.saturating_sub(used),
            seconds: u32::try_from(left).unwrap_or(60),
        };
        if used > limit {
            Err(AppError::too_many(quota))
        } else {
            Ok(quota)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(per_minute: u32) -> Limits {
        Limits {
            bootstrap: per_minute,
            token: per_minute,
            sign_in: per_minute,
            counts: Counter::new(),
        }
    }

    #[test]
    fn refuses_over_the_limit_until_the_window_ends() {
        let (limits, client) = (limits(2), "192.0.2.1".parse().unwrap());
        assert_eq!(
            limits.count(Bucket::Token, client, 10).unwrap(),
            Quota {
                limit: 2,
                left: 1,
                seconds: 50
            }
        );
        assert!(limits.count(Bucket::Token, client, 11).is_ok());
        assert!(limits.count(Bucket::Token, client, 12).is_err());
        assert!(limits.count(Bucket::Bootstrap, client, 12).is_ok());
        let other = "192.0.2.2".parse().unwrap();
        assert!(limits.count(Bucket::Token, other, 12).is_ok());
        assert!(limits.count(Bucket::Token, client, 60).is_ok());
    }
}
