//! Quantifiers, and the braces that are none.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

use super::translate::{Refused, Translator};

// === impl Translator ===

impl Translator<'_> {
    pub(super) fn no_quantifier(&mut self) -> Result<(), Refused> {
        match self.rest.peek() {
            Some('*' | '+' | '?') => Err(Refused::NothingToRepeat),
            Some('{') => {
                let mut ahead = self.rest.clone();
                ahead.next();
                match parse_bounds(&mut ahead) {
                    Some(_) => Err(Refused::NothingToRepeat),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    pub(super) fn quantifier(&mut self) -> Result<(), Refused> {
        match self.rest.peek() {
            Some(&c @ ('*' | '+' | '?')) => {
                self.rest.next();
                self.out.push(c);
            }
            Some('{') => {
                let mut ahead = self.rest.clone();
                ahead.next();
                let Some((least, most)) = parse_bounds(&mut ahead) else {
                    return Ok(());
                };
                self.rest = ahead;
                self.repeat(least, most)?;
            }
            _ => return Ok(()),
        }
        if self.take('?') {
            self.out.push('?');
        }
        self.no_quantifier()
    }

    fn repeat(&mut self, least: Option<u32>, most: Option<Option<u32>>) -> Result<(), Refused> {
        let in_range = |n: Option<u32>| n.filter(|&n| n <= MAX_REPEAT).ok_or(Refused::Repeat);
        let least = in_range(least)?;
        let _ = match most {
            None => write!(self.out, "{{{least}}}"),
            Some(None) => write!(self.out, "{{{least},}}"),
            Some(most) => {
                let most = in_range(most)?;
                if most < least {
                    return Err(Refused::Repeat);
                }
                write!(self.out, "{{{least},{most}}}")
            }
        };
        Ok(())
    }

    /// What follows a `{`, if it makes a quantifier; else the brace is a character.
    pub(super) fn bounds(&self) -> Option<()> {
        parse_bounds(&mut self.rest.clone()).map(|_| ())
    }
}

type Bounds = (Option<u32>, Option<Option<u32>>);

/// `3}`, `3,}` or `3,5}`. A number too large to hold is `None` within.
fn parse_bounds(rest: &mut Peekable<Chars<'_>>) -> Option<Bounds> {
    let least = digits(rest)?;
    match rest.next()? {
        '}' => Some((least, None)),
        ',' if rest.next_if_eq(&'}').is_some() => Some((least, Some(None))),
        ',' => {
            let most = digits(rest)?;
            (rest.next()? == '}').then_some((least, Some(most.or(Some(u32::MAX)))))
        }
        _ => None,
    }
}

fn digits(rest: &mut Peekable<Chars<'_>>) -> Option<Option<u32>> {
    let mut number = None;
    let mut value = Some(0_u32);
    while let Some(c) = rest.next_if(char::is_ascii_digit) {
        let digit = c.to_digit(10)?;
        value = value.and_then(|v| v.checked_mul(10)?.checked_add(digit));
        number = Some(value);
    }
    number
}

pub(super) const MAX_REPEAT: u32 = 1000;
