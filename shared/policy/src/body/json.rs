//! A strict RFC 8259 reader. It refuses what two readers might understand differently: a member
//! named twice, a broken surrogate pair, anything after the value.

use std::borrow::Cow;

use super::BodyError;

mod names;

/// A JSON value that borrows what it can. Numbers stay as they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json<'a> {
    Bool(bool),
    List(Vec<Json<'a>>),
    Null,
    Number(&'a str),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
    Text(Cow<'a, str>),
}

// === impl Json ===

impl<'a> Json<'a> {
    /// With `fold_keys`, members whose names differ only in case are the same member.
    ///
    /// # Errors
    /// The first fault.
    pub fn parse(text: &'a str, fold_keys: bool) -> Result<Self, BodyError> {
        let mut reader = Reader {
            text,
            at: 0,
            values: 0,
            fold_keys,
        };
        let value = reader.value(0)?;
        reader.blanks();
        if reader.at < text.len() {
            return Err(BodyError::Json(reader.at));
        }
        Ok(value)
    }

    #[must_use]
    pub fn is_container(&self) -> bool {
        matches!(self, Self::List(_) | Self::Object(_))
    }

    /// The member of exactly this name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(n, _)| n == name).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The value on the wire again: numbers as they were, members in their order.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        super::render::wire(self).into_bytes()
    }

    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    values: usize,
    fold_keys: bool,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Json<'a>, BodyError> {
        self.values += 1;
        if depth > MAX_DEPTH || self.values > MAX_VALUES {
            return Err(BodyError::TooComplex);
        }
        self.blanks();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => Ok(Json::Text(self.string()?)),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json<'a>, BodyError> {
        self.at += 1;
        let mut members = Vec::new();
        self.blanks();
        if self.take(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.blanks();
            if self.peek() != Some(b'"') {
                return self.fault();
            }
            let name = self.string()?;
            self.blanks();
            self.expect(b':')?;
            members.push((name, self.value(depth + 1)?));
            self.blanks();
            if self.take(b',') {
                continue;
            }
            self.expect(b'}')?;
            names::check(&members, self.fold_keys)?;
            return Ok(Json::Object(members));
        }
    }

    fn list(&mut self, depth: usize) -> Result<Json<'a>, BodyError> {
        self.at += 1;
        let mut items = Vec::new();
        self.blanks();
        if self.take(b']') {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.blanks();
            if self.take(b',') {
                continue;
            }
            self.expect(b']')?;
            return Ok(Json::List(items));
        }
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Result<Json<'a>, BodyError> {
        if !self.text[self.at..].starts_with(word) {
            return self.fault();
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Json<'a>, BodyError> {
        let start = self.at;
        self.take(b'-');
        if self.take(b'0') {
            if self.peek().is_some_and(|b| b.is_ascii_digit()) {
                return self.fault();
            }
        } else {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        if self.at - start > MAX_NUMBER {
            return Err(BodyError::TooComplex);
        }
        Ok(Json::Number(&self.text[start..self.at]))
    }

    fn digits(&mut self) -> Result<(), BodyError> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start {
            self.fault()
        } else {
            Ok(())
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, BodyError> {
        self.at += 1;
        let start = self.at;
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            match byte {
                b'"' => {
                    self.at += 1;
                    return Ok(Cow::Borrowed(&self.text[start..self.at - 1]));
                }
                b'\\' => return self.escaped_string(start).map(Cow::Owned),
                0..=0x1f => return self.fault(),
                _ => self.at += 1,
            }
        }
        self.fault()
    }

    fn escaped_string(&mut self, start: usize) -> Result<String, BodyError> {
        let mut out = self.text[start..self.at].to_owned();
        loop {
            let plain = self.at;
            while !matches!(self.peek(), None | Some(b'"' | b'\\' | 0..=0x1f)) {
                self.at += 1;
            }
            out.push_str(&self.text[plain..self.at]);
            if self.take(b'"') {
                return Ok(out);
            }
            self.expect(b'\\')?;
            out.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Result<char, BodyError> {
        let Some(byte) = self.peek() else {
            return self.fault();
        };
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return self.fault(),
        })
    }

    fn unicode(&mut self) -> Result<char, BodyError> {
        let first = self.hex()?;
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first).ok_or(BodyError::Json(self.at));
        }
        if first >= 0xdc00 || !self.text[self.at..].starts_with("\\u") {
            return self.fault();
        }
        self.at += 2;
        let second = self.hex()?;
        if !(0xdc00..0xe000).contains(&second) {
            return self.fault();
        }
        let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        char::from_u32(code).ok_or(BodyError::Json(self.at))
    }

    fn hex(&mut self) -> Result<u32, BodyError> {
        let digits = self.text.get(self.at..self.at + 4);
        let digits = digits.filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += 4;
        code.ok_or(BodyError::Json(self.at.min(self.text.len())))
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, byte: u8) -> Result<(), BodyError> {
        if self.take(byte) {
            Ok(())
        } else {
            self.fault()
        }
    }

    fn fault<T>(&self) -> Result<T, BodyError> {
        Err(BodyError::Json(self.at))
    }
}

/// Deepest nesting.
pub const MAX_DEPTH: usize = 100;
/// Most values in one body: a value costs more memory than the two bytes that can spell it.
pub const MAX_VALUES: usize = 200_000;
const MAX_NUMBER: usize = 400;

#[cfg(test)]
mod tests;
