//! Links to our own pages that act for whoever follows them: the agent must not find them in its
//! user's mail.

use crate::links::acts;

/// The origins whose links are looked for.
#[derive(Debug)]
pub(super) struct Links {
    /// Lower case, without a slash at the end.
    origins: Box<[Box<str>]>,
}

// === impl Links ===

impl Links {
    pub(super) fn new<O: AsRef<str>>(origins: &[O]) -> Self {
        let plain = |origin: &O| {
            origin
                .as_ref()
                .trim_end_matches('/')
                .to_ascii_lowercase()
                .into()
        };
        Self {
            origins: origins.iter().map(plain).collect(),
        }
    }

    /// Whether `link` is one of ours that acts.
    pub(super) fn has(&self, link: &[u8]) -> bool {
        self.origins.iter().any(|origin| {
            let (head, path) = link.split_at_checked(origin.len()).unwrap_or((b"", b""));
            head.eq_ignore_ascii_case(origin.as_bytes())
                && path.first().is_some_and(|byte| b"/?#".contains(byte))
                && acts(path)
        })
    }
}
