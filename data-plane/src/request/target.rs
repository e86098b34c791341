//! Which connection is meant, and as which agent.

use ah5_contracts::connection::ConnectionStatus;
use ah5_contracts::id::{AgentId, ConnectionId};
use ah5_providers::catalogue;
use http::HeaderName;
use http::request::Parts;

use super::authenticate::unsettled;
use super::{Caller, Identity, Refusal, renewal};
use crate::plane::Plane;
use crate::snapshot::Connection;

/// The connection, which may be so new that this replica must look once more.
pub async fn find<'a>(
    plane: &Plane,
    caller: &'a mut Caller,
    id: ConnectionId,
) -> Result<&'a Connection, Refusal> {
    let mut settled = true;
    if !caller.workspace.connections.contains_key(&id) {
        settled = plane.freshener.look(caller.workspace_id).await;
        caller.renew(plane)?;
    }
    let connection = caller.workspace.connections.get(&id);
    let unknown = || match settled {
        true => Refusal::not_found("Connection not found"),
        false => unsettled(),
    };
    let connection = connection.ok_or_else(unknown)?;
    match connection.status {
        ConnectionStatus::Healthy => Ok(connection),
        ConnectionStatus::NeedsReauth => Err(renewal::needs_reauth()),
        ConnectionStatus::Revoked => Err(renewal::revoked()),
    }
}

pub fn by_service(caller: &Caller, name: &str) -> Result<ConnectionId, Refusal> {
    let service = catalogue::find(name)
        .ok_or_else(|| Refusal::bad_request(format!("Unknown service: {name}")))?;
    if !service.singleton {
        return Err(Refusal::bad_request(format!(
            "Service '{name}' is not a singleton. Provide connectionId instead."
        )));
    }
    let connections = caller.workspace.connections.iter();
    let healthy = connections
        .filter(|(_, c)| c.service.id == service.id && c.status == ConnectionStatus::Healthy);
    healthy.map(|(id, _)| *id).min().ok_or_else(|| {
        Refusal::not_found(format!("No healthy connection found for service '{name}'"))
    })
}

/// The agent whose policies count. A person must say which one; an agent is always itself.
pub fn acting_as(
    caller: &Caller,
    head: &Parts,
    in_body: Option<AgentId>,
) -> Result<AgentId, Refusal> {
    let in_header = only(head, &AGENT)?
        .map(str::parse::<AgentId>)
        .transpose()
        .map_err(|why| Refusal::bad_request(format!("headers/x-ah5-agent-id {why}")))?;
    let named = in_header.or(in_body);
    match caller.identity {
        Identity::Agent(id) if named.is_none_or(|named| named == id) => Ok(id),
        Identity::Agent(_) => Err(Refusal::forbidden(
            "An agent cannot act as another agent",
            None,
        )),
        Identity::User(_) => {
            let id = named.ok_or_else(|| {
                Refusal::bad_request("x-ah5-agent-id must name the agent to act as")
            })?;
            match caller.workspace.agents.get(&id) {
                None => Err(Refusal::not_found("Agent not found")),
                Some(agent) if !agent.active => Err(Refusal::conflict("Agent is disabled")),
                Some(_) => Ok(id),
            }
        }
    }
}

/// A header of ours: at most one, plain text.
pub fn only<'a>(head: &'a Parts, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
    let mut values = head.headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) if let Ok(text) = value.to_str() => Ok(Some(text)),
        _ => Err(Refusal::bad_request(format!(
            "Header {name} is not one plain value"
        ))),
    }
}

const AGENT: HeaderName = HeaderName::from_static("x-ah5-agent-id");
