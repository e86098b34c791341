//! Patterns of rules: the ECMAScript dialect that policies are written in, run by a linear-time
//! engine. Equal patterns are one object however many policies hold them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind, Look, literal};

mod class;
mod quantifier;
mod size;
#[cfg(test)]
mod tests;
mod translate;

/// A compiled pattern. It is searched for, anywhere in the text unless it is anchored.
#[derive(Debug)]
pub struct Pattern {
    form: Form,
    /// About how many the engine's program has.
    states: u64,
}

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid regex — {pattern}: {why}")]
pub struct PatternError {
    pattern: String,
    why: String,
}

/// The patterns in use. A caller that compiles many policies keeps one.
#[derive(Debug, Default)]
pub struct Patterns {
    known: HashMap<Box<str>, Weak<Pattern>>,
    sweep_at: usize,
    /// States of the policy that is being compiled, those of patterns that are known included.
    states: u64,
}

/// Most rules name a literal path: those need no engine.
#[derive(Debug)]
enum Form {
    Contains(Box<str>),
    Exact(Box<str>),
    Prefix(Box<str>),
    Regex {
        /// What every match begins with, one of them; empty if nothing is known of it.
        prefixes: Box<[Box<str>]>,
        regex: Box<Regex>,
    },
    Suffix(Box<str>),
}

// === impl Pattern ===

impl Pattern {
    /// # Errors
    /// What the dialect does not know, what cannot run in linear time, what is too large.
    pub fn compile(pattern: &str) -> Result<Self, PatternError> {
        Self::compile_with(pattern, false)
    }

    fn compile_with(pattern: &str, fold: bool) -> Result<Self, PatternError> {
        let refuse = |why: String| PatternError::new(pattern, why);
        if pattern.len() > MAX_PATTERN {
            return Err(refuse(format!("longer than {MAX_PATTERN} bytes")));
        }
        let translated =
            translate::translate(pattern, fold).map_err(|why| refuse(why.to_string()))?;
        let hir = parse(&translated).map_err(refuse)?;
        if let Some(form) = Form::literal(&hir) {
            return Ok(Self { form, states: 0 });
        }
        // Before it is built: building takes its time by them.
        let states = size::states(&hir);
        if states > MAX_STATES {
            return Err(refuse("it is too large when compiled".to_owned()));
        }
        let form = Form::Regex {
            prefixes: anchored_prefixes(&hir),
            regex: Box::new(build(&translated).map_err(refuse)?),
        };
        Ok(Self { form, states })
    }

    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        match &self.form {
            Form::Contains(literal) => text.contains(&**literal),
            Form::Exact(literal) => text == &**literal,
            Form::Prefix(literal) => text.starts_with(&**literal),
            Form::Regex { prefixes, regex } => {
                let possible = || prefixes.iter().any(|prefix| text.starts_with(&**prefix));
                (prefixes.is_empty() || possible()) && regex.is_match(text)
            }
            Form::Suffix(literal) => text.ends_with(&**literal),
        }
    }
}

/// The pattern in the dialect of the `regex` crate, for recognisers that need more than a yes.
///
/// # Errors
/// As [`Pattern::compile`], but for its size when compiled.
pub(crate) fn to_linear(pattern: &str) -> Result<String, PatternError> {
    let refuse = |why: String| PatternError::new(pattern, why);
    if pattern.len() > MAX_PATTERN {
        return Err(refuse(format!("longer than {MAX_PATTERN} bytes")));
    }
    translate::translate(pattern, false).map_err(|why| refuse(why.to_string()))
}

// === impl PatternError ===

impl PatternError {
    fn new(pattern: &str, why: String) -> Self {
        Self {
            pattern: pattern.chars().take(80).collect(),
            why,
        }
    }
}

// === impl Patterns ===

impl Patterns {
    /// The pattern, which may already be known. With `fold` case makes no difference.
    ///
    /// # Errors
    /// As [`Pattern::compile`].
    pub fn compile(&mut self, pattern: &str, fold: bool) -> Result<Arc<Pattern>, PatternError> {
        let key = format!("{}{pattern}", if fold { 'i' } else { '-' });
        if let Some(known) = self.known.get(&*key).and_then(Weak::upgrade) {
            self.charge(pattern, known.states)?;
            return Ok(known);
        }
        let compiled = Arc::new(Pattern::compile_with(pattern, fold)?);
        self.charge(pattern, compiled.states)?;
        if self.known.len() >= self.sweep_at {
            self.known.retain(|_, pattern| pattern.strong_count() > 0);
            self.sweep_at = (self.known.len() * 2).max(64);
        }
        self.known.insert(key.into(), Arc::downgrade(&compiled));
        Ok(compiled)
    }

    /// From here on patterns are another policy's.
    pub(crate) const fn begin_policy(&mut self) {
        self.states = 0;
    }

    /// Counts a pattern that is built elsewhere.
    ///
    /// # Errors
    /// It is malformed, or the policy's patterns are too large together.
    pub(crate) fn count(&mut self, translated: &str) -> Result<(), PatternError> {
        let hir = parse(translated).map_err(|why| PatternError::new(translated, why))?;
        self.charge(translated, size::states(&hir))
    }

    fn charge(&mut self, pattern: &str, states: u64) -> Result<(), PatternError> {
        self.states = self.states.saturating_add(states);
        if self.states > MAX_STATES {
            let why = "the policy's patterns are too large together when compiled";
            return Err(PatternError::new(pattern, why.to_owned()));
        }
        Ok(())
    }

    /// How many patterns are in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.values().filter(|p| p.strong_count() > 0).count()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

// === impl Form ===

impl Form {
    /// `lit`, `^lit`, `lit$` and `^lit$`.
    fn literal(hir: &Hir) -> Option<Self> {
        let parts = match hir.kind() {
            HirKind::Concat(parts) => parts.as_slice(),
            _ => std::slice::from_ref(hir),
        };
        let is = |part: Option<&Hir>, look| {
            part.is_some_and(|part| matches!(part.kind(), HirKind::Look(l) if *l == look))
        };
        let start = usize::from(is(parts.first(), Look::Start));
        let end = parts.len() - usize::from(parts.len() > start && is(parts.last(), Look::End));
        let text = match &parts[start..end] {
            [] => String::new(),
            [one] => match one.kind() {
                HirKind::Literal(text) => str::from_utf8(&text.0).ok()?.to_owned(),
                HirKind::Empty => String::new(),
                _ => return None,
            },
            _ => return None,
        };
        let text = text.into_boxed_str();
        Some(match (start == 1, end < parts.len()) {
            (false, false) => Self::Contains(text),
            (false, true) => Self::Suffix(text),
            (true, false) => Self::Prefix(text),
            (true, true) => Self::Exact(text),
        })
    }
}

fn parse(translated: &str) -> Result<Hir, String> {
    let mut parser = regex_syntax::ParserBuilder::new();
    let parsed = parser.nest_limit(NEST_LIMIT).build().parse(translated);
    parsed.map_err(|_| "it is not well-formed".to_owned())
}

fn build(translated: &str) -> Result<Regex, String> {
    RegexBuilder::new(translated)
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_COMPILED)
        .nest_limit(NEST_LIMIT)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "it is too large when compiled".to_owned(),
            _ => "it is not well-formed".to_owned(),
        })
}

/// Only of a pattern that is anchored at its start.
fn anchored_prefixes(hir: &Hir) -> Box<[Box<str>]> {
    if !hir.properties().look_set_prefix().contains(Look::Start) {
        return Box::default();
    }
    let mut found = literal::Extractor::new().extract(hir);
    if found.len().is_none_or(|count| count > MAX_PREFIXES) {
        let common = found.longest_common_prefix().map(<[u8]>::to_vec);
        found = literal::Seq::new(common);
    }
    let literals = found.literals().unwrap_or_default().iter();
    // A prefix cut within a character is no text, and then nothing is known.
    let texts = literals.map(|literal| str::from_utf8(literal.as_bytes()).map(Into::into));
    texts.collect::<Result<_, _>>().unwrap_or_default()
}

/// Longest pattern, in bytes.
pub const MAX_PATTERN: usize = 4096;
/// Largest compiled program, and largest working memory of one search, in bytes.
const MAX_COMPILED: usize = 512 * 1024;
const MAX_PREFIXES: usize = 16;
/// Of all patterns of a policy: about five megabytes, built within a tenth of a second.
const MAX_STATES: u64 = 50_000;
const NEST_LIMIT: u32 = 60;
