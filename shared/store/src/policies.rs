//! `t_policies`: which agent may do what with which connection.

use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::Row;

use ah5_contracts::id::{AgentId, ConnectionId, PolicyId};

use crate::StoreError;
use crate::tenant::Tenant;

pub struct Policy {
    pub id: PolicyId,
    pub agent: AgentId,
    pub connection: ConnectionId,
    pub connection_label: String,
    pub connection_provider: String,
    pub connection_service: String,
    pub connection_scopes: Vec<String>,
    pub status: String,
    pub allowed_models: Vec<String>,
    pub default_mode: String,
    pub step_up_approval: String,
    pub security_preset: Option<String>,
    pub acknowledged_unfiltered: bool,
    pub audit: String,
    pub action_template: Option<String>,
    pub allowlists: Value,
    pub rate_limits: Option<Value>,
    pub time_windows: Value,
    pub rules: Value,
    pub provider_constraints: Option<Value>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A policy and how its connection is doing.
pub struct InUse {
    pub policy: Policy,
    pub connection_status: String,
}

/// The settable part of a policy.
#[derive(Clone, Copy)]
pub struct Settings<'a> {
    pub allowed_models: &'a [String],
    pub default_mode: &'a str,
    pub step_up_approval: &'a str,
    pub security_preset: Option<&'a str>,
    /// Its author knows that nothing else in it binds a token that is handed out.
    pub acknowledged_unfiltered: bool,
    /// `best_effort` or `required`.
    pub audit: &'a str,
    pub action_template: Option<&'a str>,
    pub allowlists: &'a Value,
    pub rate_limits: Option<&'a Value>,
    /// `None` is none at all, as with the rules.
    pub time_windows: Option<&'a Value>,
    pub rules: Option<&'a Value>,
    pub provider_constraints: Option<&'a Value>,
}

// === impl Settings ===

impl Default for Settings<'_> {
    fn default() -> Self {
        Self {
            allowed_models: &[],
            default_mode: "read_only",
            step_up_approval: "risk_based",
            security_preset: None,
            acknowledged_unfiltered: false,
            audit: "best_effort",
            action_template: None,
            allowlists: &NONE,
            rate_limits: None,
            time_windows: None,
            rules: None,
            provider_constraints: None,
        }
    }
}

/// # Errors
/// The database fails.
pub async fn insert(
    tenant: &Tenant<'_>,
    id: PolicyId,
    agent: AgentId,
    connection: ConnectionId,
    settings: &Settings<'_>,
) -> Result<(), StoreError> {
    let sql = "insert into ah5.t_policies (id, workspace_id, agent_id, connection_id,
                   allowed_models, default_mode, step_up_approval, security_preset, allowlists,
                   rate_limits, time_windows, rules, provider_constraints, action_template_id,
                   acknowledged_unfiltered, audit)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, coalesce($11::jsonb, '[]'),
                   coalesce($12::jsonb, '{\"request\":[],\"response\":[]}'), $13, $14, $15, $16)";
    let (agent, connection, workspace) =
        (agent.uuid(), connection.uuid(), tenant.workspace().uuid());
    tenant
        .execute(
            sql,
            &[
                &id.uuid(),
                &workspace,
                &agent,
                &connection,
                &settings.allowed_models,
                &settings.default_mode,
                &settings.step_up_approval,
                &settings.security_preset,
                settings.allowlists,
                &settings.rate_limits,
                &settings.time_windows,
                &settings.rules,
                &settings.provider_constraints,
                &settings.action_template,
                &settings.acknowledged_unfiltered,
                &settings.audit,
            ],
        )
        .await?;
    Ok(())
}

/// # Errors
/// The database fails.
pub async fn update(
    tenant: &Tenant<'_>,
    id: PolicyId,
    settings: &Settings<'_>,
) -> Result<(), StoreError> {
    let sql = "update ah5.t_policies set allowed_models = $2, default_mode = $3,
                   step_up_approval = $4, security_preset = $5, allowlists = $6,
                   rate_limits = $7, time_windows = coalesce($8::jsonb, '[]'),
                   rules = coalesce($9::jsonb, '{\"request\":[],\"response\":[]}'),
                   provider_constraints = $10, action_template_id = $11,
                   acknowledged_unfiltered = $12, audit = $13, version = version + 1, updated_at = now()
               where id = $1";
    tenant
        .execute(
            sql,
            &[
                &id.uuid(),
                &settings.allowed_models,
                &settings.default_mode,
                &settings.step_up_approval,
                &settings.security_preset,
                settings.allowlists,
                &settings.rate_limits,
                &settings.time_windows,
                &settings.rules,
                &settings.provider_constraints,
                &settings.action_template,
                &settings.acknowledged_unfiltered,
                &settings.audit,
            ],
        )
        .await?;
    Ok(())
}

/// The active policies of the workspace, oldest first.
///
/// # Errors
/// The database fails.
pub async fn list(tenant: &Tenant<'_>) -> Result<Vec<Policy>, StoreError> {
    let sql = format!("{SELECT} where p.status = 'active' order by p.created_at, p.id");
    Ok(tenant.query(&sql, &[]).await?.iter().map(read).collect())
}

/// The policy, locked until the transaction ends.
///
/// # Errors
/// The database fails.
pub async fn lock(tenant: &Tenant<'_>, id: PolicyId) -> Result<Option<Policy>, StoreError> {
    let sql = format!("{SELECT} where p.id = $1 for no key update of p");
    Ok(tenant
        .query_opt(&sql, &[&id.uuid()])
        .await?
        .as_ref()
        .map(read))
}

/// What an agent may use: its active policies whose connections are not revoked, oldest first.
///
/// # Errors
/// The database fails.
pub async fn in_use(tenant: &Tenant<'_>, agent: AgentId) -> Result<Vec<InUse>, StoreError> {
    let sql = format!(
        "{SELECT} where p.agent_id = $1 and p.status = 'active' and c.status <> 'revoked'
         order by p.created_at, p.id"
    );
    let rows = tenant.query(&sql, &[&agent.uuid()]).await?;
    let used = |row: &Row| InUse {
        policy: read(row),
        connection_status: row.get("connection_status"),
    };
    Ok(rows.iter().map(used).collect())
}

/// The template that the connection's newest policy was made from, if any was.
///
/// # Errors
/// The database fails.
pub async fn template_of_connection(
    tenant: &Tenant<'_>,
    connection: ConnectionId,
) -> Result<Option<String>, StoreError> {
    let sql = "select action_template_id from ah5.t_policies
               where connection_id = $1 and action_template_id is not null
               order by created_at desc, id limit 1";
    let row = tenant.query_opt(sql, &[&connection.uuid()]).await?;
    Ok(row.map(|row| row.get(0)))
}

/// # Errors
/// The database fails.
pub async fn delete(tenant: &Tenant<'_>, id: PolicyId) -> Result<(), StoreError> {
    tenant
        .execute("delete from ah5.t_policies where id = $1", &[&id.uuid()])
        .await?;
    Ok(())
}

pub(crate) async fn revoke_of_connection(
    tenant: &Tenant<'_>,
    connection: uuid::Uuid,
) -> Result<(), StoreError> {
    let sql = "update ah5.t_policies set status = 'revoked', version = version + 1,
               updated_at = now() where connection_id = $1";
    tenant.execute(sql, &[&connection]).await?;
    Ok(())
}

static NONE: Value = Value::Array(Vec::new());
const SELECT: &str = "
    select p.*, c.label as connection_label, c.provider as connection_provider,
           c.service as connection_service, c.status as connection_status,
           c.granted_scopes as connection_scopes
    from ah5.t_policies p
    join ah5.t_connections c on c.id = p.connection_id and c.workspace_id = p.workspace_id";

fn read(row: &Row) -> Policy {
    Policy {
        id: PolicyId::from_uuid(row.get("id")),
        agent: AgentId::from_uuid(row.get("agent_id")),
        connection: ConnectionId::from_uuid(row.get("connection_id")),
        connection_label: row.get("connection_label"),
        connection_provider: row.get("connection_provider"),
        connection_service: row.get("connection_service"),
        connection_scopes: row.get("connection_scopes"),
        status: row.get("status"),
        allowed_models: row.get("allowed_models"),
        default_mode: row.get("default_mode"),
        step_up_approval: row.get("step_up_approval"),
        security_preset: row.get("security_preset"),
        acknowledged_unfiltered: row.get("acknowledged_unfiltered"),
        audit: row.get("audit"),
        action_template: row.get("action_template_id"),
        allowlists: row.get("allowlists"),
        rate_limits: row.get("rate_limits"),
        time_windows: row.get("time_windows"),
        rules: row.get("rules"),
        provider_constraints: row.get("provider_constraints"),
        created_at: row.get("created_at"),
        updated_at: row.get("updated_at"),
    }
}
