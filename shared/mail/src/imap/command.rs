//! One command. Its words are ours; what anybody else chose goes in as a string, which is quoted or
//! counted: it cannot end, and be followed by a command of its own.

use super::folder::Folder;

pub(crate) struct Command(Vec<Piece>);

pub(crate) enum Piece {
    /// Sent as soon as the server asks for it.
    Literal(Vec<u8>),
    Text(String),
}

// === impl Command ===

impl Command {
    pub(crate) fn new(words: &'static str) -> Self {
        Self(vec![Piece::Text(words.to_owned())])
    }

    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.0
    }

    pub(crate) fn words(mut self, words: &'static str) -> Self {
        self.push(words);
        self
    }

    pub(crate) fn number(mut self, number: usize) -> Self {
        self.push(&number.to_string());
        self
    }

    /// A set of numbers: `3,2,1`.
    pub(crate) fn numbers(mut self, numbers: &[u32]) -> Self {
        for (i, number) in numbers.iter().enumerate() {
            if i > 0 {
                self.push(",");
            }
            self.push(&number.to_string());
        }
        self
    }

    /// Anything at all.
    pub(crate) fn string(mut self, text: &str) -> Self {
        let plain = |b: u8| (b' '..0x7f).contains(&b) && !matches!(b, b'"' | b'\\');
        if text.len() <= MAX_QUOTED && text.bytes().all(plain) {
            self.push(&format!("\"{text}\""));
        } else {
            self.0.push(Piece::Literal(text.as_bytes().to_vec()));
        }
        self
    }

    pub(crate) fn folder(self, folder: &Folder) -> Self {
        let name = folder.wire();
        self.string(&name)
    }

    /// Words that were checked to be atoms, in brackets.
    pub(crate) fn atoms(mut self, atoms: &[Atom]) -> Self {
        self.push("(");
        for (i, atom) in atoms.iter().enumerate() {
            if i > 0 {
                self.push(" ");
            }
            self.push(&atom.0);
        }
        self.push(")");
        self
    }

    fn push(&mut self, text: &str) {
        match self.0.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.0.push(Piece::Text(text.to_owned())),
        }
    }
}

/// A flag: a word that needs no quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Atom(String);

// === impl Atom ===

impl Atom {
    /// `\Seen` and its like, or a keyword. `None` for what is neither.
    #[must_use]
    pub fn flag(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix('\\') {
            let known = SYSTEM.iter().find(|known| known.eq_ignore_ascii_case(name));
            return known.map(|name| Self(format!("\\{name}")));
        }
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'$' | b'_' | b'-' | b'.');
        let fits = (1..=MAX_KEYWORD).contains(&text.len()) && text.bytes().all(legal);
        fits.then(|| Self(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Not `\Deleted`, which is another operation, and not `\Recent`, which is the server's.
const SYSTEM: [&str; 4] = ["Answered", "Draft", "Flagged", "Seen"];
const MAX_KEYWORD: usize = 64;
const MAX_QUOTED: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(command: &Command) -> String {
        let pieces = command.pieces().iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Literal(bytes) => format!("{{{}}}{:?}", bytes.len(), bytes),
        });
        pieces.collect()
    }

    #[test]
    fn no_text_becomes_a_command() {
        let plain = Command::new("X ").string("a (b) {3} *");
        assert_eq!(written(&plain), "X \"a (b) {3} *\"");
        for hostile in [
            "a\r\nb LOGOUT",
            "a\" LOGOUT \"",
            "\\",
            "a\nb",
            "a\0b",
            "ü",
            &"x".repeat(600),
        ] {
            let command = Command::new("X ").string(hostile);
            let [Piece::Text(words), Piece::Literal(bytes)] = command.pieces() else {
                panic!("{hostile:?} is not counted");
            };
            assert_eq!(
                (words.as_str(), bytes.as_slice()),
                ("X ", hostile.as_bytes())
            );
        }
    }

    #[test]
    fn flags_are_words_and_none_that_deletes() {
        let flag = |text: &str| Atom::flag(text).map(|atom| atom.0);
        assert_eq!(flag("\\seen"), Some("\\Seen".into()));
        assert_eq!(flag("$Forwarded"), Some("$Forwarded".into()));
        for bad in [
            "",
            "\\Deleted",
            "\\deleted",
            "\\Recent",
            "\\*",
            "a b",
            "a)",
            "a\r\nb",
            "\\Seen)",
            "ü",
            "a\"",
            "{1}",
        ] {
            assert_eq!(flag(bad), None, "{bad:?}");
        }
    }
}
