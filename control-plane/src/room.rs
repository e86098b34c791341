//! How many connections a workspace may have. Every replica holds them all in memory, and every change
//! of a workspace loads them anew.

use ah5_store::connections;
use ah5_store::tenant::Tenant;

use crate::app::App;
use crate::error::{AppError, AppResult};

/// In the transaction that makes one; before that, to say early what would be said then.
pub async fn check(app: &App, tenant: &Tenant<'_>) -> AppResult<()> {
    let most = app.config.workspace_connections;
    if connections::count_to_insert(tenant).await? < most {
        return Ok(());
    }
    let why = format!("This workspace has {most} connections, and may have no more");
    Err(AppError::conflict(why).hint("Revoke those that nobody uses."))
}
