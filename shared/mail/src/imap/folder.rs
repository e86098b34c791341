//! The name of a folder, as people write it.

use super::utf7;

/// A name that means one folder: nothing in it asks for several, or for another place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder(String);

// === impl Folder ===

impl Folder {
    /// `None` for what can be no folder's name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let wildcard = |c: char| c.is_control() || matches!(c, '*' | '%');
        // Places of other people, and of the server's own.
        let elsewhere = text.starts_with(['~', '#', '/', '\\']) || text.contains("..");
        let fits = (1..=MAX_NAME).contains(&text.len());
        if !fits || elsewhere || text.contains(wildcard) {
            return None;
        }
        Some(Self(text.to_owned()))
    }

    #[must_use]
    pub fn inbox() -> Self {
        Self(INBOX.to_owned())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// In the alphabet that all servers take.
    pub(crate) fn wire(&self) -> String {
        utf7::encode(&self.0)
    }
}

/// As a server wrote it.
pub(crate) fn decode(name: &str) -> String {
    utf7::decode(name)
}

/// The one folder whose name has no case (RFC 9051 §5.1).
pub const INBOX: &str = "INBOX";
const MAX_NAME: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_one_folder() {
        for good in [
            "INBOX",
            "a b",
            "Entwürfe",
            "a/b",
            "a.b",
            "日本",
            "\"x\"",
            "a&b",
        ] {
            assert!(Folder::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "*",
            "a%",
            "~ann/INBOX",
            "#shared/x",
            "/etc",
            "a/../b",
            "a\r\nb",
            "a\0",
            &"x".repeat(513),
        ] {
            assert!(Folder::parse(bad).is_none(), "{bad:?}");
        }
    }
}
