//! One spelling for each target, so that a rule about a folder cannot be got around by another: made
//! before anything is judged.

use std::borrow::Cow;

use crate::imap::folder::INBOX;

/// The URL that somebody wrote, its query left alone: a slash within a folder's name may come
/// encoded, as clients do it; it separates the name's parts all the same.
#[must_use]
pub fn canonical(url: &str) -> Cow<'_, str> {
    let path = url.split('?').next().unwrap_or_default();
    if !path.contains("%2F") && !path.contains("%2f") {
        return Cow::Borrowed(url);
    }
    let plain = path.replace("%2F", "/").replace("%2f", "/");
    Cow::Owned(format!("{plain}{}", &url[path.len()..]))
}

/// The `folder` that a call of this path has to name, given what it names: letters are in the inbox if
/// nothing is said, and the inbox is spelled in one way.
///
/// # Errors
/// It is named twice.
pub fn folder<'a>(
    path: &str,
    named: impl Iterator<Item = Cow<'a, str>>,
) -> Result<Option<&'static str>, &'static str> {
    let is_letters = path == "/messages" || path.starts_with("/messages/");
    if !is_letters || path == "/messages/send" {
        return Ok(None);
    }
    let mut named = named.peekable();
    let Some(first) = named.next() else {
        return Ok(Some(INBOX));
    };
    if named.peek().is_some() {
        return Err("folder is given twice");
    }
    let spelled = first.eq_ignore_ascii_case(INBOX) && first != INBOX;
    Ok((first.is_empty() || spelled).then_some(INBOX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_of(path: &str, named: &[&'static str]) -> Result<Option<&'static str>, &'static str> {
        folder(path, named.iter().map(|name| Cow::Borrowed(*name)))
    }

    #[test]
    fn a_folder_is_named_once_and_in_one_way() {
        assert_eq!(folder_of("/messages", &[]), Ok(Some("INBOX")));
        assert_eq!(folder_of("/messages/7/move", &[""]), Ok(Some("INBOX")));
        assert_eq!(folder_of("/messages", &["inBox"]), Ok(Some("INBOX")));
        assert_eq!(folder_of("/messages", &["INBOX"]), Ok(None));
        assert_eq!(folder_of("/messages", &["Secret"]), Ok(None));
        assert!(folder_of("/messages", &["Secret", "INBOX"]).is_err());
        for path in ["/folders", "/messages/send", "/messagesx", "/"] {
            assert_eq!(folder_of(path, &[]), Ok(None), "{path}");
        }
    }

    #[test]
    fn a_slash_in_a_name_separates_it() {
        assert_eq!(
            canonical("/folders/a%2Fb%2fc?q=%2F"),
            "/folders/a/b/c?q=%2F"
        );
        assert_eq!(canonical("/folders/a%252Fb"), "/folders/a%252Fb");
        assert_eq!(canonical("/folders"), "/folders");
    }
}
