//! What a call asks of its policies' budgets: measured when it is judged, reserved as one of the last
//! things before it is sent.

use std::borrow::Cow;

use ah5_policy::budgets::{Budgets, Cap};
use tokio::time::Instant;

use super::lift::{Lifting, Used};
use super::parse::Asked;
use super::{Call, Caller, Kind, Refusal, llm, unseal};
use crate::budgets::{Claims, Exhausted, Reserved, Unfit};
use crate::plane::Plane;
use crate::snapshot::Policy;

/// `None`: it uses nothing.
///
/// # Errors
/// 400 or 403 for what can't be measured, or is more than a budget ever holds.
pub fn claims(
    caller: &Caller,
    asked: &Asked<'_>,
    policies: &[&Policy],
    now: Instant,
) -> Result<Option<Claims>, Refusal> {
    let service = unseal::connection(caller, asked.connection)?.service;
    let budgets = policies.iter();
    let budgets = budgets.filter_map(|policy| Some((policy.id, policy.in_force(now)?.budgets())));
    let budgets: Vec<(_, &Budgets)> = budgets.collect();
    let named = |what: &str| budgets.iter().all(|(_, budgets)| budgets.names(what));
    let Some(measure) = llm::measure::measure(service, asked, &named)? else {
        return Ok(None);
    };
    let caps = budgets
        .iter()
        .flat_map(|(id, budgets)| budgets.caps.iter().map(|cap| (*id, *cap)));
    let claims = Claims::new(caller.workspace_id, caps, measure);
    claims.map(Some).map_err(unfit)
}

/// # Errors
/// 429 when one of the budgets has too little left, or 202 where people are asked about it; 503 while the
/// database does not answer.
pub async fn reserve(
    plane: &Plane,
    call: &mut Call,
    claims: &Claims,
    mut lifting: Lifting<'_>,
) -> Result<Reserved, Refusal> {
    let mut claims = Cow::Borrowed(claims);
    loop {
        let exhausted = match plane.budgets.reserve(&claims).await {
            Ok(Ok(reserved)) => return Ok(reserved),
            Ok(Err(exhausted)) => exhausted,
            Err(error) => {
                tracing::warn!(%error, "budgets cannot be counted");
                let text = "Budgets cannot be counted at the moment";
                return Err(Refusal::unavailable(Kind::Stale, text));
            }
        };
        let Exhausted { policy, cap, .. } = exhausted;
        let used = Used {
            policy,
            limit: cap.kind.as_str(),
            most: cap.limit,
            used: None,
            reason: format!("Budget exceeded ({})", words(cap)),
        };
        lifting.lift(plane, call, &used, refused(exhausted)).await?;
        claims.to_mut().lift(policy, cap.kind.as_str());
    }
}

fn refused(exhausted: Exhausted) -> Refusal {
    let Exhausted { cap, seconds, .. } = exhausted;
    Refusal::limited(format!("Budget exceeded: {}", words(cap)), seconds).hint(format!(
        "What is left is less than the request may use. Ask for a shorter answer, or retry after \
         {seconds} seconds."
    ))
}

fn unfit(why: Unfit) -> Refusal {
    match why {
        Unfit::TooLarge { cap, needs } => Refusal::forbidden(
            format!(
                "Request denied: it may use more than the budget of {}",
                words(cap)
            ),
            Some(format!(
                "It may use {}. Ask for a shorter answer.",
                amount(cap, needs)
            )),
        ),
        Unfit::UnknownPrice => Refusal::forbidden(
            "Request denied: what the model costs is not known, and a budget limits the cost",
            Some("Use a model that docs/models.md lists.".to_owned()),
        ),
    }
}

fn words(cap: Cap) -> String {
    format!("{} per {}", amount(cap, cap.limit), cap.kind.span())
}

fn amount(cap: Cap, amount: u64) -> String {
    match cap.kind.is_cost() {
        // Rounded up to a cent.
        true => format!("{} cents", amount.div_ceil(10_000)),
        false => format!("{amount} tokens"),
    }
}
