//! What a policy leaves to a person: the first call asks, a later one redeems what was approved. The
//! policy of today has decided before; here nothing is allowed that it denies. Taking the approval
//! comes last, right before the sending.

use ah5_contracts::approval::Status;
use ah5_contracts::id::{ApprovalId, ClaimId};
use ah5_store::StoreError;
use ah5_store::redemption::{Granted, Grants};
use http::{HeaderMap, Response};

use super::decide::{Judged, Needs};
use super::parse::{Asked, Wishes};
use super::{Call, Caller, Kind, Refusal, body, heavy, unseal};
use crate::admission::Permit;
use crate::answer::AnswerBody;
use crate::approvals::Redemption;
use crate::plane::Plane;

mod ask;
mod conversation;
mod digest;

use conversation::Turn;

/// What becomes of the call.
pub enum Settled {
    /// A person is asked first.
    Asked(Response<AnswerBody>),
    /// It goes on, with the approval that it takes.
    Go(Option<Redemption>),
}

/// # Errors
/// 403, 404, 409 or 410 for an approval that is not good for this call; 413 for a request that is too
/// large to be shown; 429 for too many questions; 503 while the database does not answer.
pub async fn settle(
    plane: &Plane,
    call: &mut Call,
    caller: &Caller,
    judged: &mut Judged<'_>,
    permit: &mut Permit,
) -> Result<Settled, Refusal> {
    match (judged.asked.approval, judged.needs.take()) {
        (None, None) => Ok(Settled::Go(None)),
        (Some(id), needs) => {
            let redemption = redeem(plane, call, caller, judged, id, needs).await?;
            judged.claim.approve();
            call.redeems(id);
            Ok(Settled::Go(Some(redemption)))
        }
        (None, Some(needs)) => {
            body::hold(&mut judged.asked, permit).await?;
            let answer = ask(plane, call, caller, judged, &needs).await?;
            Ok(Settled::Asked(answer))
        }
    }
}

async fn ask(
    plane: &Plane,
    call: &mut Call,
    caller: &Caller,
    judged: &Judged<'_>,
    needs: &Needs,
) -> Result<Response<AnswerBody>, Refusal> {
    let headers = unseal::headers(caller, judged)?.headers;
    let size = ask::check_size(&judged.asked.body)?;
    let turn = turn(call, caller, judged, &headers);
    let bound = match needs.stopped {
        Some(_) => heavy::run(size, || turn.bind()).await,
        None => None,
    };
    ask::ask(plane, call, caller, &judged.asked, &headers, needs, bound).await
}

/// `needs`: what the policies of today leave to a person.
async fn redeem(
    plane: &Plane,
    call: &Call,
    caller: &Caller,
    judged: &Judged<'_>,
    id: ApprovalId,
    needs: Option<Needs>,
) -> Result<Redemption, Refusal> {
    let asked = &judged.asked;
    let (workspace, agent) = (caller.workspace_id, asked.agent);
    let found = plane.approvals.find(workspace, id, agent).await;
    let granted = found.map_err(unavailable)?.ok_or_else(unknown)?;
    let headers: HeaderMap = unseal::headers(caller, judged)?.headers;
    check(&granted, asked)?;
    if granted.digest != digest::of(asked, &headers) {
        let turn = turn(call, caller, judged, &headers);
        let goes_on = match &granted.conversation {
            Some(approved) if needs.is_none_or(|needs| needs.stopped.is_some()) => {
                let size = ask::check_size(&asked.body)?;
                heavy::run(size, || turn.goes_on(approved)).await
            }
            // It needs an approval for something else.
            Some(_) | None => false,
        };
        if !goes_on {
            let error = "Request payload does not match the approved request";
            return Err(match granted.conversation {
                Some(_) => Refusal::forbidden(error, Some(GOES_ON.to_owned())),
                None => mismatch(error),
            });
        }
    }
    Ok(Redemption {
        workspace,
        approval: id,
        agent,
        digest: granted.digest,
        claim: ClaimId::random(),
    })
}

const fn turn<'a>(
    call: &Call,
    caller: &'a Caller,
    judged: &'a Judged<'_>,
    headers: &'a HeaderMap,
) -> Turn<'a> {
    Turn {
        asked: &judged.asked,
        claim: &judged.claim,
        caller,
        headers,
        now: call.began(),
    }
}

fn check(granted: &Granted, asked: &Asked<'_>) -> Result<(), Refusal> {
    check_state(granted)?;
    if granted.is_limit {
        let error = "Approval does not match this request: it lifts a limit and is not redeemed";
        let hint = "Send the request without it: what it lifts is lifted.";
        return Err(Refusal::forbidden(error, Some(hint.to_owned())));
    }
    let is_same = granted.connection == asked.connection
        && granted.method == asked.wire_method.as_str()
        && granted.url == bare_url(asked);
    if !is_same {
        return Err(mismatch("Approval does not match this request"));
    }
    check_grants(granted.grants, asked.wishes)
}

fn check_state(granted: &Granted) -> Result<(), Refusal> {
    let status = Status::from_stored(&granted.status);
    let status = status.ok_or_else(|| Refusal::internal("an approval is in no known state"))?;
    match status {
        Status::Approved if !granted.is_overdue => Ok(()),
        Status::Approved | Status::Expired => {
            Err(Refusal::gone("Approval request has expired").hint(EXPIRED))
        }
        Status::Pending if granted.is_overdue => {
            Err(Refusal::gone("Approval request has expired").hint(EXPIRED))
        }
        other => {
            let word = other.as_str();
            let error = format!("Approval request is {word}, not approved");
            Err(Refusal::conflict(error).hint(match other {
                Status::Pending => PENDING.to_owned(),
                _ => format!(
                    "This approval has been {word}. Submit a new request without approvalId."
                ),
            }))
        }
    }
}

/// One grant never stands for another, nor for none.
fn check_grants(granted: Grants, wishes: Wishes) -> Result<(), Refusal> {
    if wishes.bypass_pii && !granted.pii_bypass {
        return Err(mismatch("Approval does not authorize PII bypass"));
    }
    if wishes.full_fields && !granted.full_fields {
        return Err(mismatch("Approval does not authorize full field access"));
    }
    if grants(wishes) != granted {
        return Err(mismatch("Approval does not match this request"));
    }
    Ok(())
}

const fn grants(wishes: Wishes) -> Grants {
    Grants {
        pii_bypass: wishes.bypass_pii,
        full_fields: wishes.full_fields,
    }
}

/// Somebody else was faster, or its time is over: says which.
pub async fn lost(plane: &Plane, redemption: &Redemption) -> Refusal {
    let Redemption {
        workspace,
        approval,
        agent,
        ..
    } = *redemption;
    match plane.approvals.find(workspace, approval, agent).await {
        Ok(Some(granted)) => match check_state(&granted) {
            Err(refusal) => refusal,
            // Given back in between.
            Ok(()) => Refusal::conflict("Approval request is in use")
                .hint("Another call with it was under way; send the request again."),
        },
        Ok(None) => unknown(),
        Err(error) => unavailable(error),
    }
}

pub fn unavailable(error: StoreError) -> Refusal {
    match error {
        StoreError::Unavailable(why) => {
            tracing::warn!(%why, "approvals cannot be read or asked for");
            Refusal::unavailable(
                Kind::Stale,
                "Approvals are not available while the database is not",
            )
        }
        StoreError::Bug(_) | StoreError::Conflict(_) => Refusal::internal(error),
    }
}

fn unknown() -> Refusal {
    Refusal::not_found("Approval request not found")
        .hint("The approvalId does not match any approval request of this agent in this workspace.")
}

fn mismatch(error: &'static str) -> Refusal {
    Refusal::forbidden(error, Some(RESUBMIT.to_owned()))
}

/// What of the URL may be kept when it is over.
fn bare_url(asked: &Asked<'_>) -> String {
    format!("{}{}", asked.url.origin(), asked.url.path())
}

/// Of one agent. More would only tire those who decide.
pub const MOST_PENDING: i32 = 20;
const EXPIRED: &str = "Submit a new request without approvalId to create a fresh approval.";
const GOES_ON: &str = "This approval is good for the request that was shown and for messages added behind it \
    that no rule stops at. Submit this request without an approval to ask for its own.";
const PENDING: &str = "This approval is still pending. Wait for the workspace owner to approve it.";
const RESUBMIT: &str = "An approval is good for exactly the request that was shown. \
    Submit this request without an approval (approvalId, x-ah5-approval-id) to ask for its own.";
