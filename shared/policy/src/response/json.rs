//! Reads JSON (RFC 8259) strictly and in place. Numbers, escapes and repeated names stay as written:
//! nothing here builds values.

mod strings;

pub(crate) use strings::{quote, unquote};

/// A place in a JSON text that is known to be UTF-8.
pub(crate) struct Reader<'a> {
    pub(crate) at: usize,
    text: &'a [u8],
}

/// Not JSON, or nested too deeply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed JSON at byte {at}")]
pub(crate) struct Malformed {
    pub(crate) at: usize,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    /// # Errors
    /// Text that is not UTF-8.
    pub(crate) fn new(text: &'a [u8]) -> Result<Self, Malformed> {
        match std::str::from_utf8(text) {
            Ok(_) => Ok(Self {
                // A byte order mark is no part of the text.
                at: if text.starts_with(b"\xef\xbb\xbf") {
                    3
                } else {
                    0
                },
                text,
            }),
            Err(e) => Err(Malformed {
                at: e.valid_up_to(),
            }),
        }
    }

    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline]
    pub(crate) fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// The next byte that is no blank; it stays.
    pub(crate) fn next(&mut self) -> Option<u8> {
        self.skip_blanks();
        self.peek()
    }

    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.next() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(self.malformed())
    }

    pub(crate) fn malformed(&self) -> Malformed {
        Malformed { at: self.at }
    }

    /// Passes a string, and says whether it has escapes.
    pub(crate) fn string(&mut self) -> Result<bool, Malformed> {
        self.expect(b'"')?;
        let mut has_escapes = false;
        loop {
            self.plain();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(has_escapes);
                }
                Some(b'\\') => {
                    has_escapes = true;
                    self.escape()?;
                }
                _ => return Err(self.malformed()),
            }
        }
    }

    /// Passes what needs no look inside a string, eight bytes at a time.
    #[inline]
    fn plain(&mut self) {
        while let Some(chunk) = self.text[self.at..].first_chunk::<8>() {
            let special = special_bytes(u64::from_le_bytes(*chunk));
            if special != 0 {
                self.at += special.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        while self
            .peek()
            .is_some_and(|b| b >= 0x20 && b != b'"' && b != b'\\')
        {
            self.at += 1;
        }
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let digits = self.text.get(self.at + 2..self.at + 6).unwrap_or(b"");
                if digits.len() < 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(self.malformed());
                }
                self.at += 6;
            }
            _ => return Err(self.malformed()),
        }
        Ok(())
    }

    /// Passes a number, `true`, `false` or `null`.
    pub(crate) fn scalar(&mut self) -> Result<(), Malformed> {
        let literal: &[u8] = match self.peek() {
            Some(b't') => b"true",
            Some(b'f') => b"false",
            Some(b'n') => b"null",
            _ => return self.number(),
        };
        if !self.text[self.at..].starts_with(literal) {
            return Err(self.malformed());
        }
        self.at += literal.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Malformed> {
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start {
            Err(self.malformed())
        } else {
            Ok(())
        }
    }

    /// Passes a whole value, checking it.
    pub(crate) fn value(&mut self) -> Result<(), Malformed> {
        // One entry a level: whether it is an object.
        let mut levels: Vec<bool> = Vec::new();
        loop {
            match self.next() {
                Some(open @ (b'{' | b'[')) => {
                    self.at += 1;
                    if levels.len() == MOST_LEVELS {
                        return Err(self.malformed());
                    }
                    levels.push(open == b'{');
                    if self.next() == Some(open + 2) {
                        self.at += 1;
                        levels.pop();
                    } else {
                        self.name_if(open == b'{')?;
                        continue;
                    }
                }
                Some(b'"') => {
                    self.string()?;
                }
                _ => self.scalar()?,
            }
            if !self.close(&mut levels)? {
                return Ok(());
            }
        }
    }

    /// After a value: passes closing brackets and a comma. False at the end of it all.
    fn close(&mut self, levels: &mut Vec<bool>) -> Result<bool, Malformed> {
        while let Some(is_object) = levels.last().copied() {
            match self.next() {
                Some(b',') => {
                    self.at += 1;
                    self.name_if(is_object)?;
                    return Ok(true);
                }
                Some(b'}') if is_object => self.at += 1,
                Some(b']') if !is_object => self.at += 1,
                _ => return Err(self.malformed()),
            }
            levels.pop();
        }
        Ok(false)
    }

    fn name_if(&mut self, is_object: bool) -> Result<(), Malformed> {
        if is_object {
            self.string()?;
            self.expect(b':')?;
        }
        Ok(())
    }
}

/// The high bit of each byte that is a quote, a backslash or a control character; bytes above the
/// first such one may be wrong.
#[inline]
fn special_bytes(chunk: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGHS: u64 = ONES << 7;
    let equals = |byte: u8| {
        let differs = chunk ^ (ONES * byte as u64);
        differs.wrapping_sub(ONES) & !differs
    };
    let controls = chunk.wrapping_sub(ONES * 0x20) & !chunk;
    (equals(b'"') | equals(b'\\') | controls) & HIGHS
}

/// Far more than any provider sends, far less than would hurt.
pub(super) const MOST_LEVELS: usize = 10_000;
