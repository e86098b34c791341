//! Links to our own pages that act for whoever follows them: the agent must not find them in its
//! user's mail.

use super::kind::Kind;
use super::probe::Probe;
use super::words::{Candidate, found, url};

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

    pub(super) fn at(&self, probe: &mut Probe<'_>, start: usize) -> Option<Candidate> {
        let end = url(probe, start)?.end;
        let link = &probe.text()[start..end];
        let is_ours = self.origins.iter().any(|origin| {
            let (head, path) = link.split_at_checked(origin.len()).unwrap_or((b"", b""));
            head.eq_ignore_ascii_case(origin.as_bytes()) && acts(path)
        });
        is_ours.then_some(found(Kind::Url, end, 100))
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
