//! Limits by client address, counted in this process. They slow guessing down; what must hold
//! exactly (limits of a policy) is not counted here.

use std::net::IpAddr;

use ah5_edge::counter::Counter;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::Config;
use crate::error::AppError;

const MINUTE: i64 = 60;
const QUARTER: i64 = 900;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bucket {
    Bootstrap,
    Exchange,
    FailedAuth,
    /// What has no limit of its own.
    General,
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
    failed_auth: u32,
    general: u32,
    // Apart: a full counter forgets what isn't of the running window, and theirs differ.
    by_minute: Counter<Bucket>,
    by_quarter: Counter<Bucket>,
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
            failed_auth: config.failed_auth_per_minute,
            general: config.general_per_quarter,
            by_minute: Counter::new(),
            by_quarter: Counter::new(),
        }
    }

    /// Counts one and refuses if that is too many.
    pub fn count(&self, bucket: Bucket, client: IpAddr, now: i64) -> Result<Quota, AppError> {
        let (limit, seconds, counter) = self.of(bucket);
        let used = counter.add(bucket, client, now.div_euclid(seconds));
        let quota = quota(limit, used, seconds, now);
        if used > limit {
            Err(AppError::too_many(quota))
        } else {
            Ok(quota)
        }
    }

    /// Counts nothing and refuses if one more were too many.
    pub fn check(&self, bucket: Bucket, client: IpAddr, now: i64) -> Result<(), AppError> {
        let (limit, seconds, counter) = self.of(bucket);
        let used = counter.so_far(bucket, client, now.div_euclid(seconds));
        if used >= limit {
            Err(AppError::too_many(quota(limit, used, seconds, now)))
        } else {
            Ok(())
        }
    }

    /// Limit, seconds of its window, and who counts it.
    const fn of(&self, bucket: Bucket) -> (u32, i64, &Counter<Bucket>) {
        let limit = match bucket {
            Bucket::Bootstrap => self.bootstrap,
            Bucket::FailedAuth => self.failed_auth,
            Bucket::General => return (self.general, QUARTER, &self.by_quarter),
            Bucket::SignIn => self.sign_in,
            Bucket::Exchange | Bucket::Token => self.token,
        };
        (limit, MINUTE, &self.by_minute)
    }
}

fn quota(limit: u32, used: u32, seconds: i64, now: i64) -> Quota {
    Quota {
        limit,
        left: limit.saturating_sub(used),
        seconds: u32::try_from(seconds - now.rem_euclid(seconds)).unwrap_or(60),
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
            failed_auth: per_minute,
            general: per_minute,
            by_minute: Counter::new(),
            by_quarter: Counter::new(),
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

    #[test]
    fn a_look_counts_nothing_and_a_quarter_of_an_hour_is_longer_than_a_minute() {
        let (limits, client) = (limits(1), "192.0.2.1".parse().unwrap());
        assert!(limits.check(Bucket::FailedAuth, client, 10).is_ok());
        assert!(limits.check(Bucket::FailedAuth, client, 10).is_ok());
        assert!(limits.count(Bucket::FailedAuth, client, 10).is_ok());
        assert!(limits.check(Bucket::FailedAuth, client, 11).is_err());
        assert!(limits.check(Bucket::FailedAuth, client, 60).is_ok());
        assert_eq!(
            limits.count(Bucket::General, client, 10).unwrap().seconds,
            890
        );
        assert!(limits.count(Bucket::General, client, 899).is_err());
        assert!(limits.count(Bucket::General, client, 900).is_ok());
    }
}
