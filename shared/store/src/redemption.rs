//! Approvals as a data plane uses them, by functions only: asks for one, reads what was granted,
//! claims it for one sending, and says how that ended.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use tokio_postgres::Row;

use ah5_contracts::id::{
    AgentId, ApprovalId, BootId, ClaimId, ConnectionId, PolicyId, WorkspaceId,
};

use crate::StoreError;

/// What a person is asked.
pub struct Question<'a> {
    pub id: ApprovalId,
    pub workspace: WorkspaceId,
    pub agent: AgentId,
    pub connection: ConnectionId,
    pub actor: &'a str,
    /// Id, version, and digest of its content.
    pub policy: Option<(PolicyId, i64, [u8; 32])>,
    pub rule: &'a str,
    pub rule_label: Option<&'a str>,
    pub reason: &'a str,
    pub method: &'a str,
    /// Without its query.
    pub url: &'a str,
    pub digest: &'a [u8; 32],
    pub grants: Grants,
    pub good_for: GoodFor,
    pub sealed: &'a [u8],
    pub seconds: i32,
    pub most_pending: i32,
}

/// What an approval is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoodFor {
    Call,
    /// One call of a conversation with a language model, which may have gone on since.
    Conversation(Conversation),
    /// A policy's limit, for as long as it lasts; it is never redeemed.
    Limit(Limit),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// How many items come first and unchanged.
    pub items: i32,
    /// Of these, and of everything else that is held fast.
    pub digest: [u8; 32],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// As it is stored: `requests_hour`, `tokens_hour` and so on.
    pub name: &'static str,
    pub most: i64,
    pub used: Option<i64>,
}

/// What people have said of a limit.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    pub id: ApprovalId,
    pub said: Said,
    pub expires_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    Approved,
    Denied,
    /// Nothing yet.
    Pending,
}

/// What an approval grants beyond the call itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grants {
    pub pii_bypass: bool,
    pub full_fields: bool,
}

/// A question that waits for its answer.
pub struct Asked {
    pub id: ApprovalId,
    pub expires_at: Timestamp,
    /// Not one that was pending already.
    pub is_new: bool,
}

pub struct Granted {
    pub connection: ConnectionId,
    pub method: String,
    pub url: String,
    pub digest: [u8; 32],
    pub grants: Grants,
    pub status: String,
    pub is_overdue: bool,
    /// It lifts a limit, and is no approval of any call.
    pub is_limit: bool,
    pub conversation: Option<Conversation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Consumed,
    Unknown,
}

/// `None` where the agent has too many pending.
///
/// # Errors
/// The database fails.
pub async fn ask(
    client: &impl GenericClient,
    question: &Question<'_>,
) -> Result<Option<Asked>, StoreError> {
    let sql = "select id, expires_at, fresh from ah5.create_approval(
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
        $21, $22, $23, $24, $25)";
    let policy = question.policy.as_ref();
    let (kind, conversation, limit) = match &question.good_for {
        GoodFor::Call => ("call", None, None),
        GoodFor::Conversation(conversation) => ("conversation", Some(conversation), None),
        GoodFor::Limit(limit) => ("limit", None, Some(limit)),
    };
    let row = client
        .query_opt(
            sql,
            &[
                &question.workspace.uuid(),
                &question.id.uuid(),
                &question.agent.uuid(),
                &question.connection.uuid(),
                &question.actor,
                &policy.map(|(id, ..)| id.uuid()),
                &policy.map(|(_, version, _)| *version),
                &policy.map(|(.., hash)| hash.as_slice()),
                &question.rule,
                &question.rule_label,
                &question.reason,
                &question.method,
                &question.url,
                &question.digest.as_slice(),
                &question.grants.pii_bypass,
                &question.grants.full_fields,
                &question.sealed,
                &question.seconds,
                &question.most_pending,
                &kind,
                &conversation.map(|conversation| conversation.items),
                &conversation.map(|conversation| conversation.digest.as_slice()),
                &limit.map(|limit| limit.name),
                &limit.map(|limit| limit.most),
                &limit.and_then(|limit| limit.used),
            ],
        )
        .await?;
    Ok(row.map(|row| Asked {
        id: ApprovalId::from_uuid(row.get(0)),
        expires_at: row.get(1),
        is_new: row.get(2),
    }))
}

/// # Errors
/// The database fails.
pub async fn find(
    client: &impl GenericClient,
    workspace: WorkspaceId,
    id: ApprovalId,
    agent: AgentId,
) -> Result<Option<Granted>, StoreError> {
    let sql =
        "select connection_id, method, url, digest, pii_bypass, full_fields, status, overdue, kind,
                   items, conversation
               from ah5.find_approval($1, $2, $3)";
    let row = client
        .query_opt(sql, &[&workspace.uuid(), &id.uuid(), &agent.uuid()])
        .await?;
    let malformed = || StoreError::Bug("a digest of another length".to_owned());
    let granted = |row: Row| {
        let digest: &[u8] = row.get(3);
        Ok(Granted {
            connection: ConnectionId::from_uuid(row.get(0)),
            method: row.get(1),
            url: row.get(2),
            digest: digest.try_into().map_err(|_| malformed())?,
            grants: Grants {
                pii_bypass: row.get(4),
                full_fields: row.get(5),
            },
            status: row.get(6),
            is_overdue: row.get(7),
            is_limit: row.get::<_, &str>(8) == "limit",
            conversation: conversation(row.get(9), row.get(10)),
        })
    };
    row.map(granted).transpose()
}

/// What people have said of one of a policy's limits as it is, if that holds now.
///
/// # Errors
/// The database fails.
pub async fn find_word(
    client: &impl GenericClient,
    workspace: WorkspaceId,
    policy: PolicyId,
    (limit, most): (&str, i64),
) -> Result<Option<Word>, StoreError> {
    let sql = "select id, status, expires_at from ah5.find_limit_approval($1, $2, $3, $4)";
    let row = client
        .query_opt(sql, &[&workspace.uuid(), &policy.uuid(), &limit, &most])
        .await?;
    Ok(row.map(|row| Word {
        id: ApprovalId::from_uuid(row.get(0)),
        said: match row.get(1) {
            "approved" => Said::Approved,
            "pending" => Said::Pending,
            // What this build doesn't know is no yes.
            _ => Said::Denied,
        },
        expires_at: row.get(2),
    }))
}

fn conversation(items: Option<i32>, digest: Option<&[u8]>) -> Option<Conversation> {
    Some(Conversation {
        items: items?,
        digest: digest?.try_into().ok()?,
    })
}

/// Says whether the claim is ours. A failure says nothing: [`holds`] does.
///
/// # Errors
/// The database fails.
pub async fn claim(
    client: &impl GenericClient,
    workspace: WorkspaceId,
    id: ApprovalId,
    digest: &[u8; 32],
    claim: ClaimId,
    boot: BootId,
) -> Result<bool, StoreError> {
    let sql = "select ah5.claim_approval($1, $2, $3, $4, $5)";
    let row = client
        .query_one(
            sql,
            &[
                &workspace.uuid(),
                &id.uuid(),
                &digest.as_slice(),
                &claim.uuid(),
                &boot.uuid(),
            ],
        )
        .await?;
    Ok(row.get(0))
}

/// # Errors
/// The database fails.
pub async fn holds(client: &impl GenericClient, claim: ClaimId) -> Result<bool, StoreError> {
    let sql = "select ah5.holds_claim($1)";
    Ok(client.query_one(sql, &[&claim.uuid()]).await?.get(0))
}

/// # Errors
/// The database fails.
pub async fn release(client: &impl GenericClient, claim: ClaimId) -> Result<bool, StoreError> {
    let sql = "select ah5.release_approval($1)";
    Ok(client.query_one(sql, &[&claim.uuid()]).await?.get(0))
}

/// # Errors
/// The database fails.
pub async fn finish(
    client: &impl GenericClient,
    claim: ClaimId,
    ended: Ended,
) -> Result<bool, StoreError> {
    let sql = "select ah5.finish_approval($1, $2)";
    let outcome = match ended {
        Ended::Consumed => "consumed",
        Ended::Unknown => "outcome_unknown",
    };
    let row = client.query_one(sql, &[&claim.uuid(), &outcome]).await?;
    Ok(row.get(0))
}
