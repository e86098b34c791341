//! What a server says, read without trust: anything malformed is read as far as it makes sense, and
//! lists within lists only so deep.

/// One line, with the literals that it counts.
#[derive(Default)]
pub(crate) struct Line(Vec<Part>);

enum Part {
    Literal(Vec<u8>),
    Text(Vec<u8>),
}

/// An untagged line, without its star.
pub(crate) struct Reply(Vec<Value>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    List(Vec<Value>),
    /// Quoted or counted.
    Text(Vec<u8>),
    /// A word without quotes; what is in square brackets belongs to it.
    Word(String),
}

// === impl Line ===

impl Line {
    /// The next piece of the line; how many bytes follow it, if it counts a literal.
    pub(super) fn add(&mut self, mut text: Vec<u8>) -> Option<usize> {
        let counted = literal(&text);
        if counted.is_some() {
            let at = text.iter().rposition(|byte| *byte == b'{');
            text.truncate(at.unwrap_or_default());
        }
        self.0.push(Part::Text(text));
        counted
    }

    pub(super) fn add_literal(&mut self, bytes: Vec<u8>) {
        self.0.push(Part::Literal(bytes));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.len() == 1 && self.text().is_empty()
    }

    pub(super) fn starts_with(&self, start: &str) -> bool {
        self.text().starts_with(start.as_bytes())
    }

    /// What follows the tag, if it is this one.
    pub(super) fn tagged(&self, tag: &str) -> Option<String> {
        let rest = self.text().strip_prefix(tag.as_bytes())?;
        let rest = rest.strip_prefix(b" ")?;
        Some(String::from_utf8_lossy(rest).into_owned())
    }

    /// Whether it is a reply of this kind.
    pub(super) fn is(&self, kind: &str) -> bool {
        let mut words = self.text().split(|byte| *byte == b' ');
        if words.next() != Some(b"*") {
            return false;
        }
        let first = words.next().unwrap_or_default();
        let numbered = !first.is_empty() && first.iter().all(u8::is_ascii_digit);
        let word = if numbered { words.next() } else { Some(first) };
        word.is_some_and(|word| word.eq_ignore_ascii_case(kind.as_bytes()))
    }

    pub(super) fn read(&self) -> Reply {
        let mut reader = Reader::default();
        for (i, part) in self.0.iter().enumerate() {
            match part {
                Part::Literal(bytes) => reader.push(Value::Text(bytes.clone())),
                Part::Text(text) if i == 0 => reader.text(text.strip_prefix(b"* ").unwrap_or(text)),
                Part::Text(text) => reader.text(text),
            }
        }
        Reply(reader.finish())
    }

    fn text(&self) -> &[u8] {
        match self.0.first() {
            Some(Part::Text(text)) => text,
            _ => &[],
        }
    }
}

// === impl Reply ===

impl Reply {
    pub(crate) fn values(&self) -> &[Value] {
        &self.0
    }

    /// The words after the reply's own name.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        self.0.iter().skip(1).filter_map(Value::word)
    }

    /// The number that stands in front: of `* 3 EXISTS`.
    pub(crate) fn number(&self) -> Option<u32> {
        self.0.first()?.word()?.parse().ok()
    }
}

// === impl Value ===

impl Value {
    pub(crate) fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            Self::List(_) | Self::Text(_) => None,
        }
    }

    pub(crate) fn list(&self) -> &[Value] {
        match self {
            Self::List(list) => list,
            Self::Text(_) | Self::Word(_) => &[],
        }
    }

    /// A string, in whichever way it was written; `None` for `NIL` and lists.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(bytes) => Some(bytes),
            Self::Word(word) if !word.eq_ignore_ascii_case("NIL") => Some(word.as_bytes()),
            Self::List(_) | Self::Word(_) => None,
        }
    }

    pub(crate) fn text(&self) -> Option<String> {
        let bytes = self.bytes()?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    /// What stands behind this name in a list of names and values.
    pub(crate) fn get<'a>(list: &'a [Self], name: &str) -> Option<&'a Self> {
        let pairs = list.chunks_exact(2);
        let mut found = pairs.filter(|pair| {
            let word = pair[0].word().unwrap_or_default().as_bytes();
            let head = word.get(..name.len());
            // `BODY[…]<0>` is found by `BODY[`.
            let whole = word.len() == name.len() || name.ends_with('[');
            whole && head.is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()))
        });
        found.next().map(|pair| &pair[1])
    }
}

/// Lists that are open, the innermost last.
#[derive(Default)]
struct Reader {
    done: Vec<Value>,
    open: Vec<Vec<Value>>,
    /// Lists that are open beyond what is kept.
    too_deep: usize,
}

// === impl Reader ===

impl Reader {
    fn text(&mut self, mut rest: &[u8]) {
        while let Some((&byte, tail)) = rest.split_first() {
            rest = match byte {
                b' ' => tail,
                b'(' => {
                    self.begin();
                    tail
                }
                b')' => {
                    self.end();
                    tail
                }
                b'"' => {
                    let (text, tail) = quoted(tail);
                    self.push(Value::Text(text));
                    tail
                }
                _ => {
                    let (word, tail) = rest.split_at(word(rest));
                    self.push(Value::Word(String::from_utf8_lossy(word).into_owned()));
                    tail
                }
            };
        }
    }

    fn begin(&mut self) {
        if self.too_deep > 0 || self.open.len() >= MAX_DEPTH {
            self.too_deep += 1;
        } else {
            self.open.push(Vec::new());
        }
    }

    fn end(&mut self) {
        if self.too_deep > 0 {
            self.too_deep -= 1;
        } else if let Some(list) = self.open.pop() {
            self.push(Value::List(list));
        }
    }

    fn push(&mut self, value: Value) {
        if self.too_deep == 0 {
            self.open.last_mut().unwrap_or(&mut self.done).push(value);
        }
    }

    fn finish(mut self) -> Vec<Value> {
        while !self.open.is_empty() {
            self.too_deep = 0;
            self.end();
        }
        self.done
    }
}

/// What is between the quotes, and what comes after them.
fn quoted(rest: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut text = Vec::new();
    let mut bytes = rest.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            b'"' => return (text, &rest[at + 1..]),
            b'\\' => text.extend(bytes.next().map(|(_, &next)| next)),
            byte => text.push(byte),
        }
    }
    (text, &[])
}

/// How long a word is. There is one: the text does not begin with a space, a bracket or a quote.
fn word(text: &[u8]) -> usize {
    let mut square = 0_usize;
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'[' => square += 1,
            b']' => square = square.saturating_sub(1),
            b' ' | b'(' | b')' | b'"' if square == 0 && at > 0 => return at,
            _ => {}
        }
    }
    text.len()
}

/// How many bytes follow the line: `{12}` at its end, or `{12+}`.
fn literal(line: &[u8]) -> Option<usize> {
    let inner = line.strip_suffix(b"}")?;
    let at = inner.iter().rposition(|byte| *byte == b'{')?;
    let digits = std::str::from_utf8(&inner[at + 1..]).ok()?;
    let digits = digits.strip_suffix('+').unwrap_or(digits);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    // What is too large to be a number is too large to come.
    plain.then(|| digits.parse().unwrap_or(usize::MAX))
}

/// Letters within letters within letters: nobody looks deeper.
const MAX_DEPTH: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        let mut line = Line::default();
        assert_eq!(line.add(text.as_bytes().to_vec()), None);
        line
    }

    #[test]
    fn literals_are_known_by_their_count() {
        assert_eq!(literal(b"* LIST () \"/\" {12}"), Some(12));
        assert_eq!(literal(b"* LIST () \"/\" {3+}"), Some(3));
        assert_eq!(literal(b"* LIST () \"/\" INBOX"), None);
        assert_eq!(literal(b"{-1}"), None);
        assert_eq!(literal(b"{}"), None);
        assert_eq!(literal(b"{99999999999999999999999}"), Some(usize::MAX));
    }

    #[test]
    fn a_letter_is_read_from_what_is_said_of_it() {
        let mut said = Line::default();
        let head = b"* 7 FETCH (UID 42 FLAGS (\\Seen $x) BODY[HEADER.FIELDS (\"DATE\" TO)]<0> {4}";
        assert_eq!(said.add(head.to_vec()), Some(4));
        said.add_literal(b"a)\"(".to_vec());
        assert_eq!(said.add(b" RFC822.SIZE 9)".to_vec()), None);
        assert!(said.is("fetch") && !said.is("7"));
        let reply = said.read();
        assert_eq!(reply.number(), Some(7));
        let items = reply.values()[2].list();
        assert_eq!(Value::get(items, "uid"), Some(&Value::Word("42".into())));
        assert_eq!(
            Value::get(items, "RFC822.SIZE"),
            Some(&Value::Word("9".into()))
        );
        let body = Value::get(items, "BODY[").and_then(Value::bytes);
        assert_eq!(body, Some(&b"a)\"("[..]));
        assert_eq!(Value::get(items, "FLAGS").unwrap().list().len(), 2);
        assert_eq!(Value::get(items, "RFC822"), None);
    }

    #[test]
    fn what_is_malformed_is_read_as_far_as_it_makes_sense() {
        for text in [
            "* x (", "* x )", "* x \"", "* x \"\\", "* ((((", "*", "", "* [", "* a[b c",
        ] {
            line(text).read();
        }
        let deep = format!(
            "* 1 FETCH {}x{} y",
            "(".repeat(100_000),
            ")".repeat(100_000)
        );
        let reply = line(&deep).read();
        assert_eq!(reply.values()[3].word(), Some("y"));
        let open = format!("* 1 FETCH {}", "(".repeat(100_000));
        assert_eq!(line(&open).read().values().len(), 3);
    }

    #[test]
    fn strings_are_what_they_say_in_each_spelling() {
        let reply = line("* LIST (\\HasNoChildren) \"/\" \"a \\\"b\\\\\"").read();
        let texts: Vec<_> = reply.values().iter().map(Value::text).collect();
        assert_eq!(texts[2..], [Some("/".into()), Some("a \"b\\".into())]);
        assert_eq!(line("* LIST () NIL x").read().values()[2].text(), None);
    }
}
