//! What a reader sees in a text: the form in which rules look for words, so that invisible or
//! full-width characters hide nothing.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// NFKC without invisible and control characters, trimmed at both ends. Line breaks and tabs within
/// stay.
pub(crate) fn normal(text: &str) -> Cow<'_, str> {
    let trimmed = text.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    if trimmed
        .bytes()
        .all(|b| matches!(b, b' '..=b'~' | b'\t' | b'\n' | b'\r'))
    {
        return Cow::Borrowed(trimmed);
    }
    let seen = trimmed.chars().filter(|&c| !is_invisible(c)).nfkc();
    let seen: String = seen.filter(|&c| !is_invisible(c)).collect();
    let ends = |c: char| c.is_whitespace() || c.is_control();
    Cow::Owned(seen.trim_matches(ends).to_owned())
}

/// Unicode's default-ignorable code points, and control characters that are not white space.
fn is_invisible(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' => false,
        _ if c.is_control() => true,
        _ => matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fff8}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_the_same_reads_the_same() {
        for (text, expected) in [
            ("plain", "plain"),
            (" run.exe\n", "run.exe"),
            ("run.exe\u{0}", "run.exe"),
            ("pass\u{200b}word", "password"),
            ("pass\u{0}word", "password"),
            ("ig\u{200d}nore", "ignore"),
            ("ｓｅｃｒｅｔ", "secret"),
            ("a\nb", "a\nb"),
            ("caf\u{65}\u{301}", "café"),
            ("\u{ffa0}x\u{3164}", "x"),
        ] {
            assert_eq!(normal(text), expected, "{text:?}");
            assert_eq!(normal(expected), expected);
        }
    }
}
