//! Path patterns: `*` is anything within a segment, `**` anything at all, and a trailing `/**` also
//! covers the path before it. Everything else is literal.
//!
//! Matching keeps the set of pattern positions that are alive, so its cost is bounded by path
//! length times pattern length whatever either holds; there is no backtracking to blow up.

use crate::url::{UrlError, canonical_literal, decode_text};

/// A compiled path pattern.
#[derive(Clone, Debug)]
pub struct Glob {
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    #[error("Path patterns must be non-empty strings")]
    Empty,
    #[error("no canonical path can match it: {0}")]
    Literal(#[from] UrlError),
    #[error("a path pattern starts with '/' or '*'")]
    Start,
    #[error("a path pattern is at most {MAX_PATTERN} bytes long")]
    TooLong,
}

#[derive(Clone, Debug)]
enum Form {
    Exact(Box<str>),
    General(Box<[Token]>),
    /// `prefix/**`: the prefix itself and everything below it.
    Subtree(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// `*`
    Segment,
    /// `**`
    Any,
    /// The optional `/` and anything after it: a trailing `/**`.
    Tail,
}

// === impl Glob ===

impl Glob {
    /// # Errors
    /// Patterns that no canonical path can match, so that a mistake shows when it is made.
    pub fn compile(pattern: &str) -> Result<Self, GlobError> {
        if pattern.is_empty() {
            return Err(GlobError::Empty);
        }
        if pattern.len() > MAX_PATTERN {
            return Err(GlobError::TooLong);
        }
        if !pattern.starts_with(['/', '*']) {
            return Err(GlobError::Start);
        }
        check_segments(pattern)?;
        let pattern = two_stars_at_most(pattern);
        let (body, subtree) = match pattern.strip_suffix("/**") {
            Some(body) => (body, true),
            None => (pattern.as_str(), false),
        };
        if !body.contains('*') {
            let literal = canonical_literal(body)?.into_boxed_str();
            let form = if subtree {
                Form::Subtree(literal)
            } else {
                Form::Exact(literal)
            };
            return Ok(Self { form });
        }
        let mut tokens = tokens(body)?;
        if subtree {
            tokens.push(Token::Tail);
        }
        Ok(Self {
            form: Form::General(tokens.into_boxed_slice()),
        })
    }

    /// Whether it has no star: it matches one path.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        matches!(self.form, Form::Exact(_))
    }

    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        match &self.form {
            Form::Exact(literal) => **literal == *path,
            Form::Subtree(prefix) => path
                .strip_prefix(&**prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Form::General(tokens) => run(tokens, path.as_bytes(), &mut 0),
        }
    }
}

// More than two stars in a row mean what two mean, also at the end.
fn two_stars_at_most(pattern: &str) -> String {
    let mut stars = 0;
    let keep = |c: &char| {
        stars = if *c == '*' { stars + 1 } else { 0 };
        stars <= 2
    };
    pattern.chars().filter(keep).collect()
}

fn check_segments(pattern: &str) -> Result<(), GlobError> {
    let segments = pattern.strip_prefix('/').unwrap_or(pattern).split('/');
    let mut empty_before_end = false;
    for segment in segments {
        if empty_before_end {
            return Err(UrlError::EmptySegment.into());
        }
        // Also written as `%2e`: a canonical path has none left.
        if matches!(&*decode_text(segment), "." | "..") {
            return Err(UrlError::AboveRoot.into());
        }
        empty_before_end = segment.is_empty();
    }
    if pattern.contains(['?', '#', '\\']) {
        // A bare `?` would read as a query, which patterns never see.
        return Err(UrlError::Escape.into());
    }
    Ok(())
}

fn tokens(body: &str) -> Result<Vec<Token>, GlobError> {
    let mut tokens = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.find('*') {
        tokens.extend(canonical_literal(&rest[..at])?.bytes().map(Token::Byte));
        let after = rest[at..].trim_start_matches('*');
        let stars = rest.len() - at - after.len();
        tokens.push(if stars == 1 {
            Token::Segment
        } else {
            Token::Any
        });
        rest = after;
    }
    tokens.extend(canonical_literal(rest)?.bytes().map(Token::Byte));
    Ok(tokens)
}

/// Whether `tokens` match all of `path`. `steps` counts the work, for the test that bounds it.
fn run(tokens: &[Token], path: &[u8], steps: &mut usize) -> bool {
    let literal = tokens
        .iter()
        .zip(path)
        .take_while(|(t, _)| matches!(t, Token::Byte(_)));
    let mut skip = 0;
    for (token, byte) in literal {
        if *token != Token::Byte(*byte) {
            return false;
        }
        skip += 1;
    }
    let mut alive = Positions::default();
    alive.add(tokens, skip);
    for &byte in &path[skip..] {
        let mut next = Positions::default();
        alive.for_each(|at| {
            *steps += 1;
            match tokens.get(at) {
                Some(Token::Byte(b)) if *b == byte => next.add(tokens, at + 1),
                Some(Token::Segment) if byte != b'/' => next.add(tokens, at),
                Some(Token::Any) => next.add(tokens, at),
                // The slash of a trailing `/**`; what follows it is free.
                Some(Token::Tail) if byte == b'/' => next.add(tokens, FREE),
                None if at == FREE => next.add(tokens, FREE),
                _ => {}
            }
        });
        if next.is_empty() {
            return false;
        }
        alive = next;
    }
    alive.accepts(tokens.len())
}

/// A set of positions in a pattern.
#[derive(Default)]
struct Positions([u64; WORDS]);

// === impl Positions ===

impl Positions {
    /// Adds a position, and those reached from it without reading a byte.
    fn add(&mut self, tokens: &[Token], mut at: usize) {
        loop {
            let (word, bit) = (at / 64, 1 << (at % 64));
            if self.0[word] & bit != 0 {
                return;
            }
            self.0[word] |= bit;
            match tokens.get(at) {
                Some(Token::Segment | Token::Any | Token::Tail) => at += 1,
                _ => return,
            }
        }
    }

    fn for_each(&self, mut visit: impl FnMut(usize)) {
        for (word, &bits) in self.0.iter().enumerate() {
            let mut bits = bits;
            while bits != 0 {
                visit(word * 64 + bits.trailing_zeros() as usize);
                bits &= bits - 1;
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    fn accepts(&self, end: usize) -> bool {
        let has = |at: usize| self.0[at / 64] & (1 << (at % 64)) != 0;
        has(end) || has(FREE)
    }
}

/// Longest pattern; encoding may triple what is literal, and all of it must fit `WORDS`.
pub const MAX_PATTERN: usize = 256;
const WORDS: usize = 13;
/// The position after a trailing `/**` has read its slash. Beyond every token.
const FREE: usize = WORDS * 64 - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Glob::compile(pattern).unwrap().matches(path)
    }

    #[test]
    fn stars_cover_what_they_should() {
        for (pattern, path, expected) in [
            ("/v1/a", "/v1/a", true),
            ("/v1/a", "/v1/a/", false),
            ("/v1/*", "/v1/a", true),
            ("/v1/*", "/v1/a/b", false),
            ("/v1/*", "/v1/", true),
            ("/v1/**", "/v1", true),
            ("/v1/**", "/v1/a/b/c", true),
            ("/v1/**", "/v1x", false),
            ("/**", "/", true),
            ("/**", "/any/thing", true),
            ("**", "/any/thing", true),
            ("/a/**/z", "/a/b/c/z", true),
            ("/a/**/z", "/a/z", false),
            ("/bot*/sendMessage", "/bot123/sendMessage", true),
            ("/bot*/sendMessage", "/bot1/2/sendMessage", false),
            ("/d/*:batchUpdate", "/d/D1:batchUpdate", true),
            ("/v*/x/**", "/v1/x", true),
            ("/v*/x/**", "/v1/x/y/z", true),
            ("/v*/x/**", "/v1/xy", false),
            ("**/x*y", "/x/a/xby", true),
            ("/v1/a+b/*", "/v1/aab/x", false),
            ("/v1.0/*", "/v1x0/me", false),
            ("/v1/([", "/v1/([", false),
            ("/a b/*", "/a%20b/c", true),
            ("/u/%40me", "/u/@me", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} on {path}");
        }
    }

    #[test]
    fn refuses_patterns_that_can_never_match() {
        for bad in [
            "",
            "v1/*",
            "/a//b",
            "/../x",
            "/a/./*",
            "/a/%2e%2E/*",
            "/%2e",
            "/a%2fb",
            "/a%",
            "/a?x=*",
            "/a%00*",
        ] {
            assert!(Glob::compile(bad).is_err(), "{bad}");
        }
        assert_eq!(
            Glob::compile(&"/a".repeat(200)).unwrap_err(),
            GlobError::TooLong
        );
    }

    #[test]
    fn the_longest_pattern_fits_the_position_set() {
        let widest = format!("/*{}", "é".repeat(127));
        assert!(widest.len() <= MAX_PATTERN);
        let path = format!("/x{}", "%C3%A9".repeat(127));
        assert!(matches(&widest, &path));
    }

    #[test]
    fn hostile_patterns_cost_no_more_than_length_times_length() {
        for pattern in [
            "/**a**a**a**a**a**a**b",
            "/*a*a*a*a*a*a*a*b",
            "/**aaaaaaaaaaaaaaaaaaa*b",
        ] {
            let tokens = tokens(pattern).unwrap();
            let path = format!("/{}", "a".repeat(4000));
            let mut steps = 0;
            assert!(!run(&tokens, path.as_bytes(), &mut steps));
            assert!(
                steps <= path.len() * (tokens.len() + 1),
                "{pattern}: {steps} steps"
            );
        }
    }
}
