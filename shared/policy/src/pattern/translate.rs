//! From the ECMAScript dialect (no flags, but for a leading `(?i)`) to that of the `regex` crate.
//! Every construct is either rewritten so that it means the same, or refused by name.

use std::iter::Peekable;
use std::str::Chars;

use super::class::Class;
use super::quantifier::MAX_REPEAT;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("back-references cannot run in linear time")]
    BackReference,
    #[error("a character class is not closed or out of order")]
    Class,
    #[error("\\c without a letter")]
    Control,
    #[error("it ends in a backslash")]
    EndsInBackslash,
    #[error("invalid group")]
    Group,
    #[error("look-around cannot run in linear time")]
    LookAround,
    #[error("\\B is not known")]
    NotBoundary,
    #[error("nothing to repeat")]
    NothingToRepeat,
    #[error("octal escapes are not known")]
    Octal,
    #[error("\\p is not known")]
    Property,
    #[error("numbers out of order in a quantifier, or beyond {MAX_REPEAT}")]
    Repeat,
    #[error("half of a surrogate pair")]
    Surrogate,
    #[error("groups are nested too deeply")]
    TooDeep,
    #[error("unmatched parenthesis")]
    Unmatched,
}

/// With `fold` as if the pattern began with `(?i)`.
pub(super) fn translate(pattern: &str, fold: bool) -> Result<String, Refused> {
    let (body, fold) = match pattern.strip_prefix("(?i)") {
        Some(body) => (body, true),
        None => (pattern, fold),
    };
    let mut translator = Translator {
        rest: body.chars().peekable(),
        out: String::with_capacity(body.len() * 2),
        fold,
    };
    translator.alternatives(0)?;
    match translator.rest.next() {
        None => Ok(translator.out),
        Some(_) => Err(Refused::Unmatched),
    }
}

pub(super) struct Translator<'a> {
    pub(super) rest: Peekable<Chars<'a>>,
    pub(super) out: String,
    fold: bool,
}

/// What an escape stands for.
pub(super) enum Escape {
    Char(char),
    Class(Class),
    /// Half of a surrogate pair.
    Half,
}

// === impl Translator ===

impl Translator<'_> {
    fn alternatives(&mut self, depth: usize) -> Result<(), Refused> {
        if depth > MAX_DEPTH {
            return Err(Refused::TooDeep);
        }
        while let Some(&c) = self.rest.peek() {
            match c {
                ')' => return Ok(()),
                '|' => {
                    self.rest.next();
                    self.out.push('|');
                }
                _ => self.term(depth)?,
            }
        }
        Ok(())
    }

    /// One atom or assertion with its quantifier.
    fn term(&mut self, depth: usize) -> Result<(), Refused> {
        let Some(c) = self.rest.next() else {
            return Ok(());
        };
        match c {
            '^' | '$' => {
                self.out.push(c);
                return self.no_quantifier();
            }
            '(' => self.group(depth)?,
            '[' => {
                let class = Class::parse(self)?;
                class.write(&mut self.out, self.fold);
            }
            '.' => self.out.push_str(DOT),
            '*' | '+' | '?' => return Err(Refused::NothingToRepeat),
            '{' if self.bounds().is_some() => return Err(Refused::NothingToRepeat),
            '\\' => {
                if self.assertion() {
                    return self.no_quantifier();
                }
                match self.escape()? {
                    Escape::Char(c) => self.literal(c),
                    Escape::Class(class) => class.write(&mut self.out, self.fold),
                    Escape::Half => return Err(Refused::Surrogate),
                }
            }
            c => self.literal(c),
        }
        self.quantifier()
    }

    fn group(&mut self, depth: usize) -> Result<(), Refused> {
        if self.take('?') {
            match self.rest.next() {
                Some(':') => {}
                Some('=' | '!') => return Err(Refused::LookAround),
                Some('<') => self.name()?,
                _ => return Err(Refused::Group),
            }
        }
        self.out.push_str("(?:");
        self.alternatives(depth + 1)?;
        self.out.push(')');
        if self.take(')') {
            Ok(())
        } else {
            Err(Refused::Unmatched)
        }
    }

    fn name(&mut self) -> Result<(), Refused> {
        if matches!(self.rest.peek(), Some('=' | '!')) {
            return Err(Refused::LookAround);
        }
        let mut length = 0;
        loop {
            match self.rest.next() {
                Some('>') if length > 0 => return Ok(()),
                Some(c) if c.is_alphanumeric() || matches!(c, '_' | '$') => length += 1,
                _ => return Err(Refused::Group),
            }
        }
    }

    fn assertion(&mut self) -> bool {
        let found = self.take('b');
        if found {
            self.out.push_str("(?-u:\\b)");
        }
        found
    }

    pub(super) fn next(&mut self) -> Option<char> {
        self.rest.next()
    }

    pub(super) fn peek(&mut self) -> Option<char> {
        self.rest.peek().copied()
    }

    pub(super) fn take(&mut self, c: char) -> bool {
        self.rest.next_if_eq(&c).is_some()
    }

    /// What follows a backslash, in or out of a class.
    pub(super) fn escape(&mut self) -> Result<Escape, Refused> {
        let c = self.rest.next().ok_or(Refused::EndsInBackslash)?;
        Ok(Escape::Char(match c {
            'd' | 'D' | 'w' | 'W' | 's' | 'S' => return Ok(Escape::Class(Class::named(c))),
            't' => '\t',
            'n' => '\n',
            'v' => '\u{b}',
            'f' => '\u{c}',
            'r' => '\r',
            '0' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => '\0',
            '0' => return Err(Refused::Octal),
            // The engine only has it for the word characters of all scripts.
            'B' => return Err(Refused::NotBoundary),
            '1'..='9' | 'k' => return Err(Refused::BackReference),
            'p' | 'P' => return Err(Refused::Property),
            'c' => self.control()?,
            'x' => match self.hex(2) {
                Some(code) => char::from_u32(code).unwrap_or('x'),
                None => 'x',
            },
            'u' => return Ok(self.unicode()),
            other => other,
        }))
    }

    fn control(&mut self) -> Result<char, Refused> {
        match self.rest.next_if(char::is_ascii_alphabetic) {
            Some(letter) => Ok(char::from(letter as u8 & 0x1f)),
            None => Err(Refused::Control),
        }
    }

    fn unicode(&mut self) -> Escape {
        let Some(code) = self.hex(4) else {
            return Escape::Char('u');
        };
        if let Some(c) = char::from_u32(code) {
            return Escape::Char(c);
        }
        let mut ahead = self.rest.clone();
        let pair = ahead.next() == Some('\\') && ahead.next() == Some('u');
        let before = std::mem::replace(&mut self.rest, ahead);
        let low = if pair { self.hex(4) } else { None };
        match low {
            Some(low @ 0xdc00..=0xdfff) if code < 0xdc00 => {
                let code = 0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                char::from_u32(code).map_or(Escape::Half, Escape::Char)
            }
            _ => {
                self.rest = before;
                Escape::Half
            }
        }
    }

    fn hex(&mut self, digits: usize) -> Option<u32> {
        let mut ahead = self.rest.clone();
        let mut code = 0;
        for _ in 0..digits {
            code = code * 16 + ahead.next()?.to_digit(16)?;
        }
        self.rest = ahead;
        Some(code)
    }

    fn literal(&mut self, c: char) {
        if self.fold && c.is_alphabetic() {
            Class::of(c).write(&mut self.out, true);
        } else {
            push_escaped(&mut self.out, c);
        }
    }
}

pub(super) fn push_escaped(out: &mut String, c: char) {
    if regex_syntax::is_meta_character(c) {
        out.push('\\');
    }
    out.push(c);
}

/// Anything but a line terminator of ECMAScript.
const DOT: &str = "[^\\n\\r\\x{2028}\\x{2029}]";
const MAX_DEPTH: usize = 40;
