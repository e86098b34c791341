//! What language models may use under a policy. Nothing here counts.

use serde_json::Value;

use crate::compile::CompileError;
use crate::stored::Stored;

/// Budgets of one policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Budgets {
    pub caps: Vec<Cap>,
    /// Members, hosted tools and paths that pass though nobody can say what they use.
    unmetered: Vec<Box<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    pub kind: Kind,
    /// Tokens, or millionths of a dollar.
    pub limit: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    CostDay,
    /// Of 30 days.
    CostMonth,
    TokensDay,
    TokensHour,
}

// === impl Budgets ===

impl Budgets {
    pub(crate) fn compile(stored: &Stored<'_>) -> Result<Self, CompileError> {
        let mut caps = Vec::new();
        for (name, kind, unit) in SLOTS {
            if let Some(count) = whole(stored, name)? {
                let limit = count.checked_mul(unit).filter(|limit| *limit <= MOST);
                let limit = limit.ok_or_else(|| stored.error(name, "is too large"))?;
                caps.push(Cap { kind, limit });
            }
        }
        let unmetered = stored.list(UNMETERED, MAX_NAMES)?.unwrap_or_default();
        let names = unmetered.iter().map(|name| match name.as_str() {
            Some(name) if (1..=MAX_NAME).contains(&name.len()) => Ok(name.into()),
            _ => Err(stored.error(UNMETERED, "must hold names")),
        });
        Ok(Self {
            caps,
            unmetered: names.collect::<Result<_, _>>()?,
        })
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.caps.is_empty()
    }

    /// Whether this passes unmeasured.
    #[must_use]
    pub fn names(&self, what: &str) -> bool {
        self.unmetered.iter().any(|name| &**name == what)
    }
}

/// A limit: a whole number from 1.
pub(crate) fn whole(stored: &Stored<'_>, name: &str) -> Result<Option<u64>, CompileError> {
    match stored.get(name).map(Value::as_u64) {
        None => Ok(None),
        Some(Some(limit)) if limit >= 1 => Ok(Some(limit)),
        Some(Some(_)) => Err(stored.error(name, "must be >= 1")),
        Some(None) => Err(stored.error(name, "must be integer")),
    }
}

// === impl Kind ===

impl Kind {
    /// As it is counted under.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CostDay => "cost_day",
            Self::CostMonth => "cost_month",
            Self::TokensDay => "tokens_day",
            Self::TokensHour => "tokens_hour",
        }
    }

    /// Whether it limits money, not tokens.
    #[must_use]
    pub const fn is_cost(self) -> bool {
        matches!(self, Self::CostDay | Self::CostMonth)
    }

    #[must_use]
    pub const fn span(self) -> &'static str {
        match self {
            Self::CostDay | Self::TokensDay => "day",
            Self::CostMonth => "month",
            Self::TokensHour => "hour",
        }
    }
}

/// Members of `rateLimits`.
pub(crate) const MEMBERS: [&str; 5] = [SLOTS[0].0, SLOTS[1].0, SLOTS[2].0, SLOTS[3].0, UNMETERED];
/// With how many tokens, or millionths of a dollar, each unit is.
const SLOTS: [(&str, Kind, u64); 4] = [
    ("maxTokensPerHour", Kind::TokensHour, 1),
    ("maxTokensPerDay", Kind::TokensDay, 1),
    ("maxCostCentsPerDay", Kind::CostDay, 10_000),
    ("maxCostCentsPerMonth", Kind::CostMonth, 10_000),
];
const UNMETERED: &str = "unmetered";
const MAX_NAME: usize = 100;
const MAX_NAMES: usize = 50;
/// Sums of many calls stay far below what can be counted.
const MOST: u64 = 1 << 53;
