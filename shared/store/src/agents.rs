//! `t_agents`: the agents of a workspace, their keys and their epochs.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::Row;

use ah5_contracts::id::{AgentId, UserId, WorkspaceId};

use crate::StoreError;
use crate::tenant::Tenant;

pub struct Agent {
    pub id: AgentId,
    pub name: String,
    pub description: String,
    pub icon_url: Option<String>,
    pub status: String,
    pub public_key_jwk: Option<Value>,
    pub epoch: i64,
    pub enrolled_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub owner: Option<Owner>,
    /// It gets and uses no token without proving possession of a key.
    pub require_dpop: bool,
}

/// Who answers for an agent. Their leaving changes nothing for the agent but what is said of it.
pub struct Owner {
    pub id: UserId,
    pub name: String,
    /// `active`, `disabled` or `left`.
    pub status: String,
}

/// # Errors
/// The database fails.
pub async fn insert(
    tenant: &Tenant<'_>,
    id: AgentId,
    name: &str,
    description: &str,
    icon_url: Option<&str>,
) -> Result<Agent, StoreError> {
    let sql = format!(
        "with a as (insert into ah5.t_agents (id, workspace_id, name, description, icon_url)
                    values ($1, $2, $3, $4, $5) returning *)
         select {COLUMNS} from a {OWNER}"
    );
    let workspace = tenant.workspace().uuid();
    let row = tenant
        .query_one(
            &sql,
            &[&id.uuid(), &workspace, &name, &description, &icon_url],
        )
        .await?;
    Ok(read(&row))
}

/// # Errors
/// The database fails.
pub async fn list(tenant: &Tenant<'_>) -> Result<Vec<Agent>, StoreError> {
    let sql = format!("select {COLUMNS} from ah5.t_agents a {OWNER} order by a.created_at, a.id");
    Ok(tenant.query(&sql, &[]).await?.iter().map(read).collect())
}

/// # Errors
/// The database fails.
pub async fn count(tenant: &Tenant<'_>) -> Result<i64, StoreError> {
    let sql = "select count(*) from ah5.t_agents";
    Ok(tenant.query_one(sql, &[]).await?.get(0))
}

/// # Errors
/// The database fails.
pub async fn get(tenant: &Tenant<'_>, id: AgentId) -> Result<Option<Agent>, StoreError> {
    let sql = format!("select {COLUMNS} from ah5.t_agents a {OWNER} where a.id = $1");
    Ok(tenant
        .query_opt(&sql, &[&id.uuid()])
        .await?
        .as_ref()
        .map(read))
}

/// The agent, kept from changing until this transaction ends: what is decided from its state (a
/// token, an enrolment) cannot race with disabling it.
///
/// # Errors
/// The database fails.
pub async fn lock(tenant: &Tenant<'_>, id: AgentId) -> Result<Option<Agent>, StoreError> {
    let sql =
        format!("select {COLUMNS} from ah5.t_agents a {OWNER} where a.id = $1 for update of a");
    Ok(tenant
        .query_opt(&sql, &[&id.uuid()])
        .await?
        .as_ref()
        .map(read))
}

/// Stores name, description, icon, and whether it must prove possession of a key: tokens that it got
/// without end when it must from now on. Returns the agent as it then is.
///
/// # Errors
/// The database fails.
pub async fn update(tenant: &Tenant<'_>, agent: &Agent) -> Result<Agent, StoreError> {
    let sql = format!(
        "with a as (update ah5.t_agents
                    set name = $2, description = $3, icon_url = $4, updated_at = now(),
                        epoch = epoch + case when $5 and not require_dpop then 1 else 0 end,
                        require_dpop = $5
                    where id = $1 returning *)
         select {COLUMNS} from a {OWNER}"
    );
    let (id, icon) = (agent.id.uuid(), &agent.icon_url);
    let row = tenant
        .query_one(
            &sql,
            &[
                &id,
                &agent.name,
                &agent.description,
                icon,
                &agent.require_dpop,
            ],
        )
        .await?;
    Ok(read(&row))
}

/// Returns the agent as it then is.
///
/// # Errors
/// The database fails.
pub async fn set_owner(
    tenant: &Tenant<'_>,
    id: AgentId,
    owner: Option<UserId>,
) -> Result<Agent, StoreError> {
    let sql = format!(
        "with a as (update ah5.t_agents set owner_id = $2, updated_at = now()
                    where id = $1 returning *)
         select {COLUMNS} from a {OWNER}"
    );
    let owner = owner.map(UserId::uuid);
    let row = tenant.query_one(&sql, &[&id.uuid(), &owner]).await?;
    Ok(read(&row))
}

/// Ends every token of the agent by raising its epoch.
///
/// # Errors
/// The database fails.
pub async fn disable(tenant: &Tenant<'_>, id: AgentId) -> Result<(), StoreError> {
    let sql = "update ah5.t_agents set status = 'disabled', disabled_at = now(), epoch = epoch + 1,
               updated_at = now() where id = $1";
    tenant.execute(sql, &[&id.uuid()]).await?;
    Ok(())
}

/// Returns the new status: `active` if a key is enrolled, else `created`.
///
/// # Errors
/// The database fails.
pub async fn enable(tenant: &Tenant<'_>, id: AgentId) -> Result<String, StoreError> {
    let sql = "update ah5.t_agents set disabled_at = null, updated_at = now(),
               status = case when public_key_jwk is null then 'created' else 'active' end
               where id = $1 returning status";
    Ok(tenant.query_one(sql, &[&id.uuid()]).await?.get(0))
}

/// Stores the agent's key; tokens got with an earlier key end.
///
/// # Errors
/// The database fails.
pub async fn enrol(tenant: &Tenant<'_>, id: AgentId, jwk: &Value) -> Result<(), StoreError> {
    let sql = "update ah5.t_agents set public_key_jwk = $2, status = 'active', epoch = epoch + 1,
               enrolled_at = coalesce(enrolled_at, now()), updated_at = now() where id = $1";
    tenant.execute(sql, &[&id.uuid(), jwk]).await?;
    Ok(())
}

/// Lets an agent begin whom another party vouches for; it has no key of its own. Returns its epoch.
///
/// # Errors
/// The database fails.
pub async fn activate(tenant: &Tenant<'_>, id: AgentId) -> Result<i64, StoreError> {
    // Another epoch, so that data planes hear of it no later than of its first token.
    let sql = "update ah5.t_agents set status = 'active', epoch = epoch + 1,
               enrolled_at = coalesce(enrolled_at, now()), updated_at = now()
               where id = $1 and status = 'created' returning epoch";
    Ok(tenant.query_one(sql, &[&id.uuid()]).await?.get(0))
}

/// Ends every token of the agent. One that nothing vouches for any more has to begin anew.
///
/// # Errors
/// The database fails.
pub async fn end_tokens(tenant: &Tenant<'_>, id: AgentId) -> Result<(), StoreError> {
    let sql = "update ah5.t_agents a set epoch = epoch + 1, updated_at = now(),
               status = case when a.status = 'active' and a.public_key_jwk is null and not exists
                        (select 1 from ah5.t_agent_trusts t where t.agent_id = a.id)
                        then 'created' else a.status end
               where a.id = $1";
    tenant.execute(sql, &[&id.uuid()]).await?;
    Ok(())
}

/// # Errors
/// The database fails.
pub async fn delete(tenant: &Tenant<'_>, id: AgentId) -> Result<bool, StoreError> {
    Ok(tenant
        .execute("delete from ah5.t_agents where id = $1", &[&id.uuid()])
        .await?
        > 0)
}

/// The workspace of an agent, for callers who have only its id.
///
/// # Errors
/// The database fails.
pub async fn workspace_of(
    client: &impl GenericClient,
    id: AgentId,
) -> Result<Option<WorkspaceId>, StoreError> {
    let row = client
        .query_one("select ah5.agent_workspace($1)", &[&id.uuid()])
        .await?;
    Ok(row.get::<_, Option<_>>(0).map(WorkspaceId::from_uuid))
}

/// Ends every token of the agents in the workspaces that the user owns.
///
/// # Errors
/// The database fails.
pub async fn raise_epochs_of_owner(
    client: &impl GenericClient,
    owner: UserId,
) -> Result<(), StoreError> {
    client
        .execute("select ah5.raise_epochs_of_owner($1)", &[&owner.uuid()])
        .await?;
    Ok(())
}

const COLUMNS: &str = "
    a.*, coalesce(u.name, '') as owner_name,
    case when m.user_id is null then 'left' when u.disabled_at is not null then 'disabled'
         else 'active' end as owner_status";
const OWNER: &str = "
    left join ah5.t_users u on u.id = a.owner_id
    left join ah5.t_workspace_members m
        on m.workspace_id = a.workspace_id and m.user_id = a.owner_id";

fn read(row: &Row) -> Agent {
    let owner: Option<uuid::Uuid> = row.get("owner_id");
    Agent {
        id: AgentId::from_uuid(row.get("id")),
        name: row.get("name"),
        description: row.get("description"),
        icon_url: row.get("icon_url"),
        status: row.get("status"),
        public_key_jwk: row.get("public_key_jwk"),
        epoch: row.get("epoch"),
        enrolled_at: row.get("enrolled_at"),
        created_at: row.get("created_at"),
        updated_at: row.get("updated_at"),
        require_dpop: row.get("require_dpop"),
        owner: owner.map(|id| Owner {
            id: UserId::from_uuid(id),
            name: row.get("owner_name"),
            status: row.get("owner_status"),
        }),
    }
}
