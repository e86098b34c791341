//! Brings the schema to this build's version and the two roles to exactly the rights that
//! `migrations/grants.tsv` lists. Run by `control-plane migrate`, never by a data plane.

use tokio_postgres::Client;

use ah5_security::secret::SecretText;

use crate::StoreError;
use crate::database::Database;

mod embedded {
    refinery::embed_migrations!("../../migrations");
}

const GRANTS: &str = include_str!("../../../migrations/grants.tsv");
const MIN_SERVER: i32 = 150_000;
const LOCK: i64 = 0x6168_3569_6d69_6772;

/// Passwords of the two login users. Without one the user keeps the password it has.
#[derive(Default)]
pub struct Passwords {
    pub control: Option<SecretText>,
    pub data: Option<SecretText>,
}

#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("a migration failed: {0}")]
    Failed(String),
    #[error(
        "this database user may not create roles. Let a superuser run:\n  \
         create role ah5_control nologin; create role ah5_data nologin;\n  \
         create role ah5_control_login login in role ah5_control; \
         create role ah5_data_login login in role ah5_data;\n\
         and start again"
    )]
    MayNotCreateRoles,
    #[error(
        "the database's schema (version {found}) is newer than this build (version {}): use the newer build",
        schema()
    )]
    NewerSchema { found: u32 },
    #[error(
        "the database's schema (version {found}) is older than this build (version {}): run `control-plane migrate`",
        schema()
    )]
    OlderSchema { found: u32 },
    #[error("PostgreSQL {found} is too old: version 15 or newer is needed")]
    OldServer { found: String },
    #[error("the server is a standby (in recovery): connect to the primary")]
    Standby,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The schema's version that this build is made for.
#[must_use]
pub fn schema() -> u32 {
    let runner = embedded::migrations::runner();
    let versions = runner
        .get_migrations()
        .iter()
        .map(|migration| migration.version());
    versions.max().map_or(0, |version| version.unsigned_abs())
}

/// Applies what is missing; safe to run at any time, by any number at once.
///
/// # Errors
/// See [`MigrateError`]; each message is a sentence for the operator.
pub async fn run(database: &Database, passwords: &Passwords) -> Result<u32, MigrateError> {
    let (mut client, _driver) = database.connect().await?;
    check_server(&client).await?;
    // Held until this connection ends: refinery itself takes no lock.
    exec(&client, &format!("select pg_advisory_lock({LOCK})")).await?;
    if let Some(found) = version(&client).await?
        && found > schema()
    {
        return Err(MigrateError::NewerSchema { found });
    }
    make_roles(&client, passwords).await?;
    exec(&client, "create schema if not exists ah5").await?;
    let mut runner = embedded::migrations::runner();
    runner.set_migration_table_name("ah5.schema_history");
    runner
        .run_async(&mut client)
        .await
        .map_err(|e| MigrateError::Failed(e.to_string()))?;
    apply_grants(&client).await?;
    Ok(schema())
}

/// Whether this build and the schema fit together.
///
/// # Errors
/// They don't, or the server won't do.
pub async fn check(client: &Client) -> Result<(), MigrateError> {
    check_server(client).await?;
    match version(client).await?.unwrap_or(0) {
        found if found < schema() => Err(MigrateError::OlderSchema { found }),
        found if found > schema() => Err(MigrateError::NewerSchema { found }),
        _ => Ok(()),
    }
}

async fn check_server(client: &Client) -> Result<(), MigrateError> {
    let sql =
        "select current_setting('server_version_num')::int, current_setting('server_version'),
                      pg_is_in_recovery()";
    let row = client.query_one(sql, &[]).await.map_err(StoreError::from)?;
    if row.get::<_, i32>(0) < MIN_SERVER {
        return Err(MigrateError::OldServer { found: row.get(1) });
    }
    if row.get(2) {
        Err(MigrateError::Standby)
    } else {
        Ok(())
    }
}

async fn version(client: &Client) -> Result<Option<u32>, MigrateError> {
    let exists = "select to_regclass('ah5.schema_history') is not null";
    if !client
        .query_one(exists, &[])
        .await
        .map_err(StoreError::from)?
        .get::<_, bool>(0)
    {
        return Ok(None);
    }
    let sql = "select coalesce(max(version), 0)::int from ah5.schema_history";
    let found: i32 = client
        .query_one(sql, &[])
        .await
        .map_err(StoreError::from)?
        .get(0);
    Ok(Some(found.unsigned_abs()))
}

async fn make_roles(client: &Client, passwords: &Passwords) -> Result<(), MigrateError> {
    let roles = [
        ("ah5_control", "ah5_control_login", &passwords.control),
        ("ah5_data", "ah5_data_login", &passwords.data),
    ];
    for (group, login, password) in roles {
        for (name, kind) in [
            (group, "nologin".to_owned()),
            (login, format!("login in role {group}")),
        ] {
            let exists = "select 1 from pg_roles where rolname = $1";
            if client
                .query_opt(exists, &[&name])
                .await
                .map_err(StoreError::from)?
                .is_none()
            {
                let made = client
                    .batch_execute(&format!("create role {name} {kind}"))
                    .await;
                made.map_err(|error| match error.code() {
                    Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE) => {
                        MigrateError::MayNotCreateRoles
                    }
                    _ => MigrateError::Store(error.into()),
                })?;
            }
        }
        if let Some(password) = password {
            // ALTER ROLE takes no parameters; quote_literal quotes whatever the password holds.
            let quoted = client
                .query_one("select quote_literal($1)", &[&password.expose()])
                .await;
            let quoted = SecretText::new(quoted.map_err(StoreError::from)?.get(0));
            exec(
                client,
                &format!("alter role {login} password {}", quoted.expose()),
            )
            .await?;
        }
    }
    Ok(())
}

async fn apply_grants(client: &Client) -> Result<(), MigrateError> {
    let mut sql = String::from("begin;\n");
    for role in ["public", "ah5_control", "ah5_data"] {
        sql += &format!(
            "revoke all on all tables in schema ah5 from {role};
             revoke all on all functions in schema ah5 from {role};
             revoke all on schema ah5 from {role};\n"
        );
    }
    sql += "grant usage on schema ah5 to ah5_control, ah5_data;\n";
    for grant in grants() {
        sql += &grant.sql();
    }
    sql += "commit;";
    exec(client, &sql).await
}

async fn exec(client: &Client, sql: &str) -> Result<(), MigrateError> {
    Ok(client.batch_execute(sql).await.map_err(StoreError::from)?)
}

/// One line of the grants file.
pub struct Grant {
    pub role: &'static str,
    pub object: &'static str,
    /// `*` or a comma-separated list of columns.
    pub columns: &'static str,
    pub verbs: &'static str,
}

/// Every right that the two roles have.
pub fn grants() -> impl Iterator<Item = Grant> {
    GRANTS.lines().skip(1).filter_map(|line| {
        let mut fields = line.split('\t');
        Some(Grant {
            role: fields.next()?,
            object: fields.next()?,
            columns: fields.next()?,
            verbs: fields.next()?,
        })
    })
}

impl Grant {
    fn sql(&self) -> String {
        let Self {
            role,
            object,
            columns,
            verbs,
        } = self;
        match (*verbs, *columns) {
            ("EXECUTE", _) => format!("grant execute on function ah5.{object} to {role};\n"),
            (verbs, "*") => format!("grant {verbs} on ah5.{object} to {role};\n"),
            (verb, columns) => format!("grant {verb} ({columns}) on ah5.{object} to {role};\n"),
        }
    }
}
