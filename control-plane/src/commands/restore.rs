//! `control-plane restore-check`: for a database that comes from a backup. What was revoked, used or
//! taken back after the backup was made is as it was before, so everything of the kind is ended.

use ah5_contracts::audit::Action;
use ah5_store::StoreError;
use ah5_store::restore::{self, Ended};
use serde_json::json;

use super::{system, tell_everybody};
use crate::app::{App, time};
use crate::keys::{KINDS, rotation};

pub async fn run(app: App) -> anyhow::Result<String> {
    rotation::check_ring(&app).await?;
    let mut db = app.db().await?;
    let tx = db.transaction().await.map_err(StoreError::from)?;
    let ended = restore::end_what_came_back(&tx).await?;
    rotation::give_up(&app, &tx, &KINDS, rotation::Ended::Restored).await?;
    tx.commit().await.map_err(StoreError::from)?;
    drop(db);
    let record = system(Action::InstallationRestored, json!({}));
    let told = tell_everybody(&app, &record).await?;
    Ok(report(&ended, told))
}

fn report(ended: &Ended, told: usize) -> String {
    let Ended {
        agents,
        sessions,
        personal_tokens,
        approvals,
        unknown_outcomes,
        bootstrap_secrets,
        invitations,
        links,
        letters,
        newest_row,
    } = ended;
    let newest = match newest_row {
        Some(newest) => format!("the newest row of the trail is of {}", time(*newest)),
        None => "the trail is empty".to_owned(),
    };
    format!(
        "the tokens of {agents} agent(s) are ended\n\
         {sessions} session(s) and {personal_tokens} personal token(s) are ended\n\
         {approvals} approval(s) are taken back; of {unknown_outcomes} the outcome is unknown\n\
         {bootstrap_secrets} bootstrap secret(s), {invitations} invitation(s), {links} mailed link(s) \
         and {letters} waiting letter(s) are dropped\n\
         the signing keys are replaced\n\
         every replica loads everything anew\n\
         the owners of {told} workspace(s) are told\n\
         \n\
         {newest}. What was disabled, removed or narrowed after the backup (agents, people, members,\n\
         policies, connections, passkeys) is as it was then: that has to be done again by hand.\n"
    )
}
