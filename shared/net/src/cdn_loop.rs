//! `CDN-Loop` (RFC 8586): a request that has already been through us is refused, however it came
//! back.

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Our name in the loop header.
#[derive(Clone, Debug)]
pub struct CdnLoop {
    id: String,
    value: HeaderValue,
}

// === impl CdnLoop ===

impl CdnLoop {
    /// `id` is a host name, or `host:port`: the public origin's authority. Replicas share it.
    #[must_use]
    pub fn new(id: &str) -> Self {
        let id: String = id
            .chars()
            .filter(|c| c.is_ascii_graphic() && !",;\"".contains(*c))
            .collect();
        // What is left of the id is visible ASCII, so it is a legal value.
        let value = HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("ah5"));
        Self { id, value }
    }

    /// Whether the request has been through us.
    #[must_use]
    pub fn seen(&self, headers: &HeaderMap) -> bool {
        headers.get_all(&CDN_LOOP).iter().any(|value| {
            let value = String::from_utf8_lossy(value.as_bytes());
            value.split(',').any(|entry| {
                let id = entry.split(';').next().unwrap_or_default();
                id.trim().eq_ignore_ascii_case(&self.id)
            })
        })
    }

    /// Adds us to what the caller's request says, for the request to the provider.
    pub fn forward(&self, caller: &HeaderMap, out: &mut HeaderMap) {
        let short = |value: &&HeaderValue| value.len() <= MAX_VALUE && value.to_str().is_ok();
        for value in caller
            .get_all(&CDN_LOOP)
            .iter()
            .filter(short)
            .take(MAX_VALUES)
        {
            out.append(CDN_LOOP, value.clone());
        }
        out.append(CDN_LOOP, self.value.clone());
    }
}

/// What is passed on of the caller's word: enough for any honest way to us.
const MAX_VALUE: usize = 512;
const MAX_VALUES: usize = 16;
pub const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_went_through_us_is_recognised() {
        let ours = CdnLoop::new("ah5.example:8443");
        let mut headers = HeaderMap::new();
        headers.append(CDN_LOOP, HeaderValue::from_static("other; v=1, third"));
        assert!(!ours.seen(&headers));
        let mut out = HeaderMap::new();
        ours.forward(&headers, &mut out);
        assert_eq!(out.get_all(CDN_LOOP).iter().count(), 2);
        assert!(ours.seen(&out));
        assert!(!CdnLoop::new("ah5.example").seen(&out));
    }
}
