//! `t_mail_proofs`: mailed links, by their hashes. Each works once.

use deadpool_postgres::GenericClient;

use ah5_contracts::id::UserId;

use crate::StoreError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Reset,
    Verify,
}

/// What a link proves: its bearer reads the mail of this address.
#[derive(Debug)]
pub struct Proof {
    pub user: UserId,
    pub email: String,
}

// === impl Purpose ===

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Verify => "verify",
        }
    }
}

/// # Errors
/// The database fails.
pub async fn insert(
    client: &impl GenericClient,
    token_hash: &[u8],
    purpose: Purpose,
    proof: &Proof,
    life_minutes: i32,
) -> Result<(), StoreError> {
    let sql = "insert into ah5.t_mail_proofs (token_hash, user_id, purpose, email, expires_at)
               values ($1, $2, $3, $4, now() + make_interval(mins => $5))";
    let (user, purpose) = (proof.user.uuid(), purpose.as_str());
    client
        .execute(
            sql,
            &[&token_hash, &user, &purpose, &proof.email, &life_minutes],
        )
        .await?;
    Ok(())
}

/// What the link proves, without using it.
///
/// # Errors
/// The database fails.
pub async fn peek(
    client: &impl GenericClient,
    token_hash: &[u8],
    purpose: Purpose,
) -> Result<Option<Proof>, StoreError> {
    let sql = "select user_id, email from ah5.t_mail_proofs
               where token_hash = $1 and purpose = $2 and expires_at > now()";
    let row = client
        .query_opt(sql, &[&token_hash, &purpose.as_str()])
        .await?;
    Ok(row.map(read))
}

/// Uses the link; of several at once one gets the proof.
///
/// # Errors
/// The database fails.
pub async fn spend(
    client: &impl GenericClient,
    token_hash: &[u8],
    purpose: Purpose,
) -> Result<Option<Proof>, StoreError> {
    let sql = "delete from ah5.t_mail_proofs
               where token_hash = $1 and purpose = $2 and expires_at > now()
               returning user_id, email";
    let row = client
        .query_opt(sql, &[&token_hash, &purpose.as_str()])
        .await?;
    Ok(row.map(read))
}

/// Voids every other link of the user.
///
/// # Errors
/// The database fails.
pub async fn void(client: &impl GenericClient, user: UserId) -> Result<(), StoreError> {
    let sql = "delete from ah5.t_mail_proofs where user_id = $1";
    client.execute(sql, &[&user.uuid()]).await?;
    Ok(())
}

/// # Errors
/// The database fails.
pub async fn prune(client: &impl GenericClient) -> Result<(), StoreError> {
    let sql = "delete from ah5.t_mail_proofs where expires_at < now()";
    client.execute(sql, &[]).await?;
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "what query_opt gives")]
fn read(row: tokio_postgres::Row) -> Proof {
    Proof {
        user: UserId::from_uuid(row.get(0)),
        email: row.get(1),
    }
}
