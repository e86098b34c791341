//! Patterns of rules: whatever compiles, runs, and folding case only ever matches more.

use ah5_policy::Patterns;
use ah5_policy::pattern::Pattern;

/// A pattern, a line break, a text.
pub fn pattern(data: &[u8]) {
    let Some((pattern, text)) = crate::two_texts(data) else {
        return;
    };
    let Ok(compiled) = Pattern::compile(pattern) else {
        return;
    };
    let matched = compiled.is_match(text);
    let mut known = Patterns::default();
    let shared = known.compile(pattern, false).expect("it compiled before");
    assert_eq!(shared.is_match(text), matched, "{pattern}");
    drop(shared);
    assert!(known.is_empty());
    whole_words(pattern, text, matched);
}

/// A text without a character that means something to a pattern is searched for as it stands.
fn whole_words(pattern: &str, text: &str, matched: bool) {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '@' | '_' | '~' | '"' | '%');
    if pattern.chars().all(plain) {
        assert_eq!(matched, text.contains(pattern), "{pattern}");
    }
}
