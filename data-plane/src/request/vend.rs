//! Model A: hands the access token of an OAuth connection to an agent, for calls of its own. Only where
//! an owner has turned it on, every policy of agent and connection says so, and the token's life is
//! known; never a refresh token, nor a secret that lasts.

use ah5_contracts::audit::Action;
use ah5_contracts::id::{AgentId, ConnectionId, PolicyId, WorkspaceId};
use ah5_policy::CompiledPolicy;
use ah5_security::secret::SecretText;
use ah5_store::vending::{Holder, Vended};
use http::request::Parts;
use http::{Response, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::decide::{in_force, must_be_recorded, policies};
use super::envelope::Envelope;
use super::parse::connection_of;
use super::target::acting_as;
use super::{Call, Caller, Kind, Refusal, fresh, toll};
use crate::answer::{self, AnswerBody};
use crate::plane::Plane;
use crate::quotas::Toll;
use crate::snapshot::Workspace;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Token<'a> {
    model: &'static str,
    access_token: &'a str,
    token_type: &'static str,
    /// Seconds.
    expires_in: i64,
    audit_id: ah5_contracts::id::AuditId,
}

/// # Errors
/// 403 where it is not to be had, 409 for connections that are not healthy, 429, 503.
pub async fn vend(
    plane: &Plane,
    call: &mut Call,
    caller: &mut Caller,
    head: &Parts,
    envelope: &Envelope<'_>,
) -> Result<Response<AnswerBody>, Refusal> {
    let connection = connection_of(plane, caller, envelope).await?;
    let agent = acting_as(caller, head, envelope.agent)?;
    call.vends(agent, connection);
    // 1. May it be had at all?
    let toll = allowed(call, &caller.workspace, agent, connection)?.to(caller.workspace_id);
    // 2. The token, as good as new.
    let (secret, expires) = fresh::token(plane, caller, connection).await?;
    let left = left(expires, call.unix_seconds())?;
    // 3. Once more, as all this took its time.
    caller.renew(plane)?;
    allowed(call, &caller.workspace, agent, connection)?;
    let mut taken = match &toll {
        Some(toll) => Some(toll::pay(plane, call, toll, None).await?),
        None => None,
    };
    // 4. Written down, then handed out.
    note(
        plane,
        call,
        caller.workspace_id,
        connection,
        Holder::Agent(agent),
        Some(expires),
    )
    .await?;
    let answer = hand_out(plane, call, &secret, left).await?;
    // What is refused uses up nothing.
    if let Some(taken) = &mut taken {
        taken.sending();
    }
    Ok(answer)
}

async fn hand_out(
    plane: &Plane,
    call: &mut Call,
    secret: &SecretText,
    left: i64,
) -> Result<Response<AnswerBody>, Refusal> {
    let audit_id = call.audit_id;
    let token = Token {
        model: "A",
        access_token: secret.expose(),
        token_type: "Bearer",
        expires_in: left,
        audit_id,
    };
    let text = serde_json::to_vec(&token).map_err(Refusal::internal)?;
    let details = json!({"expiresIn": left});
    call.handed_out(plane, Action::TokenVended, details).await?;
    Ok(answer::json(StatusCode::OK, text, Some(audit_id)))
}

/// The policies whose hours it counts in.
struct Counted(Vec<(PolicyId, u64)>);

impl Counted {
    fn to(self, workspace: WorkspaceId) -> Option<Toll> {
        (!self.0.is_empty()).then_some(Toll {
            workspace,
            policies: self.0,
            units: 1,
        })
    }
}

fn allowed(
    call: &mut Call,
    workspace: &Workspace,
    agent: AgentId,
    connection: ConnectionId,
) -> Result<Counted, Refusal> {
    let stored = policies(workspace, agent, connection);
    let compiled = in_force(stored, call.began()).unwrap_or_default();
    let refuse = |hint: Option<&str>| {
        let error = "No policy allows Model A for this connection";
        Err(Refusal::forbidden(error, hint.map(str::to_owned)))
    };
    let Some(first) = stored.first().filter(|_| !compiled.is_empty()) else {
        return refuse(None);
    };
    call.judged(Some((first.id, first.version)), None);
    if must_be_recorded(stored) {
        call.must_be_recorded();
    }
    // A policy that does not list it stands for what calls may do: a token would get around it.
    if !compiled.iter().all(|policy| policy.vends()) {
        let brokers = compiled.iter().any(|policy| policy.brokers());
        return refuse(brokers.then_some("Use Model B: the call is made for you."));
    }
    let hours = compiled
        .iter()
        .map(|policy| policy.check_hours(call.unix_seconds()));
    hours
        .collect::<Result<(), String>>()
        .map_err(|closed| Refusal::forbidden(closed, None))?;
    if !workspace.allowed.tokens {
        return refuse(Some(
            "Model A is not enabled for this workspace; an owner can turn it on. Use Model B.",
        ));
    }
    let target = workspace.connections.get(&connection);
    if target.is_none_or(|target| !target.service.credential.is_oauth()) {
        return refuse(Some(
            "Only OAuth access tokens are handed out. Use Model B.",
        ));
    }
    let hour = |policy: &CompiledPolicy| policy.limits().max_requests_per_hour;
    let hours = stored.iter().zip(compiled);
    let counted = hours.filter_map(|(stored, policy)| Some((stored.id, hour(policy)?)));
    Ok(Counted(counted.collect()))
}

/// What is left of its life, as the provider said: nobody could say when one without an end is safe.
fn left(expires: Timestamp, now: i64) -> Result<i64, Refusal> {
    let left = expires.as_second() - now;
    if left > 0 {
        return Ok(left.min(MOST_SECONDS));
    }
    Err(Refusal::unavailable(
        Kind::Upstream,
        "The connection's token has expired and could not be renewed yet",
    ))
}

/// Before anything leaves.
pub async fn note(
    plane: &Plane,
    call: &Call,
    workspace: WorkspaceId,
    connection: ConnectionId,
    holder: Holder,
    expires_at: Option<Timestamp>,
) -> Result<(), Refusal> {
    let vended = Vended {
        id: call.audit_id.uuid(),
        workspace,
        connection,
        holder,
        expires_at,
    };
    match plane.vending.note(&vended).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Refusal::conflict("Connection has been revoked")),
        Err(error) => {
            tracing::warn!(%error, "what is handed out cannot be written down");
            let text = "Nothing can be handed out at the moment";
            Err(Refusal::unavailable(Kind::Stale, text))
        }
    }
}

const MOST_SECONDS: i64 = 3600;
