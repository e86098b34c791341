//! What is ended after the database was restored from a backup, so that nothing which was revoked or
//! used since then is good again.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;

use crate::StoreError;

/// How many of each were ended.
#[derive(Debug)]
pub struct Ended {
    pub agents: i64,
    pub sessions: i64,
    pub personal_tokens: i64,
    pub approvals: i64,
    pub unknown_outcomes: i64,
    pub bootstrap_secrets: i64,
    pub invitations: i64,
    pub links: i64,
    pub letters: i64,
    /// Of the audit log: about when the backup was made.
    pub newest_row: Option<Timestamp>,
}

/// In a transaction with whatever else a restore ends. Takes as long as it takes.
///
/// # Errors
/// The database fails.
pub async fn end_what_came_back(client: &impl GenericClient) -> Result<Ended, StoreError> {
    client
        .batch_execute("set local statement_timeout = 0")
        .await?;
    let row = client
        .query_one("select * from ah5.after_restore()", &[])
        .await?;
    Ok(Ended {
        agents: row.get("agents"),
        sessions: row.get("sessions"),
        personal_tokens: row.get("personal_tokens"),
        approvals: row.get("approvals"),
        unknown_outcomes: row.get("unknown_outcomes"),
        bootstrap_secrets: row.get("bootstrap_secrets"),
        invitations: row.get("invitations"),
        links: row.get("links"),
        letters: row.get("letters"),
        newest_row: row.get("newest_row"),
    })
}
