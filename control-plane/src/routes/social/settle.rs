//! Who somebody is here who has signed in elsewhere. An identity is (issuer, subject); an address
//! alone opens no account, unless whoever runs the mailbox vouches for it and its owner here has
//! proven it, too.

use axum::http::HeaderMap;

use ah5_contracts::audit::Action;
use ah5_contracts::id::UserId;
use ah5_store::accounts::{self, Identity};
use ah5_store::tenant::Tenant;
use ah5_store::users::{self, NewUser, User};

use crate::app::App;
use crate::auth::target::Target;
use crate::mail::Letter;
use crate::people::{self, Verification};
use crate::routes::session::{current, home, record};
use crate::social::Profile;

use super::Fault;

pub struct Settled {
    pub user: UserId,
    pub new: bool,
}

pub async fn sign_in(app: &App, party: &str, profile: &Profile) -> Result<Settled, Fault> {
    let identity = identity(party, profile);
    let known = accounts::user_of(&app.db().await?, identity).await?;
    if let Some(user) = known {
        let found = users::get(&app.db().await?, user).await?;
        return match found {
            Some(user) if !user.disabled => Ok(Settled {
                user: user.id,
                new: false,
            }),
            _ => Err(Fault::Code("account_disabled")),
        };
    }
    let email = profile.email.as_deref();
    let email = email.ok_or(Fault::Code("email_not_found"))?;
    let holder = users::by_email(&app.db().await?, email).await?;
    match holder {
        Some((user, _)) => adopt(app, &user, identity, profile).await,
        None => create(app, email, identity, profile).await,
    }
}

/// Adds the identity to the account of who asked for it, if he is still the one who is here.
pub async fn link(
    app: &App,
    headers: &HeaderMap,
    user: UserId,
    party: &str,
    profile: &Profile,
) -> Result<(), Fault> {
    let here = current(app, headers).await?;
    let here = here.filter(|session| session.user == user);
    let here = here.ok_or(Fault::Code("state_mismatch"))?;
    let identity = identity(party, profile);
    let holder = accounts::user_of(&app.db().await?, identity).await?;
    match holder {
        Some(holder) if holder == user => Ok(()),
        Some(_) => Err(Fault::Code("account_already_linked_to_different_user")),
        None => attach(app, user, &here.user_email, identity).await,
    }
}

/// An account has this address already.
async fn adopt(
    app: &App,
    user: &User,
    identity: Identity<'_>,
    profile: &Profile,
) -> Result<Settled, Fault> {
    let vouched = profile.email_authoritative && profile.email_verified;
    if !vouched || user.email_verification != Verification::Proven.as_str() || user.disabled {
        return Err(Fault::Code("account_not_linked"));
    }
    attach(app, user.id, &user.email, identity).await?;
    Ok(Settled {
        user: user.id,
        new: false,
    })
}

async fn attach(app: &App, user: UserId, email: &str, identity: Identity<'_>) -> Result<(), Fault> {
    let workspace = home(app, user).await?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    accounts::link(&*tenant, user, identity).await?;
    let letter = Letter::linked(&app.config.origin, email);
    app.mail.post(&*tenant, &app.ring(), &letter).await?;
    record(app, &tenant, user, Action::IdentityLinked).await?;
    tenant.commit().await?;
    app.mail.wake();
    Ok(())
}

async fn create(
    app: &App,
    email: &str,
    identity: Identity<'_>,
    profile: &Profile,
) -> Result<Settled, Fault> {
    let vouched = profile.email_authoritative && profile.email_verified;
    let verification = match vouched {
        true => Some(Verification::Proven),
        false => people::verification(app),
    };
    let verification = verification.ok_or(Fault::Code("signup_disabled"))?;
    let new = NewUser {
        id: UserId::random(),
        email,
        name: &profile.name,
        email_verification: verification.as_str(),
        password_hash: None,
    };
    let target = Target::fixed(people::VERIFIED);
    let user = people::create(app, &new, Some(identity), Some(&target)).await?;
    Ok(Settled {
        user: user.id,
        new: true,
    })
}

fn identity<'a>(party: &'a str, profile: &'a Profile) -> Identity<'a> {
    Identity {
        provider: party,
        issuer: &profile.issuer,
        subject: &profile.subject,
    }
}
