//! One bounded exchange with a receiver, through the guarded way out: no private address, no
//! redirect, a small answer, ten seconds. At most a few at a time to one host.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use ah5_net::client::{Failure, SendError};
use ah5_net::{PoolKey, Upstreams};
use axum::http::{HeaderMap, HeaderValue, Request, Response, header};
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::Undelivered;

/// What leaves for channels.
pub struct Exchange {
    net: Upstreams,
    /// Something was settled: the next of its channel may follow.
    pub settled: Notify,
    /// Under way, by host and port.
    under_way: Mutex<HashMap<String, usize>>,
}

/// One of the few that a host may have under way.
pub struct Turn<'a> {
    exchange: &'a Exchange,
    host: String,
}

// === impl Exchange ===

impl Exchange {
    pub fn new(net: Upstreams) -> Self {
        Self {
            net,
            settled: Notify::new(),
            under_way: Mutex::default(),
        }
    }

    /// `None` if enough are under way.
    pub fn turn(&self, host: &str) -> Option<Turn<'_>> {
        let mut under_way = self.lock();
        let count = under_way.entry(host.to_owned()).or_default();
        if *count >= MOST_AT_A_HOST {
            return None;
        }
        *count += 1;
        Some(Turn {
            exchange: self,
            host: host.to_owned(),
        })
    }

    pub async fn send(
        &self,
        key: PoolKey,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, Undelivered> {
        self.send_for(key, request, MAX_ANSWER).await
    }

    /// For an answer of at most so many bytes.
    pub async fn send_for(
        &self,
        key: PoolKey,
        mut request: Request<Bytes>,
        max_bytes: usize,
    ) -> Result<Response<Bytes>, Undelivered> {
        let length = request.body().len().into();
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_LENGTH, length);
        headers.insert(header::USER_AGENT, HeaderValue::from_static("AgentHiFive"));
        let fetched = timeout(DEADLINE, self.net.fetch(key, request, max_bytes)).await;
        match fetched {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(undelivered(&error)),
            Err(_) => Err(Undelivered::later("The receiver took too long")),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, usize>> {
        // Whoever panicked left whole numbers.
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut under_way = self.exchange.lock();
        if let Some(count) = under_way.get_mut(&self.host) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.host);
            }
        }
    }
}

/// Seconds for which the receiver asks to be left alone.
pub fn retry_after(headers: &HeaderMap) -> Option<u32> {
    let pause = ah5_net::retry_after(headers, SystemTime::now())?;
    Some(u32::try_from(pause.as_secs()).unwrap_or(u32::MAX))
}

fn undelivered(error: &SendError) -> Undelivered {
    match &error.failure {
        Failure::Blocked(why) => Undelivered::Refused(why.clone()),
        Failure::Invalid => Undelivered::Refused("The address cannot be called".to_owned()),
        Failure::Connect => Undelivered::later("Could not connect to the receiver"),
        Failure::Resolve(_) => Undelivered::later("The receiver's name does not resolve"),
        Failure::Reset => Undelivered::later("The receiver broke off the connection"),
        Failure::Timeout => Undelivered::later("The receiver took too long"),
        Failure::Tls => Undelivered::later("TLS with the receiver failed"),
        Failure::TooLarge => Undelivered::later("The receiver's answer is too large"),
    }
}

const DEADLINE: Duration = Duration::from_secs(10);
const MAX_ANSWER: usize = 256 * 1024;
const MOST_AT_A_HOST: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str) -> Option<u32> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, text.parse().unwrap());
        retry_after(&headers)
    }

    #[test]
    fn a_pause_is_seconds_or_a_date() {
        assert_eq!(after("17"), Some(17));
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(0));
        assert_eq!(after("-3"), None);
        assert_eq!(after("soon"), None);
    }

    #[tokio::test]
    async fn a_host_has_a_few_under_way_and_no_more() {
        let net = Upstreams::new(ah5_net::Config::default()).unwrap();
        let exchange = Exchange::new(net);
        let turns: Vec<_> = (0..MOST_AT_A_HOST)
            .map(|_| exchange.turn("a:443").unwrap())
            .collect();
        assert!(exchange.turn("a:443").is_none() && exchange.turn("b:443").is_some());
        drop(turns);
        assert!(exchange.turn("a:443").is_some() && exchange.lock().is_empty());
    }
}
