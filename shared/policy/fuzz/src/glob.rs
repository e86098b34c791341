//! Path patterns, beside a matcher too slow to be clever.

use ah5_policy::CanonicalUrl;
use ah5_policy::glob::Glob;

/// A pattern, a line break, a path.
pub fn glob(data: &[u8]) {
    let Some((pattern, path)) = crate::two_texts(data) else {
        return;
    };
    let Ok(glob) = Glob::compile(pattern) else {
        return;
    };
    let Some(path) = canonical(path) else {
        return;
    };
    let matched = glob.matches(&path);
    // An encoded star is a literal, and looks like any other in a canonical pattern.
    if pattern.to_ascii_lowercase().contains("%2a") || !pattern.starts_with('/') {
        return;
    }
    if let Some(plain) = canonical(pattern) {
        assert_eq!(
            matched,
            reference(plain.as_bytes(), path.as_bytes()),
            "{plain} on {path}"
        );
    }
}

fn canonical(path: &str) -> Option<String> {
    // A URL's reader cuts spaces off at the end.
    if path.contains('?') || path.ends_with(' ') {
        return None;
    }
    let url = CanonicalUrl::parse(&format!("https://h.example{path}")).ok()?;
    Some(url.path().to_owned())
}

/// The plain meaning of a pattern: `ends[i]` is whether what was read so far may end at byte `i`.
fn reference(pattern: &[u8], path: &[u8]) -> bool {
    let (mut pattern, subtree) = match pattern.strip_suffix(b"/**") {
        Some(body) => (body, true),
        None => (pattern, false),
    };
    // More than two stars are two.
    let subtree = subtree || {
        let body = pattern.trim_end_with(b'*');
        let cut = pattern.len() - body.len() > 2 && body.ends_with(b"/");
        if cut {
            pattern = &body[..body.len() - 1];
        }
        cut
    };
    let mut ends = vec![false; path.len() + 1];
    ends[0] = true;
    while let Some((&first, rest)) = pattern.split_first() {
        let stars = pattern.iter().take_while(|&&byte| byte == b'*').count();
        ends = match stars {
            0 => literal(&ends, path, first),
            1 => many(&ends, path, |byte| byte != b'/'),
            _ => many(&ends, path, |_| true),
        };
        pattern = if stars > 1 { &pattern[stars..] } else { rest };
    }
    let below = |at: usize| subtree && path.get(at) == Some(&b'/');
    ends[path.len()] || (0..path.len()).any(|at| ends[at] && below(at))
}

fn literal(ends: &[bool], path: &[u8], byte: u8) -> Vec<bool> {
    let reached = |at: usize| at > 0 && ends[at - 1] && path[at - 1] == byte;
    (0..ends.len()).map(reached).collect()
}

fn many(ends: &[bool], path: &[u8], fits: impl Fn(u8) -> bool) -> Vec<bool> {
    let mut reached = ends.to_vec();
    for at in 1..ends.len() {
        reached[at] |= reached[at - 1] && fits(path[at - 1]);
    }
    reached
}

trait TrimEnd {
    fn trim_end_with(&self, byte: u8) -> &[u8];
}

// === impl [u8] ===

impl TrimEnd for [u8] {
    fn trim_end_with(&self, byte: u8) -> &[u8] {
        let kept = self.iter().rposition(|&b| b != byte).map_or(0, |at| at + 1);
        &self[..kept]
    }
}
