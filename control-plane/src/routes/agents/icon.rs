//! An agent's icon: a link to an image, or the image itself.

use crate::error::AppError;
use crate::input::Input;

/// Room for a small image within the link.
const MAX_LENGTH: usize = 64 * 1024;

/// `None` takes the icon away.
pub(super) fn read(input: &Input) -> Result<Option<String>, AppError> {
    let icon = input.optional_text("iconUrl")?;
    if icon.as_deref().is_some_and(|icon| !is_image_url(icon)) {
        return Err(AppError::bad_request(
            "body/iconUrl must be an http, https or data:image URL",
        ));
    }
    if icon.as_deref().is_some_and(|icon| icon.len() > MAX_LENGTH) {
        return Err(AppError::bad_request(
            "body/iconUrl must NOT have more than 65536 characters",
        ));
    }
    Ok(icon)
}

// Anything else (`javascript:` above all) would run in the dashboard.
fn is_image_url(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| match url.scheme() {
        "http" | "https" => true,
        "data" => url.path().starts_with("image/"),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn icons_are_images_and_never_scripts() {
        for good in ["https://a/b.png", "data:image/png;base64,AA=="] {
            assert!(is_image_url(good), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            " java\tscript:alert(1)",
            "data:text/html,<b>",
            "blob:https://a/1",
            "b.png",
            "",
        ] {
            assert!(!is_image_url(bad), "{bad:?}");
        }
    }
}
