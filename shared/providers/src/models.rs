//! Language models: how much they take and say at most, and what they cost. Where a provider has
//! several prices for one thing, the highest of them; a model that isn't listed has no known price.

use serde::Deserialize;

use crate::service::Service;

/// One model, under the provider's own name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    pub name: String,
    /// Tokens that it can take.
    pub context: u64,
    /// Tokens of one answer.
    pub max_output: u64,
    /// Cents for a million tokens.
    pub input: u64,
    pub output: u64,
    /// Of input that is kept for later calls, where that costs more.
    pub cache_write: Option<u64>,
}

/// The model of this name, or the dated version of one.
#[must_use]
pub fn find<'s>(service: &'s Service, name: &str) -> Option<&'s Spec> {
    let models = service.models.iter();
    models
        .filter_map(|spec| {
            let rest = name.strip_prefix(spec.name.as_str())?;
            (rest.is_empty() || is_date(rest)).then_some(spec)
        })
        .next()
}

/// `-2025-08-07` or `-20250929`.
fn is_date(rest: &str) -> bool {
    let digits = rest.bytes().filter(u8::is_ascii_digit).count();
    let dashes = rest.bytes().filter(|&byte| byte == b'-').count();
    rest.starts_with('-') && digits == 8 && digits + dashes == rest.len()
}

// === impl Spec ===

impl Spec {
    /// Millionths of a dollar, rounded up; `cached` is the part of the input that is kept for later.
    #[must_use]
    pub fn cost(&self, input: u64, cached: u64, output: u64) -> u64 {
        let cached = cached.min(input);
        let write = self.cache_write.unwrap_or(self.input).max(self.input);
        let parts = [
            (input - cached, self.input),
            (cached, write),
            (output, self.output),
        ];
        let sum: u128 = parts
            .iter()
            .map(|(tokens, cents)| u128::from(*tokens) * u128::from(*cents))
            .sum();
        // A cent for a million tokens is a hundredth of a millionth of a dollar for one.
        u64::try_from(sum.div_ceil(100)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    #[test]
    fn only_a_date_may_follow_a_models_name() {
        let openai = catalogue::find("openai").unwrap();
        let name = |asked: &str| find(openai, asked).map(|spec| spec.name.as_str());
        assert_eq!(name("gpt-5"), Some("gpt-5"));
        assert_eq!(name("gpt-5-2025-08-07"), Some("gpt-5"));
        assert_eq!(name("gpt-5-mini"), Some("gpt-5-mini"));
        for other in [
            "gpt-5-pro",
            "gpt-5.9",
            "gpt-5-12345678-9",
            "gpt",
            "GPT-5",
            "gpt-5-",
        ] {
            assert_eq!(name(other), None, "{other}");
        }
        let claude = catalogue::find("anthropic-messages").unwrap();
        assert!(find(claude, "claude-haiku-4-5-20251001").is_some());
    }

    #[test]
    fn costs_are_rounded_up() {
        let spec = Spec {
            name: "m".to_owned(),
            context: 1,
            max_output: 1,
            input: 125,
            output: 1000,
            cache_write: Some(250),
        };
        assert_eq!(spec.cost(1_000_000, 0, 0), 1_250_000);
        assert_eq!(spec.cost(0, 0, 1_000_000), 10_000_000);
        assert_eq!(spec.cost(1_000_000, 1_000_000, 0), 2_500_000);
        assert_eq!(spec.cost(1, 0, 0), 2);
        assert_eq!(spec.cost(0, 5, 0), 0);
        assert_eq!(spec.cost(u64::MAX, u64::MAX, u64::MAX), u64::MAX);
    }
}
