//! `t_agent_trusts`: whose word on a workload stands for an agent's own signature.

use jiff::Timestamp;
use tokio_postgres::Row;

use ah5_contracts::id::{AgentId, TrustId, UserId};

use crate::StoreError;
use crate::tenant::Tenant;

pub struct Trust {
    pub id: TrustId,
    pub issuer: String,
    pub subject: String,
    /// Where the issuer's keys are, if not where it says itself.
    pub jwks_uri: Option<String>,
    pub created_by: UserId,
    pub created_at: Timestamp,
}

/// What is trusted.
pub struct New<'a> {
    pub issuer: &'a str,
    pub subject: &'a str,
    pub jwks_uri: Option<&'a str>,
    pub by: UserId,
}

/// The constraint by which a workload is named once an agent.
pub const ONCE: &str = "t_agent_trusts_agent_id_issuer_subject_key";

/// # Errors
/// `Conflict` with [`ONCE`] if the agent has it already.
pub async fn insert(
    tenant: &Tenant<'_>,
    agent: AgentId,
    new: &New<'_>,
) -> Result<Trust, StoreError> {
    let sql = "insert into ah5.t_agent_trusts
                   (id, workspace_id, agent_id, issuer, subject, jwks_uri, created_by)
               values ($1, $2, $3, $4, $5, $6, $7) returning *";
    let (id, workspace) = (TrustId::random().uuid(), tenant.workspace().uuid());
    let (agent, by) = (agent.uuid(), new.by.uuid());
    let row = tenant
        .query_one(
            sql,
            &[
                &id,
                &workspace,
                &agent,
                &new.issuer,
                &new.subject,
                &new.jwks_uri,
                &by,
            ],
        )
        .await?;
    Ok(read(&row))
}

/// # Errors
/// The database fails.
pub async fn list(tenant: &Tenant<'_>, agent: AgentId) -> Result<Vec<Trust>, StoreError> {
    let sql = "select * from ah5.t_agent_trusts where agent_id = $1 order by created_at, id";
    let rows = tenant.query(sql, &[&agent.uuid()]).await?;
    Ok(rows.iter().map(read).collect())
}

/// The one of exactly this issuer and subject.
///
/// # Errors
/// The database fails.
pub async fn find(
    tenant: &Tenant<'_>,
    agent: AgentId,
    issuer: &str,
    subject: &str,
) -> Result<Option<Trust>, StoreError> {
    let sql = "select * from ah5.t_agent_trusts
               where agent_id = $1 and issuer = $2 and subject = $3";
    let row = tenant
        .query_opt(sql, &[&agent.uuid(), &issuer, &subject])
        .await?;
    Ok(row.as_ref().map(read))
}

/// # Errors
/// The database fails.
pub async fn delete(
    tenant: &Tenant<'_>,
    agent: AgentId,
    id: TrustId,
) -> Result<Option<Trust>, StoreError> {
    let sql = "delete from ah5.t_agent_trusts where agent_id = $1 and id = $2 returning *";
    let row = tenant.query_opt(sql, &[&agent.uuid(), &id.uuid()]).await?;
    Ok(row.as_ref().map(read))
}

fn read(row: &Row) -> Trust {
    Trust {
        id: TrustId::from_uuid(row.get("id")),
        issuer: row.get("issuer"),
        subject: row.get("subject"),
        jwks_uri: row.get("jwks_uri"),
        created_by: UserId::from_uuid(row.get("created_by")),
        created_at: row.get("created_at"),
    }
}
