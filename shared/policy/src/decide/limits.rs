//! How much a policy lets through. Nothing here counts.

/// Limits of a policy; `None` is none of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub max_payload_bytes: Option<u64>,
    pub max_requests_per_hour: Option<u64>,
    pub max_response_bytes: Option<u64>,
}

// === impl Limits ===

impl Limits {
    #[must_use]
    pub fn tighten(self, other: Self) -> Self {
        let least = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self {
            max_payload_bytes: least(self.max_payload_bytes, other.max_payload_bytes),
            max_requests_per_hour: least(self.max_requests_per_hour, other.max_requests_per_hour),
            max_response_bytes: least(self.max_response_bytes, other.max_response_bytes),
        }
    }
}
