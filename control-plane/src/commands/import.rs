//! `control-plane import`: brings workspaces over from the database of another product, with the
//! credentials in them. They are opened with that product's key and sealed as ours at once; nothing
//! else here ever reads its envelopes. Ids are kept, so it can be run again: what is there stays. A
//! workspace that is here and did not come from the same source, by its key, is never written to.

use std::fmt::Write as _;

use ah5_contracts::audit::Action;
use ah5_contracts::id::WorkspaceId;
use ah5_security::secret::SecretText;
use ah5_settings::Settings;
use ah5_store::database::Database;
use ah5_store::import::{self as source, Unreadable};
use anyhow::Context as _;
use serde_json::json;

use crate::app::App;

mod credential;
mod mailbox;
mod v1;
mod workspace;

use workspace::Move;

/// What the command needs besides the settings of `serve`.
pub struct Foreign {
    database: Database,
    key: v1::Key,
}

/// What came over, and what did not.
#[derive(Default)]
pub struct Report {
    pub workspaces: usize,
    pub agents: usize,
    pub oauth_apps: usize,
    pub connections: usize,
    pub policies: usize,
    pub already_here: usize,
    /// A line each: which row, and why.
    pub left_out: Vec<String>,
}

// === impl Foreign ===

impl Foreign {
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let url = settings.required("IMPORT_DATABASE_URL");
        let database = Database::parse(&SecretText::new(url));
        let database = database.map_err(|error| settings.fault("IMPORT_DATABASE_URL", error));
        let key = SecretText::new(settings.required("ENCRYPTION_KEY"));
        let is_given = !key.expose().is_empty();
        let key = v1::Key::parse(key.expose());
        if key.is_none() && is_given {
            settings.fault("ENCRYPTION_KEY", "must be 64 hexadecimal digits");
        }
        Some(Self {
            database: database.ok()?,
            key: key?,
        })
    }
}

pub async fn run(app: App, from: Foreign, dry_run: bool) -> anyhow::Result<String> {
    let connected = from.database.connect().await;
    let (client, _driver) = connected.context("the database to import from")?;
    let workspaces = source::workspaces(&client).await;
    let mut report = Report::default();
    for workspace in workspaces.context("the database to import from")? {
        let Some(workspace) = report.readable("workspace", workspace) else {
            continue;
        };
        let id = WorkspaceId::from_uuid(workspace.id);
        let moved = Move {
            app: &app,
            client: &client,
            key: &from.key,
            id,
        };
        let mut of_this = Report::default();
        // One transaction each: a workspace comes over as a whole, or not at all.
        match moved.bring(&workspace, dry_run, &mut of_this).await {
            Ok(()) => report.add(of_this),
            Err(error) => {
                let why = format!("{error:#}");
                report
                    .left_out
                    .push(format!("workspace {id} as a whole: {}", super::plain(&why)));
            }
        }
    }
    report.shown(dry_run)
}

// === impl Report ===

impl Report {
    fn add(&mut self, more: Self) {
        self.workspaces += more.workspaces;
        self.agents += more.agents;
        self.oauth_apps += more.oauth_apps;
        self.connections += more.connections;
        self.policies += more.policies;
        self.already_here += more.already_here;
        self.left_out.extend(more.left_out);
    }

    fn leave_out(&mut self, what: &str, id: uuid::Uuid, why: &str) {
        self.left_out
            .push(format!("{what} {id}: {}", super::plain(why)));
    }

    /// What came of a row; `what` it is, and where it is counted if it came over.
    fn note(
        &mut self,
        (what, id): (&str, uuid::Uuid),
        came: Result<(), String>,
        counted: fn(&mut Self) -> &mut usize,
    ) {
        match came {
            Ok(()) => *counted(self) += 1,
            Err(why) => self.leave_out(what, id, &why),
        }
    }

    fn readable<T>(&mut self, what: &str, row: Result<T, Unreadable>) -> Option<T> {
        row.map_err(|bad| self.leave_out(what, bad.id, &bad.why))
            .ok()
    }

    fn shown(&self, dry_run: bool) -> anyhow::Result<String> {
        let Self {
            workspaces,
            agents,
            oauth_apps,
            connections,
            policies,
            already_here,
            left_out,
        } = self;
        let done = if dry_run {
            "would come over"
        } else {
            "came over"
        };
        let mut out = format!(
            "{workspaces} workspace(s), {agents} agent(s), {oauth_apps} OAuth app(s), {connections} \
             connection(s), {policies} policies {done}; {already_here} row(s) were here already\n"
        );
        for line in left_out {
            writeln!(out, "left out: {line}")?;
        }
        if !dry_run {
            out += "agents have no key here: give each a new bootstrap secret\n";
        }
        Ok(out)
    }

    fn details(&self) -> serde_json::Value {
        json!({
            "agents": self.agents, "oauthApps": self.oauth_apps, "connections": self.connections,
            "policies": self.policies, "leftOut": self.left_out.len(),
        })
    }

    fn is_empty(&self) -> bool {
        self.workspaces + self.agents + self.oauth_apps + self.connections + self.policies == 0
    }
}

const ACTION: Action = Action::WorkspaceImported;
