//! `t_passkeys`: the public halves of people's passkeys.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::Row;

use ah5_contracts::id::{PasskeyId, UserId};

use crate::StoreError;

/// Passkeys a person may have.
pub const MAX_PER_USER: i64 = 20;

pub struct Passkey {
    pub id: PasskeyId,
    pub user: UserId,
    pub name: String,
    pub credential_id: Vec<u8>,
    pub credential: Value,
    pub counter: i64,
    pub transports: Vec<String>,
    pub last_used_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

pub struct NewPasskey<'a> {
    pub id: PasskeyId,
    pub user: UserId,
    pub name: &'a str,
    pub credential_id: &'a [u8],
    pub credential: &'a Value,
    pub transports: &'a [String],
}

/// `None` if the person has too many already.
///
/// # Errors
/// `Conflict("t_passkeys_credential_id_key")` if anybody has registered it before.
pub async fn insert(
    client: &impl GenericClient,
    new: &NewPasskey<'_>,
) -> Result<Option<Passkey>, StoreError> {
    let sql = format!(
        "insert into ah5.t_passkeys (id, user_id, name, credential_id, credential, transports)
         select $1, $2, $3, $4, $5, $6
         where (select count(*) from ah5.t_passkeys where user_id = $2) < $7
         returning {COLUMNS}"
    );
    let row = client
        .query_opt(
            &sql,
            &[
                &new.id.uuid(),
                &new.user.uuid(),
                &new.name,
                &new.credential_id,
                new.credential,
                &new.transports,
                &MAX_PER_USER,
            ],
        )
        .await?;
    Ok(row.as_ref().map(read))
}

/// The user's passkeys, oldest first.
///
/// # Errors
/// The database fails.
pub async fn of_user(
    client: &impl GenericClient,
    user: UserId,
) -> Result<Vec<Passkey>, StoreError> {
    let sql =
        format!("select {COLUMNS} from ah5.t_passkeys where user_id = $1 order by created_at, id");
    let rows = client.query(&sql, &[&user.uuid()]).await?;
    Ok(rows.iter().map(read).collect())
}

/// # Errors
/// The database fails.
pub async fn by_credential_id(
    client: &impl GenericClient,
    credential_id: &[u8],
) -> Result<Option<Passkey>, StoreError> {
    let sql = format!("select {COLUMNS} from ah5.t_passkeys where credential_id = $1");
    let row = client.query_opt(&sql, &[&credential_id]).await?;
    Ok(row.as_ref().map(read))
}

/// The ids of the passkeys of whoever has this address, if anybody has.
///
/// # Errors
/// The database fails.
pub async fn ids_by_email(
    client: &impl GenericClient,
    email: &str,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let sql = "select p.credential_id from ah5.t_passkeys p join ah5.t_users u on u.id = p.user_id
               where u.email = $1";
    let rows = client.query(sql, &[&email]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Notes a use; false if the counter did not move on, or another use was quicker.
///
/// # Errors
/// The database fails.
pub async fn used(
    client: &impl GenericClient,
    id: PasskeyId,
    credential: &Value,
    counter: i64,
) -> Result<bool, StoreError> {
    let sql = "update ah5.t_passkeys set credential = $2, counter = $3, last_used_at = now()
               where id = $1 and (counter < $3 or (counter = 0 and $3 = 0))";
    let moved = client
        .execute(sql, &[&id.uuid(), credential, &counter])
        .await?;
    Ok(moved == 1)
}

/// # Errors
/// The database fails.
pub async fn rename(
    client: &impl GenericClient,
    user: UserId,
    id: PasskeyId,
    name: &str,
) -> Result<Option<Passkey>, StoreError> {
    let sql = format!(
        "update ah5.t_passkeys set name = $3 where id = $1 and user_id = $2 returning {COLUMNS}"
    );
    let row = client
        .query_opt(&sql, &[&id.uuid(), &user.uuid(), &name])
        .await?;
    Ok(row.as_ref().map(read))
}

/// The passkey that is now gone, if it was the user's.
///
/// # Errors
/// The database fails.
pub async fn delete(
    client: &impl GenericClient,
    user: UserId,
    id: PasskeyId,
) -> Result<Option<Passkey>, StoreError> {
    let sql =
        format!("delete from ah5.t_passkeys where id = $1 and user_id = $2 returning {COLUMNS}");
    let row = client.query_opt(&sql, &[&id.uuid(), &user.uuid()]).await?;
    Ok(row.as_ref().map(read))
}

/// All of the user's passkeys, which are now gone.
///
/// # Errors
/// The database fails.
pub async fn delete_all(
    client: &impl GenericClient,
    user: UserId,
) -> Result<Vec<Passkey>, StoreError> {
    let sql = format!("delete from ah5.t_passkeys where user_id = $1 returning {COLUMNS}");
    let rows = client.query(&sql, &[&user.uuid()]).await?;
    Ok(rows.iter().map(read).collect())
}

const COLUMNS: &str = "id, user_id, name, credential_id, credential, counter, transports,
                       last_used_at, created_at";

fn read(row: &Row) -> Passkey {
    Passkey {
        id: PasskeyId::from_uuid(row.get(0)),
        user: UserId::from_uuid(row.get(1)),
        name: row.get(2),
        credential_id: row.get(3),
        credential: row.get(4),
        counter: row.get(5),
        transports: row.get(6),
        last_used_at: row.get(7),
        created_at: row.get(8),
    }
}
