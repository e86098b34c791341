//! Calls to endpoints that are more than they look like: what stands whatever the policies say.

use super::{Combined, Decision, Facts, Rule, batch, unite};
use crate::compile::CompiledPolicy;
use crate::endpoints::{Class, Tunnel};

/// The policies' own answer, and over it what the endpoint's kind asks for.
pub(super) fn decide<'a>(
    policies: impl Iterator<Item = &'a CompiledPolicy> + Clone,
    facts: &Facts<'_>,
    class: Class,
) -> Combined {
    match class {
        Class::CallbackTarget => asked(unite(policies, facts)),
        Class::MintsAuthority => refused(MINTS),
        Class::Tunnel(Tunnel::Graphql) => unite(policies, facts),
        Class::Tunnel(Tunnel::JsonBatch) => batch::decide(policies, facts),
        Class::Tunnel(Tunnel::Opaque) => refused(OPAQUE),
    }
}

/// What is sent to elsewhere later on is never judged again, so a person looks at it now.
fn asked(mut combined: Combined) -> Combined {
    if combined.decision.is_allowed() {
        combined.decision = Decision::NeedsApproval {
            reason: CALLBACK.to_owned(),
            rule: Rule::Endpoint,
        };
    }
    combined
}

fn refused(reason: &str) -> Combined {
    Combined::denied(reason.to_owned(), None, Some(Rule::Endpoint))
}

const CALLBACK: &str = "The provider would send data to a place that the request names";
const MINTS: &str = "Request denied: this endpoint hands out keys or other lasting authority";
const OPAQUE: &str = "Request denied: this endpoint carries other requests, which cannot be judged";

#[cfg(test)]
mod tests;
