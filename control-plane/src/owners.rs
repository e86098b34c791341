//! Tells people of what concerns the safety of their account or workspace: by the trail, and by a
//! notification to the owner alone.

use serde_json::json;

use ah5_contracts::audit::{Action, ActorKind};
use ah5_contracts::id::UserId;
use ah5_store::tenant::Tenant;
use ah5_store::{StoreError, members, users, workspaces};

use crate::app::{App, Record};
use crate::notices::text::quoted;
use crate::notices::{Notice, SETTINGS_PAGE, To, kind, notify};

/// In the transaction of the change that it tells of, as the last thing in this workspace.
pub async fn tell_owners(app: &App, tenant: &Tenant<'_>, record: Record) -> Result<(), StoreError> {
    let owner = workspaces::current(tenant).await?.map(|here| here.owner);
    tell(app, tenant, record, owner.as_slice()).await
}

/// The same to whom else it concerns.
pub async fn tell(
    app: &App,
    tenant: &Tenant<'_>,
    record: Record,
    people: &[UserId],
) -> Result<(), StoreError> {
    let alert = alert(tenant, &record).await?;
    app.record(tenant, record).await?;
    for person in people {
        let notice = Notice {
            to: To::One(*person),
            ..alert.clone()
        };
        notify(tenant, &notice).await?;
    }
    Ok(())
}

/// Tells the owners of every workspace that the person belongs to. Ends inside one of them.
pub async fn tell_owners_of<'a>(
    app: &App,
    mut tenant: Tenant<'a>,
    user: UserId,
    record: Record,
) -> Result<Tenant<'a>, StoreError> {
    let mut memberships = members::of_user(&*tenant, user).await?;
    // Always in the same order: each row waits for its trail's head, and two may cross.
    memberships.sort_unstable_by_key(|membership| membership.workspace);
    for membership in memberships {
        tenant = tenant.enter(membership.workspace).await?;
        tell_owners(app, &tenant, record.clone()).await?;
    }
    Ok(tenant)
}

async fn alert(tenant: &Tenant<'_>, record: &Record) -> Result<Notice, StoreError> {
    let person = match subject(record).parse() {
        Ok(user) => users::name(&**tenant, user).await?,
        Err(_) => None,
    };
    let person = quoted(person.as_deref().unwrap_or("somebody"));
    let named = quoted(record.details["name"].as_str().unwrap_or_default());
    let (title, body) = match record.action {
        Action::PasskeyAdded => (
            "A passkey was added",
            format!("The passkey {named} can now be used to sign in as {person}."),
        ),
        Action::PasskeyRemoved => (
            "A passkey was removed",
            format!("The passkey {named} of {person} can no longer be used to sign in."),
        ),
        Action::PasskeyCounterRegressed => (
            "A passkey may have been copied",
            format!(
                "An answer of the passkey {named} of {person} was refused: it looks like a copy's."
            ),
        ),
        Action::WorkspaceTransferred if is_operators(record) => (
            "The workspace has a new owner",
            format!("An operator gave the workspace of {person} to somebody else."),
        ),
        Action::WorkspaceTransferred => (
            "The workspace has a new owner",
            format!("{person} gave the workspace to another member."),
        ),
        Action::AgentBootstrapped => (
            "An agent has another key",
            format!("The agent {named} has enrolled another key; its old one is no good any more."),
        ),
        Action::OauthAppSaved => (
            "An OAuth app was set up",
            format!("{person} set up the OAuth app {named}: accounts are connected through it."),
        ),
        Action::OauthAppDeleted => (
            "An OAuth app was deleted",
            format!("{person} deleted the OAuth app {named}: its connections need a new consent."),
        ),
        Action::AgentUpdated => (
            "An agent does without proofs",
            format!("{person} lets the agent {named} use tokens without proof of possession."),
        ),
        Action::PanicRevoked => (
            "Every connection was revoked",
            "The workspace's connections are no good any more; what each provider has to be told by \
             hand stands in the answer."
                .to_owned(),
        ),
        Action::VendingChanged => (
            "What is handed out was changed",
            format!(
                "{person} set: access tokens to agents {}, credentials to admins {}.",
                on_or_off(&record.details["modelA"]),
                on_or_off(&record.details["resolve"]),
            ),
        ),
        other if is_operators(record) => (
            "An operator made a change",
            match subject(record) {
                "" => format!("{}.", other.as_str().replace('_', " ")),
                _ => format!("{}: {person}.", other.as_str().replace('_', " ")),
            },
        ),
        other => (
            "A change that concerns safety",
            format!("{} by {person}.", other.as_str().replace('_', " ")),
        ),
    };
    Ok(Notice {
        kind: kind::SECURITY_ALERT,
        title: title.to_owned(),
        body,
        link: Some(SETTINGS_PAGE.to_owned()),
        metadata: json!({"action": record.action.as_str(), "userId": subject(record)}),
        to: To::Everyone,
    })
}

fn on_or_off(value: &serde_json::Value) -> &'static str {
    if value.as_bool() == Some(true) {
        "on"
    } else {
        "off"
    }
}

fn is_operators(record: &Record) -> bool {
    record.actor.0 == ActorKind::System
}

/// Whom it concerns; empty if nobody is named. The operator acts upon others.
fn subject(record: &Record) -> &str {
    let details = &record.details;
    let named = ["userId", "from"]
        .iter()
        .find_map(|it| details[*it].as_str());
    named.unwrap_or(&record.actor.1)
}
