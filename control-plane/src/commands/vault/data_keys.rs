//! A new data key for each workspace. First both keys are known everywhere, then everything is sealed
//! anew while both open, and only when nobody can still be sealing with the old one is that deleted.
//! So no reader ever meets a seal that it can't open. Broken off, it goes on where it was.

use std::time::Duration;

use ah5_contracts::audit::Action;
use ah5_contracts::id::WorkspaceId;
use ah5_security::vault::DataKey;
use ah5_store::data_keys;
use ah5_store::tenant::Tenant;
use ah5_store::workspaces;
use anyhow::{Context as _, ensure};
use serde_json::json;
use tokio::time::sleep;
use uuid::Uuid;

use super::progress;
use crate::app::App;
use crate::commands::system;
use crate::vault;
use crate::vault::reseal::{self, Resealed};

pub async fn run(app: &App, only: Option<WorkspaceId>, grace: u32) -> anyhow::Result<String> {
    let ids = match only {
        Some(id) => vec![id],
        None => all(app).await?,
    };
    let (mut begun, mut resealed) = (Vec::new(), Resealed::default());
    for some in ids.chunks(AT_ONCE) {
        let mut known = Vec::new();
        for id in some {
            if begin(app, *id).await? {
                known.push(*id);
            }
        }
        ensure!(
            only.is_none() || !known.is_empty(),
            "there is no such workspace, or it has no data key"
        );
        sleep(EVERYWHERE).await;
        for id in &known {
            resealed.add(reseal::all(app, *id).await?);
        }
        begun.append(&mut known);
        progress(format_args!(
            "{} workspace(s), {} value(s) sealed anew",
            begun.len(),
            resealed.done
        ));
    }
    let grace = Duration::from_secs(grace.into());
    for id in &begun {
        resealed.add(end(app, *id, grace).await?);
    }
    Ok(format!(
        "{} workspace(s) have a new data key, and {} value(s) are sealed under one\n{}",
        begun.len(),
        resealed.done,
        resealed.remark()
    ))
}

async fn all(app: &App) -> anyhow::Result<Vec<WorkspaceId>> {
    let (db, mut all) = (app.db().await?, Vec::new());
    loop {
        let after = all.last().copied();
        let after = after.unwrap_or(WorkspaceId::from_uuid(Uuid::nil()));
        let more = workspaces::ids(&db, after, 1000).await?;
        if more.is_empty() {
            return Ok(all);
        }
        all.extend(more);
    }
}

/// False where there is no key to follow.
async fn begin(app: &App, id: WorkspaceId) -> anyhow::Result<bool> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, id).await?;
    let Some(keys) = data_keys::lock(&tenant).await? else {
        return Ok(false);
    };
    let ring = app.ring();
    // Of one that doesn't open nothing could be moved.
    vault::open_key(&ring, id, &keys).with_context(|| format!("the data key of workspace {id}"))?;
    if keys.previous.is_none() {
        data_keys::succeed(&tenant, &ring.wrap(id, &DataKey::generate())).await?;
    }
    tenant.commit().await?;
    Ok(true)
}

async fn end(app: &App, id: WorkspaceId, grace: Duration) -> anyhow::Result<Resealed> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, id).await?;
    let passed = data_keys::succeeded_for(&tenant).await?;
    tenant.commit().await?;
    let Some(passed) = passed else {
        return Ok(Resealed::default());
    };
    sleep(grace.saturating_sub(passed)).await;
    let late = reseal::all(app, id).await?;
    let tenant = Tenant::begin(&mut db, id).await?;
    data_keys::lock(&tenant).await?;
    data_keys::forget_previous(&tenant).await?;
    app.record(&tenant, system(Action::DataKeyRotated, json!({})))
        .await?;
    tenant.commit().await?;
    Ok(late)
}

/// Workspaces that have two keys at a time before the first of them is sealed anew.
const AT_ONCE: usize = 200;
/// Within it every replica that may still answer knows both keys, or has nothing newer than the old.
const EVERYWHERE: Duration = Duration::from_secs(2);
