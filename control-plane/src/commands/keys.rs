//! `control-plane keys`: which keys sign tokens, and others in their place.

use std::fmt::Write as _;

use ah5_contracts::audit::Action;
use ah5_security::ring::{KeyRing, PublicKeyRow};
use ah5_security::token::KeyKind;
use ah5_store::StoreError;
use ah5_store::signing_keys::{self, ListedKey};
use clap::{Subcommand, ValueEnum};
use serde_json::json;

use super::{system, tell_everybody};
use crate::app::{App, time};
use crate::keys::KINDS;
use crate::keys::rotation::{self, Ended, Published};

#[derive(Subcommand)]
pub enum Command {
    /// Every key there ever was, newest first: the record of all rotations
    List,
    /// Publish a new key, which signs once everybody who verifies can know it
    Rotate {
        /// Only the key of agents' tokens, or only that of people's
        #[arg(long)]
        kind: Option<Kind>,
        /// Somebody else may have the key: end it, and every token that it has signed, at once
        #[arg(long)]
        compromised: bool,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Kind {
    Agent,
    User,
}

pub async fn run(app: App, command: Command) -> anyhow::Result<String> {
    match command {
        Command::List => list(&app).await,
        Command::Rotate { kind, compromised } => {
            let kinds = match kind {
                None => KINDS.to_vec(),
                Some(Kind::Agent) => vec![KeyKind::Agent],
                Some(Kind::User) => vec![KeyKind::User],
            };
            rotation::check_ring(&app).await?;
            if compromised {
                give_up(&app, &kinds).await
            } else {
                rotate(&app, &kinds).await
            }
        }
    }
}

async fn list(app: &App) -> anyhow::Result<String> {
    let mut out = String::from("KIND\tSTATE\tKEY\tMADE\tWHY\tSIGNS\tVERIFIES UNTIL\n");
    for key in signing_keys::list(&app.db().await?).await? {
        let until = match (key.retired_at, key.verifies_until) {
            (Some(retired), _) => time(retired),
            (None, Some(until)) => time(until),
            (None, None) => "-".to_owned(),
        };
        let signs = match key.replaced_at {
            Some(replaced) => format!("{} to {}", time(key.signs_from), time(replaced)),
            None => format!("from {}", time(key.signs_from)),
        };
        let (kind, kid) = (super::plain(&key.kind), super::plain(&key.kid));
        let (made, why) = (time(key.created_at), &key.reason);
        let state = state(&app.ring(), &key);
        writeln!(
            out,
            "{kind}\t{state}\t{kid}\t{made}\t{why}\t{signs}\t{until}"
        )?;
    }
    Ok(out)
}

fn state(ring: &KeyRing, key: &ListedKey) -> &'static str {
    let row = PublicKeyRow {
        kid: &key.kid,
        kind: &key.kind,
        alg: &key.alg,
        public_jwk: &key.public_jwk,
    };
    match key {
        key if key.compromised => "compromised",
        key if key.retired_at.is_some() => "retired",
        key if !ring.check_public_key(&row, &key.mac) => "NOT OURS: not used",
        key if key.replaced_at.is_some() => "verifies",
        key if key.is_waiting => "waits",
        _ => "signs",
    }
}

async fn rotate(app: &App, kinds: &[KeyKind]) -> anyhow::Result<String> {
    let made = rotation::begin(app, kinds).await?;
    let mut out = announced(&made);
    for kind in kinds {
        if !made.iter().any(|new| new.kind == *kind) {
            writeln!(
                out,
                "{}: a new key is on its way already (`keys list`)",
                kind.as_str()
            )?;
        }
    }
    Ok(out)
}

async fn give_up(app: &App, kinds: &[KeyKind]) -> anyhow::Result<String> {
    let mut db = app.db().await?;
    let tx = db.transaction().await.map_err(StoreError::from)?;
    let made = rotation::give_up(app, &tx, kinds, Ended::Compromised).await?;
    tx.commit().await.map_err(StoreError::from)?;
    drop(db);
    let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    let details = json!({"kinds": kinds, "reason": "compromised"});
    let told = tell_everybody(app, &system(Action::SigningKeysReplaced, details)).await?;
    Ok(format!(
        "every earlier key is given up: no token that it has signed is good after one second\n\
         {}the owners of {told} workspace(s) are told\n",
        announced(&made)
    ))
}

fn announced(made: &[Published]) -> String {
    let mut out = String::new();
    for new in made {
        let (kind, from) = (new.kind.as_str(), time(new.signs_from));
        out += &format!(
            "{kind}: key {} is published and signs from {from}\n",
            new.kid
        );
    }
    out
}
