//! Limits by client address, counted in this process. They slow guessing down; what must hold
//! exactly (limits of a policy) is not counted here.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderMap;

use crate::config::Config;
use crate::error::AppError;

const WINDOW_SECONDS: i64 = 60;
/// More addresses than this in a window: the map starts anew rather than grow.
const MAX_ADDRESSES: usize = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bucket {
    Bootstrap,
    FailedAuth,
    SignIn,
    Token,
}

pub struct Limits {
    bootstrap: u32,
    token: u32,
    sign_in: u32,
    counts: Mutex<HashMap<(Bucket, IpAddr), (i64, u32)>>,
}

// === impl Limits ===

impl Limits {
    pub fn new(config: &Config) -> Self {
        Self {
            bootstrap: config.bootstrap_per_minute,
            token: config.token_per_minute,
            sign_in: config.sign_in_per_minute,
            counts: Mutex::default(),
        }
    }

    /// Counts one and refuses if that is too many.
    pub fn count(&self, bucket: Bucket, client: IpAddr, now: i64) -> Result<(), AppError> {
        let limit = match bucket {
            Bucket::Bootstrap => self.bootstrap,
            Bucket::FailedAuth => 300,
            Bucket::SignIn => self.sign_in,
            Bucket::Token => self.token,
        };
        let window = now.div_euclid(WINDOW_SECONDS);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MAX_ADDRESSES {
            counts.clear();
        }
        let entry = counts.entry((bucket, client)).or_insert((window, 0));
        if entry.0 != window {
            *entry = (window, 0);
        }
        entry.1 = entry.1.saturating_add(1);
        if entry.1 > limit {
            let left = WINDOW_SECONDS - now.rem_euclid(WINDOW_SECONDS);
            return Err(AppError::too_many(u32::try_from(left).unwrap_or(60)));
        }
        Ok(())
    }
}

/// The caller's address: the last entry of `X-Forwarded-For` if a proxy on this machine connects
/// (it appends or sets what it saw), otherwise the socket's. Earlier entries are the caller's word.
pub fn client_address(peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
    let forwarded = headers.get_all("x-forwarded-for").iter().next_back();
    let forwarded = forwarded
        .filter(|_| peer.ip().is_loopback())
        .and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
    forwarded.unwrap_or_else(|| peer.ip())
}
