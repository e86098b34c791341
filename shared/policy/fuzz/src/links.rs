//! Our own acting links: none gets past, however the answer is cut, and its length stays.

use std::sync::{Arc, LazyLock};

use ah5_policy::links::{LinkGuard, OwnLinks};
use bytes::Bytes;

/// A line whose bytes are sizes of pieces, then the answer.
pub fn links(data: &[u8]) {
    let (cuts, answer) = crate::line_and_rest(data);
    let whole = LINKS.mask(answer);
    let whole = whole.as_deref().unwrap_or(answer);
    assert_eq!(whole.len(), answer.len());
    assert!(LINKS.mask(whole).is_none(), "a link is left");
    for cuts in [&[], cuts, &[0]] {
        let out = guarded(answer, cuts);
        assert_eq!(out.len(), answer.len(), "cut at {cuts:?}");
        let left = LINKS.mask(&out);
        assert!(
            left.is_none(),
            "a link got past, cut at {cuts:?}: {}",
            out.escape_ascii()
        );
    }
}

fn guarded(answer: &[u8], cuts: &[u8]) -> Vec<u8> {
    let mut guard = LinkGuard::new(Arc::clone(&LINKS));
    let mut rest = Bytes::copy_from_slice(answer);
    let mut out = Vec::new();
    let mut sizes = cuts.iter().cycle();
    while !rest.is_empty() {
        let size = sizes
            .next()
            .map_or(rest.len(), |&size| usize::from(size % 61) + 1);
        let piece = rest.split_to(size.min(rest.len()));
        out.extend_from_slice(&guard.push(piece, false));
    }
    out.extend_from_slice(&guard.push(Bytes::new(), true));
    out
}

static LINKS: LazyLock<Arc<OwnLinks>> = LazyLock::new(|| {
    let origins = ["https://ah5.example", "http://localhost:8080"];
    Arc::new(OwnLinks::new(&origins))
});
