//! How long nothing is tried after a failure.

use std::time::Duration;

use ah5_security::random;

use crate::token::TokenError;

/// Doubling from two seconds, give or take a quarter, and not before the provider wants it.
pub fn after(failures: u32, error: &TokenError) -> Duration {
    let usual = FIRST * 2_u32.pow(failures.min(MOST_DOUBLINGS));
    let asked = match error {
        TokenError::Unavailable { retry_after, .. } => retry_after.unwrap_or_default(),
        TokenError::Grant(_) | TokenError::Refused(_) => Duration::ZERO,
    };
    jittered(usual.min(MOST)).max(asked.min(MOST_ASKED))
}

/// Give or take a quarter.
pub fn jittered(pause: Duration) -> Duration {
    let [byte] = random::bytes::<1>();
    pause * (192 + u32::from(byte) / 2) / 256
}

const FIRST: Duration = Duration::from_secs(2);
const MOST_DOUBLINGS: u32 = 9;
/// What is to be mended may be mended at any time.
const MOST: Duration = Duration::from_secs(300);
/// Longer is not waited, whatever the provider asks for.
const MOST_ASKED: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable(retry_after: Option<u64>) -> TokenError {
        TokenError::Unavailable {
            kind: "status",
            sent: true,
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    #[test]
    fn pauses_double_and_heed_the_provider() {
        for (failures, least, most) in [(0, 1500, 2500), (1, 3000, 5000), (99, 225_000, 375_000)] {
            let pause = after(failures, &unavailable(None)).as_millis();
            assert!((least..=most).contains(&pause), "{failures}: {pause}");
        }
        let asked = |seconds| after(0, &unavailable(Some(seconds))).as_secs();
        assert_eq!((asked(60), asked(u64::MAX)), (60, 3600));
    }
}
