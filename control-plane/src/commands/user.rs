//! `control-plane user`: people, from outside of the product. The way back for somebody who can't sign
//! in any more, and the way out for somebody who must not.

use std::fmt::Write as _;

use ah5_contracts::audit::Action;
use ah5_contracts::id::{UserId, WorkspaceId};
use ah5_contracts::role::Role;
use ah5_store::tenant::Tenant;
use ah5_store::users::{self, NewUser, User};
use ah5_store::{accounts, mail_proofs, members, passkeys, personal_tokens, sessions, workspaces};
use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::json;

use super::{plain, system};
use crate::app::{App, time};
use crate::mail::Letter;
use crate::owners::{tell, tell_owners_of};
use crate::people::{self, Verification};
use crate::routes::passwords::end_what_a_thief_may_hold;
use crate::routes::session::is_address;

mod secret;

use secret::{Given, new_password};

#[derive(Subcommand)]
pub enum Command {
    /// Make a person with a workspace of their own; prints a password unless one is given
    Create {
        /// The address to sign in with
        email: String,
        #[arg(long, default_value = "")]
        name: String,
        /// Take the password from standard input
        #[arg(long)]
        password_stdin: bool,
        /// You know that the address is theirs: it counts as proven
        #[arg(long)]
        proven: bool,
    },
    /// Everybody, with what they can sign in with
    List,
    /// Keep somebody out: no sign-in, and their sessions and tokens end
    Disable {
        /// Address or id
        who: String,
    },
    /// Let somebody in again; what was ended stays so
    Enable {
        /// Address or id
        who: String,
    },
    /// Give somebody another password, which ends all that the old one may have got a thief
    SetPassword {
        /// Address or id
        who: String,
        /// Take it from standard input instead of printing a new one
        #[arg(long)]
        password_stdin: bool,
    },
    /// For somebody who has lost their passkeys: remove all of them, and end the sessions
    RemovePasskeys {
        /// Address or id
        who: String,
    },
    /// Give a workspace to somebody, who need not be a member yet; its owner of today becomes an admin
    MakeOwner {
        /// Address or id of the new owner
        who: String,
        /// The workspace's id
        workspace: WorkspaceId,
    },
}

pub async fn run(app: App, command: Command) -> anyhow::Result<String> {
    match command {
        Command::Create {
            email,
            name,
            password_stdin,
            proven,
        } => create(&app, &email, &name, password_stdin, proven).await,
        Command::List => list(&app).await,
        Command::Disable { who } => disable(&app, &who).await,
        Command::Enable { who } => enable(&app, &who).await,
        Command::SetPassword {
            who,
            password_stdin,
        } => set_password(&app, &who, password_stdin).await,
        Command::RemovePasskeys { who } => remove_passkeys(&app, &who).await,
        Command::MakeOwner { who, workspace } => make_owner(&app, &who, workspace).await,
    }
}

async fn create(
    app: &App,
    email: &str,
    name: &str,
    password_stdin: bool,
    proven: bool,
) -> anyhow::Result<String> {
    let email = email.trim().to_lowercase();
    if !is_address(&email) {
        bail!("this is no mail address: {}", plain(&email));
    }
    let Given { hashed, shown } = new_password(password_stdin)?;
    let verification = if proven {
        Verification::Proven
    } else {
        Verification::Assumed
    };
    let new = NewUser {
        id: UserId::random(),
        email: &email,
        name,
        email_verification: verification.as_str(),
        password_hash: Some(&hashed),
    };
    let made = people::create_by(app, &new, system(Action::UserCreated, json!({}))).await;
    let made = made.map_err(|error| match error.is_conflict_with("t_users_email_key") {
        true => anyhow::anyhow!("somebody has this address already: {email}"),
        false => error.into(),
    })?;
    Ok(format!("{email} is {}\n{}", made.id, shown.line()))
}

async fn list(app: &App) -> anyhow::Result<String> {
    let mut out = String::from("ID\tEMAIL\tNAME\tSTATE\tADDRESS\tPASSWORD\tPASSKEYS\tSINCE\n");
    for listed in users::list(&app.db().await?).await? {
        let user = listed.user;
        let state = if user.disabled { "disabled" } else { "active" };
        let password = if listed.has_password { "yes" } else { "no" };
        let (id, email, name) = (user.id, plain(&user.email), plain(&user.name));
        let (address, keys, since) = (
            &user.email_verification,
            listed.passkeys,
            time(user.created_at),
        );
        writeln!(
            out,
            "{id}\t{email}\t{name}\t{state}\t{address}\t{password}\t{keys}\t{since}"
        )?;
    }
    Ok(out)
}

async fn disable(app: &App, who: &str) -> anyhow::Result<String> {
    let user = find(app, who).await?;
    let mut db = app.db().await?;
    let tenant = nowhere(&mut db).await?;
    if !users::set_disabled(&*tenant, user.id, true).await? {
        bail!("{} is disabled already", user.email);
    }
    sessions::revoke_all(&*tenant, user.id, None).await?;
    personal_tokens::revoke_everywhere(&*tenant, user.id).await?;
    mail_proofs::void(&*tenant, user.id).await?;
    let record = system(Action::UserDisabled, json!({"userId": user.id}));
    let tenant = tell_owners_of(app, tenant, user.id, record).await?;
    tenant.commit().await?;
    let email = user.email;
    Ok(format!(
        "{email} is disabled; sessions and personal tokens are ended. Agents go on.\n"
    ))
}

async fn enable(app: &App, who: &str) -> anyhow::Result<String> {
    let user = find(app, who).await?;
    let mut db = app.db().await?;
    let tenant = nowhere(&mut db).await?;
    if !users::set_disabled(&*tenant, user.id, false).await? {
        bail!("{} is not disabled", user.email);
    }
    let record = system(Action::UserEnabled, json!({"userId": user.id}));
    let tenant = tell_owners_of(app, tenant, user.id, record).await?;
    tenant.commit().await?;
    Ok(format!("{} may sign in again\n", user.email))
}

async fn set_password(app: &App, who: &str, password_stdin: bool) -> anyhow::Result<String> {
    let user = find(app, who).await?;
    let Given { hashed, shown } = new_password(password_stdin)?;
    let mut db = app.db().await?;
    let tenant = nowhere(&mut db).await?;
    accounts::set_password(&*tenant, user.id, &hashed).await?;
    end_what_a_thief_may_hold(&tenant, user.id).await?;
    let letter = Letter::password_changed(&app.config.origin, &user.email);
    app.mail.post(&*tenant, &app.ring(), &letter).await?;
    let record = system(Action::PasswordReset, json!({"userId": user.id}));
    let tenant = tell_owners_of(app, tenant, user.id, record).await?;
    tenant.commit().await?;
    Ok(format!(
        "{} has another password; sessions, personal tokens, and in the workspaces of their own the \
         agents' tokens and open approvals are ended\n{}",
        user.email,
        shown.line()
    ))
}

async fn remove_passkeys(app: &App, who: &str) -> anyhow::Result<String> {
    let user = find(app, who).await?;
    let mut db = app.db().await?;
    let mut tenant = nowhere(&mut db).await?;
    let removed = passkeys::delete_all(&*tenant, user.id).await?;
    if removed.is_empty() {
        bail!("{} has no passkey", user.email);
    }
    sessions::revoke_all(&*tenant, user.id, None).await?;
    for passkey in &removed {
        let details = json!({"userId": user.id, "passkeyId": passkey.id, "name": passkey.name});
        let record = system(Action::PasskeyRemoved, details);
        tenant = tell_owners_of(app, tenant, user.id, record).await?;
    }
    let password = accounts::password_of(&*tenant, user.id).await?;
    tenant.commit().await?;
    let next = match password {
        Some(_) => "they sign in with their password",
        None => "they have no password: `control-plane user set-password` gives them one",
    };
    Ok(format!(
        "{} passkey(s) of {} are removed and the sessions ended; {next}\n",
        removed.len(),
        user.email
    ))
}

async fn make_owner(app: &App, who: &str, id: WorkspaceId) -> anyhow::Result<String> {
    let user = find(app, who).await?;
    if user.disabled {
        bail!("{} is disabled", user.email);
    }
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, id).await?;
    let found = workspaces::current(&tenant).await?;
    let workspace = found.with_context(|| format!("there is no workspace {id}"))?;
    let (from, to) = (workspace.owner, user.id);
    if from == to {
        bail!("{} owns it already", user.email);
    }
    // In id order, as everybody locks them.
    let mut roles = [(from.min(to), None), (from.max(to), None)];
    for (member, role) in &mut roles {
        *role = members::lock(&tenant, *member).await?;
    }
    let is_member = |user: UserId| roles.iter().any(|(id, role)| *id == user && role.is_some());
    if is_member(to) {
        members::set_role(&tenant, to, Role::Owner).await?;
    } else {
        members::insert(&tenant, to, Role::Owner).await?;
    }
    workspaces::set_owner(&tenant, to).await?;
    members::set_role(&tenant, from, Role::Admin).await?;
    let details = json!({"from": from, "to": to});
    let record = system(Action::WorkspaceTransferred, details);
    tell(app, &tenant, record, &[from, to]).await?;
    tenant.commit().await?;
    let (email, name) = (user.email, plain(&workspace.name));
    Ok(format!("{email} owns {name} ({id})\n"))
}

async fn find(app: &App, who: &str) -> anyhow::Result<User> {
    let db = app.db().await?;
    let found = match who.parse::<UserId>() {
        Ok(id) => users::get(&db, id).await?,
        Err(_) => {
            let email = who.trim().to_lowercase();
            users::by_email(&db, &email).await?.map(|(user, _)| user)
        }
    };
    found.with_context(|| format!("there is nobody with this address or id: {}", plain(who)))
}

/// A transaction that is in no workspace yet.
async fn nowhere(db: &mut deadpool_postgres::Object) -> anyhow::Result<Tenant<'_>> {
    Ok(Tenant::begin(db, WorkspaceId::random()).await?)
}
