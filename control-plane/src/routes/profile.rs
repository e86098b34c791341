//! What a person sees and says of himself.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use serde_json::{Value, json};

use ah5_contracts::audit::Action;
use ah5_store::tenant::Tenant;
use ah5_store::{accounts, users};

use crate::app::{App, time};
use crate::auth::origin;
use crate::input::Input;
use crate::routes::session::refusal::{AuthResult, Refusal};
use crate::routes::session::{current, home, record};
use crate::routes::sign_up::name_of;

/// `GET /list-accounts`: the ways in which the caller can sign in.
pub async fn accounts(State(app): State<App>, headers: HeaderMap) -> AuthResult {
    let here = current(&app, &headers).await?.ok_or(Refusal::NoSession)?;
    let found = accounts::of_user(&app.db().await?, here.user).await?;
    let shown: Vec<Value> = found
        .iter()
        .map(|account| {
            json!({
                "id": account.id.to_string(), "providerId": account.provider,
                "accountId": account.account, "userId": here.user, "scopes": [],
                "createdAt": time(account.created_at), "updatedAt": time(account.updated_at),
            })
        })
        .collect();
    Ok(Json(shown).into_response())
}

/// `POST /update-user {name?, image?}`
pub async fn update(State(app): State<App>, headers: HeaderMap, input: Input) -> AuthResult {
    origin::check_auth(&headers, &app.config.origin)?;
    let here = current(&app, &headers).await?.ok_or(Refusal::NoSession)?;
    let refuse = |code| Err(Refusal::Code(StatusCode::BAD_REQUEST, code));
    if input.has("email") {
        return refuse("EMAIL_CAN_NOT_BE_UPDATED");
    }
    let name = input.value("name").map(|_| name_of(&input)).transpose()?;
    let image = match input.optional_text("image").map_err(Refusal::field)? {
        // `null` takes the picture away.
        None => input.has("image").then(String::new),
        Some(image) if is_image(&image) => Some(image),
        Some(_) => return refuse("INVALID_IMAGE"),
    };
    if name.is_none() && image.is_none() {
        return refuse("NO_FIELDS_TO_UPDATE");
    }
    let workspace = home(&app, here.user).await?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    users::update(&*tenant, here.user, name.as_deref(), image.as_deref()).await?;
    record(&app, &tenant, here.user, Action::UserUpdated).await?;
    tenant.commit().await?;
    Ok(Json(json!({"status": true})).into_response())
}

// It is shown to other members: no script, and not endless.
fn is_image(text: &str) -> bool {
    let web = text.starts_with("https://") || text.starts_with("http://");
    let data = ["png", "jpeg", "gif", "webp"]
        .iter()
        .any(|kind| text.starts_with(&format!("data:image/{kind};base64,")));
    let longest = if data { 256 * 1024 } else { 2048 };
    (web || data) && text.len() <= longest && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_a_link_or_pixels() {
        for good in ["https://a.example/b.png", "data:image/png;base64,AAAA"] {
            assert!(is_image(good), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            "data:text/html,x",
            "data:image/svg+xml;base64,AAAA",
            "/x.png",
            "https://a\r\nb",
        ] {
            assert!(!is_image(bad), "{bad}");
        }
        assert!(!is_image(&format!("https://{}", "x".repeat(2048))));
    }
}
