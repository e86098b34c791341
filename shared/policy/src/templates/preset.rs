//! The three tiers as a person chooses among them: names, words and the rules they stand for.

use serde_json::{Value, json};

use super::{DATA, Guard, Template, Tier};

/// One tier of a template or of a whole provider.
#[derive(Clone, Debug)]
pub struct Preset {
    pub tier: Tier,
    pub name: &'static str,
    pub description: &'static str,
    pub rules: Value,
    /// What goes well with it.
    pub default_mode: &'static str,
    pub step_up: &'static str,
    pub rate_limit_label: Option<String>,
}

// === impl Preset ===

impl Preset {
    /// From the least protection to the most.
    #[must_use]
    pub fn of(template: &Template) -> [Self; 3] {
        ORDER.map(|tier| {
            let made = template.generate(tier);
            let an_hour = made.rate_limits["maxRequestsPerHour"].as_u64();
            Self {
                rate_limit_label: an_hour.map(|n| format!("{} req/hr", grouped(n))),
                ..Self::new(
                    tier,
                    made.rules,
                    template.writes(),
                    template.limits == "llm",
                )
            }
        })
    }

    /// For all services of one provider: their guards, and rules by method alone.
    #[must_use]
    pub fn of_provider(provider: &str) -> Option<[Self; 3]> {
        let mut templates = Template::of_provider(provider);
        let first = templates.next()?;
        if first.limits == "llm" || templates.all(|template| template.service == first.service) {
            let widest = Template::of_provider(provider).last();
            return widest.map(Self::of);
        }
        Some(ORDER.map(|tier| Self::new(tier, wide_rules(provider, tier), true, false)))
    }

    fn new(tier: Tier, rules: Value, writes: bool, model: bool) -> Self {
        let (name, description) = match tier {
            Tier::Minimal => ("⚠️ Minimal Protection", MINIMAL),
            Tier::Standard => ("🛡️ Balanced Protection", STANDARD),
            Tier::Strict => ("🔒 Strict Protection", STRICT),
        };
        let (default_mode, step_up) = match tier {
            Tier::Minimal if writes => ("read_write", "never"),
            Tier::Minimal => ("read_only", "never"),
            Tier::Standard if model => ("read_write", "never"),
            Tier::Standard => ("read_write", "risk_based"),
            Tier::Strict => ("custom", "always"),
        };
        Self {
            tier,
            name,
            description,
            rules,
            default_mode,
            step_up,
            rate_limit_label: None,
        }
    }
}

fn wide_rules(provider: &str, tier: Tier) -> Value {
    let used = Template::of_provider(provider)
        .flat_map(|template| template.guards.get(&tier).into_iter().flatten());
    let used: Vec<&String> = used.collect();
    let guards = Guard::all().filter(|guard| used.contains(&&guard.id));
    let mut request: Vec<Value> = guards
        .flat_map(|guard| guard.request_rules(provider))
        .filter(|rule| rule["action"] != "allow")
        .cloned()
        .collect();
    let writes = if tier == Tier::Minimal {
        json!({"label": "Allow writes", "match": {"methods": WRITES}, "action": "allow"})
    } else {
        json!({"label": "Approve writes", "match": {"methods": WRITES}, "action": "require_approval"})
    };
    request.extend([
        json!({"label": "Allow all reads", "match": {"methods": ["GET"]}, "action": "allow"}),
        writes,
        json!({"label": "Block everything else", "match": {}, "action": "deny"}),
    ]);
    let response = if tier == Tier::Minimal {
        &[][..]
    } else {
        &DATA.default_response
    };
    json!({"request": request, "response": response})
}

/// 1000 as `1,000`.
fn grouped(number: u64) -> String {
    match (number / 1000, number % 1000) {
        (0, rest) => rest.to_string(),
        (thousands, rest) => format!("{},{rest:03}", grouped(thousands)),
    }
}

const ORDER: [Tier; 3] = [Tier::Minimal, Tier::Standard, Tier::Strict];
const WRITES: [&str; 4] = ["POST", "PUT", "PATCH", "DELETE"];
const MINIMAL: &str =
    "Whatever the template covers goes through; only the hourly limit holds the agent back.";
const STANDARD: &str = "Reading goes through with personal data taken out; what is risky waits for a person, \
                        what is dangerous is blocked. Recommended.";
const STRICT: &str =
    "Little goes through by itself; writes wait for a person, deletes are blocked, limits are low.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tier_has_its_words_and_its_limit() {
        let gmail = Preset::of(Template::find("gmail-read").unwrap());
        let told = gmail.map(|p| {
            (
                p.tier,
                p.default_mode,
                p.step_up,
                p.rate_limit_label.unwrap(),
            )
        });
        assert_eq!(
            told,
            [
                (
                    Tier::Minimal,
                    "read_only",
                    "never",
                    "1,000 req/hr".to_owned()
                ),
                (
                    Tier::Standard,
                    "read_write",
                    "risk_based",
                    "200 req/hr".to_owned()
                ),
                (Tier::Strict, "custom", "always", "50 req/hr".to_owned()),
            ]
        );
        let [minimal, standard, _] = Preset::of(Template::find("openai").unwrap());
        assert_eq!(
            (minimal.default_mode, minimal.step_up),
            ("read_write", "never")
        );
        assert_eq!(
            (standard.default_mode, standard.step_up),
            ("read_write", "never")
        );
    }

    #[test]
    fn a_provider_of_many_services_has_rules_that_fit_them_all() {
        for provider in ["google", "microsoft"] {
            for preset in Preset::of_provider(provider).unwrap() {
                let rules = preset.rules["request"].as_array().unwrap();
                let last = rules.last().unwrap();
                assert_eq!(
                    (&last["match"], &last["action"]),
                    (&json!({}), &json!("deny"))
                );
                // Nothing of one service alone is allowed ahead of what another's guards hold back.
                let allowed = rules.iter().position(|rule| rule["action"] == "allow");
                assert_eq!(
                    allowed,
                    Some(rules.len() - 3),
                    "{provider} {:?}",
                    preset.tier
                );
            }
        }
        let slack = Preset::of_provider("slack").unwrap();
        assert_eq!(
            slack[2].rules,
            Preset::of(Template::find("slack").unwrap())[2].rules
        );
        assert!(Preset::of_provider("nobody").is_none());
    }
}
