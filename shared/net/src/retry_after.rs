//! How long a server asks to be left alone.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

/// Reads `Retry-After`, seconds or a date (RFC 9110 §10.2.3). A date is held against the answer's own
/// `Date` if it has one, for the server's clock need not be ours.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let end = httpdate::parse_http_date(text).ok()?;
    let said = headers.get(DATE).and_then(|date| date.to_str().ok());
    let said = said.and_then(|date| httpdate::parse_http_date(date).ok());
    Some(
        end.duration_since(said.unwrap_or(now))
            .unwrap_or(Duration::ZERO),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str, date: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, text.parse().unwrap());
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        retry_after(&headers, now).map(|pause| pause.as_secs())
    }

    #[test]
    fn a_pause_is_seconds_or_a_date_in_any_of_its_three_forms() {
        assert_eq!(after("17", None), Some(17));
        assert_eq!(after("99999999999999999999", None), Some(u64::MAX));
        for date in [
            "Sun, 06 Nov 1994 08:49:47 GMT",
            "Sunday, 06-Nov-94 08:49:47 GMT",
            "Sun Nov  6 08:49:47 1994",
        ] {
            assert_eq!(after(date, None), Some(10), "{date}");
        }
        assert_eq!(after("Sun, 06 Nov 1994 08:49:30 GMT", None), Some(0));
        for nonsense in ["-3", "soon", "1.5", "+2", ""] {
            assert_eq!(after(nonsense, None), None, "{nonsense}");
        }
    }

    #[test]
    fn a_date_is_of_the_servers_own_clock() {
        let (end, date) = (
            "Sun, 06 Nov 1994 09:49:50 GMT",
            "Sun, 06 Nov 1994 09:49:40 GMT",
        );
        assert_eq!(after(end, Some(date)), Some(10));
    }

    /// 1994-11-06 08:49:37 UTC.
    const NOW: u64 = 784_111_777;
}
