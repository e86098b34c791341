//! Makes a connection of a credential that its provider takes.

use ah5_contracts::audit::Action;
use ah5_contracts::id::ConnectionId;
use ah5_net::PoolKey;
use ah5_store::connections::{self, NewConnection};
use ah5_store::tenant::Tenant;
use serde_json::{Value, json};

use crate::app::{App, Record};
use crate::auth::caller::Caller;
use crate::entered::Entered;
use crate::error::{AppError, AppResult};
use crate::{room, vault};

pub struct Created {
    /// As it is answered.
    pub connection: Value,
    pub label: String,
    pub metadata: Value,
}

/// `label` is what somebody wants it called, `usual` what it is called if neither they nor the
/// provider have a name for it.
pub async fn create(
    app: &App,
    caller: &Caller,
    entered: &Entered,
    label: Option<String>,
    usual: String,
) -> AppResult<Created> {
    let (id, service) = (ConnectionId::random(), entered.service);
    let owner = PoolKey {
        workspace: caller.workspace(),
        connection: id,
    };
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    room::check(app, &tenant).await?;
    tenant.commit().await?;
    // No connection to the database is held while the provider answers.
    drop(db);
    let account = entered.confirm(app, owner).await?;
    let label = label.or(account.label).unwrap_or(usual);

    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    if service.singleton && connections::has_of_service(&tenant, &service.id).await? {
        let name = &service.display_name;
        let why = format!("There is already a connection to {name}");
        let hint = "Replace its credential, or revoke it first.";
        return Err(AppError::conflict(why).hint(hint));
    }
    room::check(app, &tenant).await?;
    let key = vault::key(app, &tenant).await?;
    let sealed = entered.seal(&key, tenant.workspace(), id, 1);
    let auth = serde_json::to_value(&entered.auth).map_err(AppError::internal)?;
    let mail = entered.mail();
    let new = NewConnection {
        id,
        provider: &service.provider,
        service: &service.id,
        label: &label,
        base_url: &entered.base_url.to_string(),
        auth: &auth,
        granted_scopes: &service.granted_scopes,
        oauth: None,
        mail: mail.as_ref(),
        sealed: &sealed,
    };
    connections::insert(&tenant, &new).await?;
    connections::set_metadata(&tenant, id, &account.metadata).await?;
    connections::set_preview(&tenant, id, &entered.preview).await?;
    let details = json!({"provider": service.provider, "service": service.id, "label": label});
    let record = Record::new(caller.actor(), Action::ConnectionCreated, details);
    app.record(&tenant, record.connection(id)).await?;
    tenant.commit().await?;
    let connection = json!({
        "id": id, "provider": service.provider, "service": service.id, "label": label,
        "status": "healthy",
    });
    Ok(Created {
        connection,
        label,
        metadata: account.metadata,
    })
}
