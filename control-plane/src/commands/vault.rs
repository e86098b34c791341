//! `control-plane vault`: one key of the ring after another, and one data key of a workspace after
//! another, while calls go on. `keys` is about the keys that sign tokens; these are those that seal.

use std::fmt::Write as _;

use ah5_contracts::id::WorkspaceId;
use ah5_security::ring::RingFile;
use ah5_security::ring::file;
use ah5_store::ring::{self as stored, Holder};
use anyhow::{bail, ensure};
use clap::Subcommand;

use crate::app::App;

mod data_keys;
mod rewrap;
mod uses;

use uses::Uses;

#[derive(Subcommand)]
pub enum Command {
    /// The keys of the ring, what is sealed under each, and which processes hold them
    Status,
    /// Put a new key into the ring's file; nothing is sealed by it yet
    AddRingKey,
    /// Seal by this key from now on, once every process holds it
    UseRingKey { id: String },
    /// Move everything that is sealed under other keys of the ring to the current one
    Rewrap,
    /// Take a key out of the ring's file that nothing is sealed under any more
    RetireRingKey { id: String },
    /// Give workspaces new data keys and seal everything in them anew
    RotateDataKeys {
        /// Only this one
        #[arg(long)]
        workspace: Option<WorkspaceId>,
        /// Seconds for which something may still be sealed under the key before
        #[arg(long, default_value_t = 120)]
        grace: u32,
    },
}

pub async fn run(app: App, command: Command) -> anyhow::Result<String> {
    match command {
        Command::Status => status(&app).await,
        Command::AddRingKey => add(&app).await,
        Command::UseRingKey { id } => make_current(&app, &id).await,
        Command::Rewrap => {
            check_held(&app, app.ring().current()).await?;
            rewrap::run(&app).await
        }
        Command::RetireRingKey { id } => retire(&app, &id).await,
        Command::RotateDataKeys { workspace, grace } => {
            check_held(&app, app.ring().current()).await?;
            data_keys::run(&app, workspace, grace).await
        }
    }
}

async fn status(app: &App) -> anyhow::Result<String> {
    let (ring, uses) = (app.ring(), Uses::read(app).await?);
    let mut out = String::from("RING KEY\tSTATE\tUSES\n");
    for id in ring.ids() {
        let state = if id == ring.current() {
            "seals"
        } else {
            "opens"
        };
        writeln!(out, "{id}\t{state}\t{}", uses.of(id))?;
    }
    for id in ring.retired() {
        writeln!(out, "{id}\tretired: verifies audit rows\t{}", uses.of(id))?;
    }
    for id in uses.unknown_to(&ring) {
        let shown = super::plain(id);
        writeln!(
            out,
            "{shown}\tNOT IN THE RING: opens nothing\t{}",
            uses.of(id)
        )?;
    }
    let holders = stored::holders(&app.db().await?).await?;
    writeln!(out, "\nPROCESS\tPLANE\tSEALS BY\tHOLDS\tREPORTED")?;
    for it in &holders {
        let (plane, current, keys) = (&it.plane, super::plain(&it.current), it.keys.join(" "));
        let (keys, ago) = (super::plain(&keys), it.seconds_ago);
        writeln!(
            out,
            "{}\t{plane}\t{current}\t{keys}\t{ago:.0} s ago",
            it.process
        )?;
    }
    Ok(out)
}

async fn add(app: &App) -> anyhow::Result<String> {
    check_ours(app).await?;
    let source = &app.config.ring;
    let (id, key) = file::new_key();
    let mut ring = RingFile::read(source.path())?;
    ring.add(id.clone(), source.text(&key).await?);
    put(app, &ring).await?;
    Ok(format!(
        "key {id} is in {}; nothing is sealed by it yet\n\
         bring the file to every host, see with `vault status` that every process holds the key, \
         then: vault use-ring-key {id}\n",
        source.path().display()
    ))
}

async fn make_current(app: &App, id: &str) -> anyhow::Result<String> {
    check_ours(app).await?;
    check_held(app, id).await?;
    let mut ring = RingFile::read(app.config.ring.path())?;
    ensure!(ring.make_current(id), "there is no key {id} in the ring");
    put(app, &ring).await?;
    Ok(format!(
        "key {id} seals from now on, wherever this file is\n\
         bring it to every host, see with `vault status` that every process seals by it, \
         then: vault rewrap\n"
    ))
}

async fn retire(app: &App, id: &str) -> anyhow::Result<String> {
    let ring = app.ring();
    ensure!(id != ring.current(), "key {id} is the one that seals");
    let Some(remains) = ring.audit_remains(id) else {
        bail!("there is no key {id} in the ring");
    };
    check_held(app, ring.current()).await?;
    let holders = stored::holders(&app.db().await?).await?;
    if let Some(late) = holders.iter().find(|it| it.current == id) {
        bail!("{} still seals by key {id}", named(late));
    }
    let uses = Uses::read(app).await?;
    if uses.is_used(id) {
        bail!("key {id} is still needed ({}): vault rewrap", uses.of(id));
    }
    let mut file = RingFile::read(app.config.ring.path())?;
    let remains = app.config.ring.text(&remains).await?;
    ensure!(file.retire(id, remains), "the ring's file has changed");
    put(app, &file).await?;
    Ok(format!(
        "key {id} is out of the ring; what is left of it verifies audit rows and opens nothing\n\
         bring the file to every host. Backups of the database from before the rewrap open only with \
         a backup of the ring from before now\n"
    ))
}

/// Only what opens is put in the file's place.
async fn put(app: &App, ring: &RingFile) -> anyhow::Result<()> {
    let source = &app.config.ring;
    source.open_file(ring).await?;
    Ok(ring.replace(source.path())?)
}

/// A key of another installation's ring, or of an older file, must not come to seal anything here.
async fn check_ours(app: &App) -> anyhow::Result<()> {
    let uses = Uses::read(app).await?;
    let ring = app.ring();
    if let Some(id) = uses.unknown_to(&ring).next() {
        bail!(
            "this is not the ring of this database: it lacks key {}, under which is {}",
            super::plain(id),
            uses.of(id)
        );
    }
    Ok(())
}

/// Whoever doesn't hold the key could not open what is sealed by it.
async fn check_held(app: &App, id: &str) -> anyhow::Result<()> {
    ensure!(
        app.ring().ids().any(|it| it == id),
        "there is no key {id} in the ring"
    );
    let holders = stored::holders(&app.db().await?).await?;
    match holders
        .iter()
        .find(|it| !it.keys.iter().any(|key| key == id))
    {
        Some(late) => bail!(
            "{} has not reported key {id}: each does within some seconds of having the file",
            named(late)
        ),
        None => Ok(()),
    }
}

fn named(process: &Holder) -> String {
    format!("process {} of the {} plane", process.process, process.plane)
}

/// What is done so far, for whoever waits.
fn progress(text: std::fmt::Arguments<'_>) {
    eprintln!("{text}");
}
