//! The words that an agent looks for: `from:ann subject:"next week" unseen`.

use crate::imap::command::Command;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    Attachment,
    Body(String),
    Flagged,
    From(String),
    Seen,
    Subject(String),
    To(String),
    Unseen,
}

/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<Vec<Term>, &'static str> {
    if text.len() > MAX_TEXT {
        return Err("is too long");
    }
    if text.contains(char::is_control) {
        return Err("holds characters that cannot be looked for");
    }
    let mut terms = Vec::new();
    let mut words = Words(text);
    while let Some(word) = words.next() {
        if terms.len() == MAX_TERMS {
            return Err("has too many words");
        }
        terms.push(term(word, &mut words)?);
    }
    Ok(terms)
}

fn term(word: Word, words: &mut Words<'_>) -> Result<Term, &'static str> {
    let (key, value) = match word {
        Word::Keyed(key, value) => (key, value),
        Word::Plain(text) => {
            return Ok(match text.to_ascii_lowercase().as_str() {
                "unseen" => Term::Unseen,
                "seen" => Term::Seen,
                "flagged" => Term::Flagged,
                _ => Term::Subject(text),
            });
        }
        Word::Quoted(text) => return Ok(Term::Subject(text)),
    };
    // `from: ann` is `from:ann`.
    let value = match value.is_empty() {
        false => value,
        true => words.next().map(Word::text).ok_or("ends with a colon")?,
    };
    Ok(match key {
        Key::Body => Term::Body(value),
        Key::From => Term::From(value),
        Key::Has if value.eq_ignore_ascii_case("attachment") => Term::Attachment,
        Key::Has => Term::Subject(format!("has:{value}")),
        Key::Subject => Term::Subject(value),
        Key::To => Term::To(value),
    })
}

// === impl Term ===

impl Term {
    /// Adds it to a `SEARCH`, whose terms all have to hold.
    pub(super) fn add(&self, command: Command) -> Command {
        match self {
            // Servers know no better word for it.
            Self::Attachment => command.words(" HEADER Content-Type multipart/mixed"),
            Self::Body(text) => command.words(" BODY ").string(text),
            Self::Flagged => command.words(" FLAGGED"),
            Self::From(text) => command.words(" FROM ").string(text),
            Self::Seen => command.words(" SEEN"),
            Self::Subject(text) => command.words(" SUBJECT ").string(text),
            Self::To(text) => command.words(" TO ").string(text),
            Self::Unseen => command.words(" UNSEEN"),
        }
    }

    pub(super) fn is_ascii(&self) -> bool {
        match self {
            Self::Body(text) | Self::From(text) | Self::Subject(text) | Self::To(text) => {
                text.is_ascii()
            }
            Self::Attachment | Self::Flagged | Self::Seen | Self::Unseen => true,
        }
    }
}

enum Word {
    Keyed(Key, String),
    Plain(String),
    Quoted(String),
}

#[derive(Clone, Copy)]
enum Key {
    Body,
    From,
    Has,
    Subject,
    To,
}

// === impl Word ===

impl Word {
    fn text(self) -> String {
        match self {
            Self::Keyed(_, text) | Self::Plain(text) | Self::Quoted(text) => text,
        }
    }
}

/// What of the text was not read yet.
struct Words<'a>(&'a str);

// === impl Words ===

impl Words<'_> {
    fn next(&mut self) -> Option<Word> {
        self.0 = self.0.trim_start();
        if self.0.is_empty() {
            return None;
        }
        if self.0.starts_with('"') {
            return Some(Word::Quoted(self.quoted()));
        }
        for (name, key) in KEYS {
            let head = self.0.get(..name.len());
            if head.is_some_and(|head| head.eq_ignore_ascii_case(name)) {
                self.0 = &self.0[name.len()..];
                let value = match self.0.starts_with('"') {
                    true => self.quoted(),
                    false => self.plain(),
                };
                return Some(Word::Keyed(key, value));
            }
        }
        Some(Word::Plain(self.plain()))
    }

    /// To the quote that ends it, or to the end.
    fn quoted(&mut self) -> String {
        let inner = &self.0[1..];
        let (text, rest) = inner.split_once('"').unwrap_or((inner, ""));
        self.0 = rest;
        text.to_owned()
    }

    fn plain(&mut self) -> String {
        let end = self.0.find(char::is_whitespace).unwrap_or(self.0.len());
        let (text, rest) = self.0.split_at(end);
        self.0 = rest;
        text.to_owned()
    }
}

const KEYS: [(&str, Key); 5] = [
    ("from:", Key::From),
    ("to:", Key::To),
    ("subject:", Key::Subject),
    ("body:", Key::Body),
    ("has:", Key::Has),
];
const MAX_TERMS: usize = 20;
const MAX_TEXT: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_meant() {
        let text = |text: &str| text.to_owned();
        let cases: [(&str, Vec<Term>); 9] = [
            ("", vec![]),
            ("from:ann", vec![Term::From(text("ann"))]),
            (
                "FROM:\"Ann Lee\" to: bob",
                vec![Term::From(text("Ann Lee")), Term::To(text("bob"))],
            ),
            (
                "subject:\"next week\" body:x",
                vec![Term::Subject(text("next week")), Term::Body(text("x"))],
            ),
            (
                "unseen Seen FLAGGED",
                vec![Term::Unseen, Term::Seen, Term::Flagged],
            ),
            ("has:attachment", vec![Term::Attachment]),
            (
                "two words",
                vec![Term::Subject(text("two")), Term::Subject(text("words"))],
            ),
            (
                "\"unseen from:x\"",
                vec![Term::Subject(text("unseen from:x"))],
            ),
            ("subject:\"open", vec![Term::Subject(text("open"))]),
        ];
        for (q, terms) in cases {
            assert_eq!(parse(q), Ok(terms), "{q}");
        }
        assert!(parse("from:").is_err());
        assert!(parse("a\r\nb LOGOUT").is_err());
        assert!(parse(&"x ".repeat(21)).is_err());
        assert!(parse(&"x".repeat(1001)).is_err());
    }
}
