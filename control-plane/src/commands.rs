//! What an operator does at the command line, with the settings of `serve`: signing keys, the vault, people,
//! workspaces, and what a restored backup takes. Whoever may run these holds the key ring and the database's password,
//! so nothing more is asked; what they do is in the trail as the system's doing.

use ah5_contracts::audit::{Action, ActorKind};
use ah5_contracts::id::WorkspaceId;
use ah5_store::StoreError;
use ah5_store::tenant::Tenant;
use ah5_store::{migrate, workspaces};
use serde_json::Value;

use crate::app::{App, Record};
use crate::config::Config;
use crate::owners::tell_owners;
use crate::serve;

pub mod import;
pub mod keys;
pub mod panic;
pub mod restore;
pub mod user;
pub mod vault;
pub mod workspace;

/// The database, if it is there and fits.
pub async fn open(config: Config) -> anyhow::Result<App> {
    let (client, _driver) = config.database.connect().await?;
    migrate::check(&client).await?;
    let net = serve::outbound(&config, &[])?;
    let ring = config.ring.open().await?;
    let pool = config.database.pool(CONNECTIONS);
    Ok(App::new(config, ring.into(), pool, &net))
}

/// Nobody's doing that the product knows: an operator's.
fn system(action: Action, details: Value) -> Record {
    Record::new((ActorKind::System, String::new()), action, details)
}

/// Tells the owners of every workspace there is, one after the other.
async fn tell_everybody(app: &App, record: &Record) -> Result<usize, StoreError> {
    let mut after = WorkspaceId::from_uuid(uuid::Uuid::nil());
    let mut told = 0;
    let mut db = app.db().await?;
    loop {
        let ids = workspaces::ids(&db, after, AT_ONCE).await?;
        let Some(last) = ids.last() else {
            return Ok(told);
        };
        after = *last;
        for id in ids {
            let tenant = Tenant::begin(&mut db, id).await?;
            tell_owners(app, &tenant, record.clone()).await?;
            tenant.commit().await?;
            told += 1;
        }
    }
}

/// Text of somebody else's on an operator's terminal.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

const CONNECTIONS: usize = 2;
const AT_ONCE: i32 = 500;
