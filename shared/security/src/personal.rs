//! Personal access tokens: a prefix, then in base64url the workspace's id and 32 random bytes. A
//! token names its workspace, so that whoever checks one looks in that workspace and nowhere else.

use ah5_contracts::claims::PERSONAL_TOKEN_PREFIX;
use ah5_contracts::id::WorkspaceId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::random;
use crate::secret::SecretText;

const ID: usize = 16;
const RANDOM: usize = 32;
/// Characters after the prefix.
const LENGTH: usize = (ID + RANDOM) * 4 / 3;

#[must_use]
pub fn make(workspace: WorkspaceId) -> SecretText {
    let mut bytes = Zeroizing::new([0; ID + RANDOM]);
    bytes[..ID].copy_from_slice(workspace.uuid().as_bytes());
    bytes[ID..].copy_from_slice(&*Zeroizing::new(random::bytes::<RANDOM>()));
    let mut text = String::with_capacity(PERSONAL_TOKEN_PREFIX.len() + LENGTH);
    text.push_str(PERSONAL_TOKEN_PREFIX);
    URL_SAFE_NO_PAD.encode_string(*bytes, &mut text);
    SecretText::new(text)
}

/// The workspace that a token says it is of; `None` if it has not the shape of one. Proves nothing.
#[must_use]
pub fn workspace_of(token: &str) -> Option<WorkspaceId> {
    let text = token.strip_prefix(PERSONAL_TOKEN_PREFIX)?;
    if text.len() != LENGTH {
        return None;
    }
    let mut bytes = Zeroizing::new([0; ID + RANDOM]);
    URL_SAFE_NO_PAD.decode_slice(text, &mut *bytes).ok()?;
    let id = uuid::Uuid::from_slice(&bytes[..ID]).ok()?;
    Some(WorkspaceId::from_uuid(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_workspace() {
        let workspace = WorkspaceId::random();
        let (one, other) = (make(workspace), make(workspace));
        assert_eq!(workspace_of(one.expose()), Some(workspace));
        assert_ne!(one.expose(), other.expose());
    }

    #[test]
    fn other_texts_name_none() {
        let token = make(WorkspaceId::random());
        let token = token.expose();
        for text in [
            "",
            "ah5p_",
            &token[5..],
            &token[..token.len() - 1],
            &format!("{token}A"),
            &token.replace("ah5p_", "ah5t_"),
            &format!("{}!", &token[..token.len() - 1]),
        ] {
            assert_eq!(workspace_of(text), None, "{text}");
        }
    }
}
