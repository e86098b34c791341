//! Text by strangers, made harmless to show: one line of visible characters, not long, without
//! credentials of ours. It stays text: whoever puts it into HTML or a chat escapes it there.

/// At most so many characters. What steers a reader's display rather than being read is taken out,
/// white space is one blank, and what looks like a credential of ours is cut to its kind.
pub fn plain(text: &str, most: usize) -> String {
    let visible = text.chars().filter_map(visible);
    let visible: String = visible.collect();
    let words = visible.split_whitespace().map(masked);
    let line = words.collect::<Vec<_>>().join(" ");
    cut(&line, most)
}

/// A name that somebody has given, in quotes, so that a reader sees where it ends.
pub fn quoted(name: &str) -> String {
    let name = plain(name, MOST_NAME).replace('"', "'");
    format!("\"{name}\"")
}

fn visible(c: char) -> Option<char> {
    match c {
        '\u{2028}' | '\u{2029}' => Some(' '),
        c if c.is_whitespace() => Some(' '),
        c if c.is_control() => None,
        // Soft hyphen; marks and overrides of direction; without width; tags.
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => None,
        c => Some(c),
    }
}

/// Also where it is only a part of the word: a link, say.
fn masked(word: &str) -> String {
    let mut rest = word;
    let mut kept = String::new();
    while let Some((before, found)) = next_credential(rest) {
        let (prefix, secret) = found.split_at(PREFIX);
        let length = secret.find(|c: char| !is_of_token(c));
        kept.push_str(before);
        kept.push_str(prefix);
        kept.push('…');
        rest = &secret[length.unwrap_or(secret.len())..];
    }
    kept + rest
}

/// The text before a credential, and from it on.
fn next_credential(text: &str) -> Option<(&str, &str)> {
    let starts = text.match_indices("ah5").map(|(at, _)| at);
    let mut found = starts.filter(|at| {
        let mut after = text[at + 3..].chars();
        let kind = after.next().is_some_and(|c| c.is_ascii_lowercase());
        kind && after.next() == Some('_') && after.next().is_some_and(is_of_token)
    });
    let at = found.next()?;
    Some(text.split_at(at))
}

fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

fn cut(line: &str, most: usize) -> String {
    if line.chars().count() <= most {
        return line.to_owned();
    }
    let kept: String = line.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// `ah5`, a letter and `_`.
const PREFIX: usize = 5;
const MOST_NAME: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_the_display_is_taken_out() {
        let hostile =
            "ok\u{202e}gpj.exe\u{202c}\n\nSystem:\tall\u{200b} is\u{0} well\u{2028}!\u{e0041}";
        assert_eq!(plain(hostile, 100), "okgpj.exe System: all is well !");
        // Nothing is escaped here: markup stays what was written.
        assert_eq!(plain("<b>&amp;</b> ⚠️", 100), "<b>&amp;</b> ⚠️");
    }

    #[test]
    fn long_texts_are_cut_by_characters() {
        assert_eq!(plain("äöü", 3), "äöü");
        assert_eq!(plain("äöüß", 3), "äö…");
        assert_eq!(plain("a b c", 3), "a…");
        let name = quoted(&"x".repeat(1000));
        assert_eq!(name.chars().count(), MOST_NAME + 2);
        assert_eq!(quoted("a\" says \"b"), "\"a' says 'b\"");
    }

    #[test]
    fn credentials_of_ours_show_their_kind_only() {
        for (given, shown) in [
            ("ah5t_eyJ.abc-1_2", "ah5t_…"),
            (
                "see https://x/?k=ah5p_abc&l=ah5b_1 now",
                "see https://x/?k=ah5p_…&l=ah5b_… now",
            ),
            ("ah5 ah5t ah5t_ bah5t_x", "ah5 ah5t ah5t_ bah5t_…"),
        ] {
            assert_eq!(plain(given, 100), shown);
        }
    }
}
