//! An address is proven by a code that is mailed to it: nobody gets a workspace's messages who has not
//! asked for them.

use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde_json::{Value, json};

use ah5_contracts::audit::Action;
use ah5_contracts::id::ChannelId;
use ah5_security::secret::SecretText;
use ah5_security::{hash, random};
use ah5_store::channels::{self, Channel};
use ah5_store::tenant::Tenant;

use crate::app::App;
use crate::auth::caller::Caller;
use crate::auth::throttle;
use crate::channels::{Kind, setting};
use crate::error::{AppError, AppResult};
use crate::input::Input;
use crate::mail::Letter;
use crate::mail::letter::CODE_MINUTES;

use super::{record, unknown};

/// Proves the address by the code that came to it.
pub async fn verify(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    input: Input,
) -> AppResult {
    let id: ChannelId = id.parse()?;
    let code = SecretText::new(input.text("code")?.trim().to_owned());
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let channel = channels::lock(&tenant, id).await?.ok_or_else(unknown)?;
    if channel.channel_type != Kind::Email.as_str() {
        return Err(AppError::bad_request("Only email channels have a code"));
    }
    let kept = channels::guess_code(&tenant, id, MOST_GUESSES).await?;
    let known = digests(&app, &channel, &code);
    let right = kept.is_some_and(|kept| known.iter().any(|it| hash::equal(&kept, it)));
    if right {
        channels::verify(&tenant, id, channel.revision).await?;
        record(&app, &tenant, &caller, &channel, Action::ChannelVerified).await?;
    }
    // A wrong guess counts, too.
    tenant.commit().await?;
    if !right {
        return Err(AppError::bad_request("The code is wrong or no longer good")
            .hint("POST …/test sends a new one."));
    }
    Ok(Json(json!({"id": id, "verificationStatus": "verified"})).into_response())
}

/// Whether there is mail at all, and not too much of it for this address.
pub async fn may_mail(app: &App, kind: Kind, config: &Value) -> Result<(), AppError> {
    if kind != Kind::Email {
        return Ok(());
    }
    if app.config.mail.is_none() {
        return Err(AppError::bad_request("Mail is not configured here"));
    }
    let address = config["address"].as_str().unwrap_or_default();
    match throttle::may_write(app, address).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(
            AppError::conflict("This address was sent several letters lately")
                .hint("Try again in a quarter of an hour."),
        ),
        Err(_) => Err(AppError::unavailable()),
    }
}

pub async fn mail(app: &App, tenant: &Tenant<'_>, channel: &Channel) -> Result<(), AppError> {
    let number = u64::from_be_bytes(random::bytes()) % CODES;
    let code = SecretText::new(format!("{number:08}"));
    let [hash, ..] = digests(app, channel, &code)[..] else {
        return Err(AppError::internal("a ring without a key"));
    };
    channels::set_code(tenant, channel.id, &hash, CODE_MINUTES).await?;
    let to = setting(channel, "address");
    let letter = Letter::channel_code(&app.config.origin, to, &code);
    Ok(app.mail.post(&**tenant, &app.ring(), &letter).await?)
}

// Keyed: there are too few codes for a plain hash to hide one from a reader of the database. By each
// key of the ring, the current one's first: another may have been current when the code was mailed.
fn digests(app: &App, channel: &Channel, code: &SecretText) -> Vec<[u8; 32]> {
    let text = SecretText::new(format!(
        "{} {} {}",
        channel.id,
        channel.revision,
        code.expose()
    ));
    app.ring().digests("channel-code", text.expose())
}

const CODES: u64 = 100_000_000;
const MOST_GUESSES: i32 = 5;
