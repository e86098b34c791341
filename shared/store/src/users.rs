//! `t_users`: people.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use tokio_postgres::Row;

use ah5_contracts::id::UserId;

use crate::{StoreError, accounts};

pub struct User {
    pub id: UserId,
    pub email: String,
    pub name: String,
    pub image: Option<String>,
    /// `pending`, `assumed` or `proven`.
    pub email_verification: String,
    pub disabled: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

pub struct NewUser<'a> {
    pub id: UserId,
    pub email: &'a str,
    pub name: &'a str,
    pub email_verification: &'a str,
    /// None for who signs in elsewhere.
    pub password_hash: Option<&'a str>,
}

/// # Errors
/// `Conflict("t_users_email_key")` if the address is taken.
pub async fn insert(client: &impl GenericClient, user: &NewUser<'_>) -> Result<User, StoreError> {
    let sql = format!(
        "insert into ah5.t_users (id, email, name, email_verification) values ($1, $2, $3, $4)
         returning {COLUMNS}"
    );
    let id = user.id.uuid();
    let row = client
        .query_one(
            &sql,
            &[&id, &user.email, &user.name, &user.email_verification],
        )
        .await?;
    if let Some(password_hash) = user.password_hash {
        accounts::set_password(client, user.id, password_hash).await?;
    }
    Ok(read(&row))
}

/// # Errors
/// The database fails.
pub async fn get(client: &impl GenericClient, id: UserId) -> Result<Option<User>, StoreError> {
    let sql = format!("select {COLUMNS} from ah5.t_users where id = $1");
    let row = client.query_opt(&sql, &[&id.uuid()]).await?;
    Ok(row.as_ref().map(read))
}

/// Notes that the user reads the mail of this address; false if it is no longer his.
///
/// # Errors
/// The database fails.
pub async fn prove_email(
    client: &impl GenericClient,
    id: UserId,
    email: &str,
) -> Result<bool, StoreError> {
    let sql = "update ah5.t_users set email_verification = 'proven', updated_at = now()
               where id = $1 and email = $2 and disabled_at is null";
    Ok(client.execute(sql, &[&id.uuid(), &email]).await? == 1)
}

/// Somebody, and what they can sign in with.
pub struct Listed {
    pub user: User,
    pub has_password: bool,
    pub passkeys: i64,
}

/// Everybody, by address.
///
/// # Errors
/// The database fails.
pub async fn list(client: &impl GenericClient) -> Result<Vec<Listed>, StoreError> {
    let sql = format!(
        "select {COLUMNS},
            exists (select from ah5.t_accounts a
                where a.user_id = t_users.id and a.provider_id = 'credential') as has_password,
            (select count(*) from ah5.t_passkeys p where p.user_id = t_users.id) as passkeys
         from ah5.t_users order by email"
    );
    let rows = client.query(&sql, &[]).await?;
    let listed = |row: &Row| Listed {
        user: read(row),
        has_password: row.get("has_password"),
        passkeys: row.get("passkeys"),
    };
    Ok(rows.iter().map(listed).collect())
}

/// Keeps the user out, or lets him in again; false if that is how it was.
///
/// # Errors
/// The database fails.
pub async fn set_disabled(
    client: &impl GenericClient,
    id: UserId,
    disabled: bool,
) -> Result<bool, StoreError> {
    let sql = "update ah5.t_users
               set disabled_at = case when $2 then now() end, updated_at = now()
               where id = $1 and (disabled_at is not null) <> $2";
    Ok(client.execute(sql, &[&id.uuid(), &disabled]).await? == 1)
}

/// Stores those that are given; an empty image takes it away.
///
/// # Errors
/// The database fails.
pub async fn update(
    client: &impl GenericClient,
    id: UserId,
    name: Option<&str>,
    image: Option<&str>,
) -> Result<(), StoreError> {
    let sql = "update ah5.t_users set name = coalesce($2, name),
                   image = nullif(coalesce($3, image), ''), updated_at = now()
               where id = $1";
    client.execute(sql, &[&id.uuid(), &name, &image]).await?;
    Ok(())
}

/// The user of this address and his password's hash.
///
/// # Errors
/// The database fails.
pub async fn by_email(
    client: &impl GenericClient,
    email: &str,
) -> Result<Option<(User, Option<String>)>, StoreError> {
    let sql = format!(
        "select {COLUMNS}, (select password_hash from ah5.t_accounts a
            where a.user_id = t_users.id and a.provider_id = 'credential') as password_hash
         from ah5.t_users where email = $1"
    );
    let row = client.query_opt(&sql, &[&email]).await?;
    Ok(row.map(|row| (read(&row), row.get("password_hash"))))
}

/// How somebody is called: by name, or else by address.
///
/// # Errors
/// The database fails.
pub async fn name(client: &impl GenericClient, user: UserId) -> Result<Option<String>, StoreError> {
    let sql = "select coalesce(nullif(trim(name), ''), email) from ah5.t_users where id = $1";
    let row = client.query_opt(sql, &[&user.uuid()]).await?;
    Ok(row.map(|row| row.get(0)))
}

/// The user's address, if it was proven by mail that it is theirs.
///
/// # Errors
/// The database fails.
pub async fn proven_email(
    client: &impl GenericClient,
    user: UserId,
) -> Result<Option<String>, StoreError> {
    let sql = "select email from ah5.t_users where id = $1 and email_verification = 'proven'";
    let row = client.query_opt(sql, &[&user.uuid()]).await?;
    Ok(row.map(|row| row.get(0)))
}

const COLUMNS: &str =
    "id, email, name, image, email_verification, disabled_at, created_at, updated_at";

fn read(row: &Row) -> User {
    User {
        id: UserId::from_uuid(row.get("id")),
        email: row.get("email"),
        name: row.get("name"),
        image: row.get("image"),
        email_verification: row.get("email_verification"),
        disabled: row.get::<_, Option<Timestamp>>("disabled_at").is_some(),
        created_at: row.get("created_at"),
        updated_at: row.get("updated_at"),
    }
}
