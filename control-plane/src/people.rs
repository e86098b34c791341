//! How people come to be, and how their addresses come to count as theirs. Called by sign-up here
//! and by sign-in elsewhere.

use ah5_contracts::audit::Action;
use ah5_contracts::id::{UserId, WorkspaceId};
use ah5_security::{hash, random};
use ah5_store::StoreError;
use ah5_store::accounts::{self, Identity};
use ah5_store::mail_proofs::{self, Proof, Purpose};
use ah5_store::tenant::Tenant;
use ah5_store::users::{self, NewUser, User};
use deadpool_postgres::GenericClient;

use crate::app::{App, Record};
use crate::auth::target::Target;
use crate::mail::Letter;
use crate::mail::letter::LINK_MINUTES;
use crate::routes::session::record;
use crate::routes::workspace;

/// Where a browser goes that has proven an address.
pub const VERIFIED: &str = "/login?verified=true";

/// How a new address stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Taken at its word. Good for signing in on one's own machine, not for linking nor for reset.
    Assumed,
    /// A letter is on its way.
    Pending,
    /// Its owner answered a letter, or whoever runs the mailbox vouches for him.
    Proven,
}

// === impl Verification ===

impl Verification {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Assumed => "assumed",
            Self::Pending => "pending",
            Self::Proven => "proven",
        }
    }
}

/// What an unproven address becomes in this installation; `None` if it takes no new people.
pub fn verification(app: &App) -> Option<Verification> {
    let mail = app.config.mail.as_ref();
    if mail.is_some_and(crate::mail::config::Config::proves_addresses) {
        Some(Verification::Pending)
    } else {
        let loopback = app.config.origin.is_loopback();
        loopback.then_some(Verification::Assumed)
    }
}

/// Makes a person, his workspace and the key that will seal its credentials; asks him by mail to
/// confirm his address, if that is left to prove and mail is sent at all.
pub async fn create(
    app: &App,
    new: &NewUser<'_>,
    identity: Option<Identity<'_>>,
    verified_to: Option<&Target>,
) -> Result<User, StoreError> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, WorkspaceId::random()).await?;
    let user = settle_in(app, &tenant, new).await?;
    if let Some(identity) = identity {
        accounts::link(&*tenant, user.id, identity).await?;
    }
    record(app, &tenant, user.id, Action::UserSignedUp).await?;
    let unproven = user.email_verification != Verification::Proven.as_str();
    if let Some(target) = verified_to.filter(|_| unproven) {
        ask_to_verify(app, &*tenant, user.id, &user.email, target).await?;
    }
    tenant.commit().await?;
    app.mail.wake();
    if user.email_verification == Verification::Assumed.as_str() {
        tracing::warn!(user = %user.id, "an address is taken at its word: no mail is sent");
    }
    Ok(user)
}

/// The same at somebody else's word: nothing is asked of the person.
pub async fn create_by(app: &App, new: &NewUser<'_>, made: Record) -> Result<User, StoreError> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, WorkspaceId::random()).await?;
    let user = settle_in(app, &tenant, new).await?;
    app.record(&tenant, made).await?;
    tenant.commit().await?;
    Ok(user)
}

/// The person, with a workspace of his own.
async fn settle_in(app: &App, tenant: &Tenant<'_>, new: &NewUser<'_>) -> Result<User, StoreError> {
    let user = users::insert(&**tenant, new).await?;
    let owner = match new.name.trim() {
        "" => new.email,
        name => name,
    };
    workspace::make(app, tenant, user.id, &workspace::named_after(owner)).await?;
    Ok(user)
}

/// Writes the letter that lets a person prove his address.
pub async fn ask_to_verify(
    app: &App,
    client: &impl GenericClient,
    user: UserId,
    email: &str,
    target: &Target,
) -> Result<(), StoreError> {
    if app.config.mail.is_none() {
        return Ok(());
    }
    let token = random::token("");
    let digest = hash::sha256(token.expose().as_bytes());
    let proof = Proof {
        user,
        email: email.to_owned(),
    };
    mail_proofs::insert(client, &digest, Purpose::Verify, &proof, LINK_MINUTES).await?;
    let letter = Letter::verify(&app.config.origin, email, &token, target.as_str());
    app.mail.post(client, &app.ring(), &letter).await
}
