//! Links to our own pages that act for whoever follows them: the agent must not find them in its
//! user's mail.

/// The origins whose links are looked for.
#[derive(Debug)]
pub(super) struct Links {
    /// Lower case, without a slash at the end.
    origins: Box<[Box<str>]>,
}

// === impl Links ===

impl Links {
    pub(super) fn new(origins: &[&str]) -> Self {
        let plain = |origin: &&str| origin.trim_end_matches('/').to_ascii_lowercase().into();
        Self {
            origins: origins.iter().map(plain).collect(),
        }
    }

    /// Whether `link` is one of ours that acts.
    pub(super) fn has(&self, link: &[u8]) -> bool {
        self.origins.iter().any(|origin| {
            let (head, path) = link.split_at_checked(origin.len()).unwrap_or((b"", b""));
            head.eq_ignore_ascii_case(origin.as_bytes()) && acts(path)
        })
    }
}

/// Whether a path and query is one that acts.
fn acts(path: &[u8]) -> bool {
    let path = path.to_ascii_lowercase();
    path.first().is_some_and(|byte| b"/?#".contains(byte))
        && ACTING
            .iter()
            .any(|word| memchr::memmem::find(&path, word).is_some())
}

const ACTING: &[&[u8]] = &[
    b"quick-action",
    b"reset-password",
    b"verify-email",
    b"invitation",
    b"invite",
    b"token=",
    b"magic-link",
];
