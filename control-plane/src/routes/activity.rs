//! The trail for the dashboard's front page: with the names of agents and connections, and what
//! there is to filter by.

use std::collections::HashMap;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde::Serialize;

use ah5_contracts::id::{AgentId, AuditId, ConnectionId};
use ah5_store::StoreError;
use ah5_store::agents::{self, Agent};
use ah5_store::connections::{self, Name};
use ah5_store::tenant::Tenant;

use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::AppResult;
use crate::routes::audit::event::Event;
use crate::routes::audit::page;
use crate::routes::audit::search::{self, Params, limit};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    events: Vec<Named>,
    next_cursor: Option<AuditId>,
    filters: Filters,
}

/// Names are those of today; what has been deleted has none.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    #[serde(flatten)]
    event: Event,
    agent_name: Option<String>,
    connection_label: Option<String>,
    connection_provider: Option<String>,
}

#[derive(Serialize)]
struct Filters {
    agents: Vec<AgentChoice>,
    connections: Vec<ConnectionChoice>,
}

#[derive(Serialize)]
struct AgentChoice {
    id: AgentId,
    name: String,
}

#[derive(Serialize)]
struct ConnectionChoice {
    id: ConnectionId,
    label: String,
    provider: String,
}

pub async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    params: Result<Query<Params>, QueryRejection>,
) -> AppResult {
    let params = Params {
        action: None,
        ..search::take(params)?
    };
    let limit = limit(params.limit.as_deref(), DEFAULT_LIMIT, MAX_LIMIT);
    let search = params.search()?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let page = page::read(&tenant, search, limit).await?;
    let names = Names::read(&tenant).await?;
    let answer = Answer {
        events: names.put(page.events),
        next_cursor: page.next,
        filters: names.filters(),
    };
    Ok(Json(answer).into_response())
}

struct Names {
    agents: Vec<AgentChoice>,
    connections: Vec<Name>,
}

// === impl Names ===

impl Names {
    async fn read(tenant: &Tenant<'_>) -> Result<Self, StoreError> {
        let agents = agents::list(tenant).await?.into_iter();
        let choice = |agent: Agent| AgentChoice {
            id: agent.id,
            name: agent.name,
        };
        Ok(Self {
            agents: agents.map(choice).collect(),
            connections: connections::names(tenant).await?,
        })
    }

    fn put(&self, events: Vec<Event>) -> Vec<Named> {
        let agents: HashMap<_, _> = self.agents.iter().map(|a| (a.id, &a.name)).collect();
        let connections: HashMap<_, _> = self.connections.iter().map(|c| (c.id, c)).collect();
        let named = |event: Event| {
            let connection = event.connection_id.and_then(|id| connections.get(&id));
            Named {
                agent_name: event
                    .agent_id
                    .and_then(|id| agents.get(&id))
                    .map(|name| (*name).clone()),
                connection_label: connection.map(|name| name.label.clone()),
                connection_provider: connection.map(|name| name.provider.clone()),
                event,
            }
        };
        events.into_iter().map(named).collect()
    }

    fn filters(self) -> Filters {
        let live = self.connections.into_iter().filter(|name| !name.revoked);
        let choice = |name: Name| ConnectionChoice {
            id: name.id,
            label: name.label,
            provider: name.provider,
        };
        Filters {
            agents: self.agents,
            connections: live.map(choice).collect(),
        }
    }
}

const DEFAULT_LIMIT: usize = 30;
const MAX_LIMIT: usize = 100;
