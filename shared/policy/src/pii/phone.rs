//! International telephone numbers, `+` or `00` in front: a country code that is given out and a
//! national number of a length in use there.

mod codes;

use codes::CODES;

use super::kind::Kind;
use super::probe::Probe;
use super::words::{Candidate, found};

/// A number after the `+` or `00`, whose digits start at `start`. After `00` the look is too
/// common: it needs separators or context.
pub(super) fn number(probe: &mut Probe<'_>, start: usize, plus: bool) -> Option<Candidate> {
    let (mut at, mut digits, mut count) = (start, 0_u64, 0);
    let (mut code, mut best) = (None, None);
    let mut groups = 0;
    while count < MOST_DIGITS {
        let end = probe.run(at, MOST_DIGITS - count, u8::is_ascii_digit);
        if end == at {
            break;
        }
        for byte in &probe.text()[at..end] {
            digits = digits * 10 + u64::from(byte - b'0');
            count += 1;
            code = code.or_else(|| Code::of(digits, count));
        }
        at = end;
        if let Some(code) = &code
            && code.fits(digits, count)
            && is_over(probe, at)
        {
            best = Some(at);
        }
        at = probe.run(at, MOST_SEPARATORS, |b| b" -.()/".contains(b));
        groups += 1;
        if at == end {
            break;
        }
    }
    let score = if plus || groups > 1 { 40 } else { 5 };
    best.map(|end| found(Kind::Phone, end, score))
}

struct Code {
    digits: usize,
    /// A bit for each length of the national number.
    lengths: u16,
    prefix: u64,
}

// === impl Code ===

impl Code {
    fn of(prefix: u64, digits: usize) -> Option<Self> {
        let known = CODES.binary_search_by_key(&prefix, |(code, _)| u64::from(*code));
        known.ok().map(|place| Self {
            digits,
            lengths: CODES[place].1,
            prefix,
        })
    }

    fn fits(&self, number: u64, count: usize) -> bool {
        let length = count - self.digits;
        if self.lengths & (1 << length) == 0 {
            return false;
        }
        let Some(scale) = 10_u64.checked_pow(length as u32) else {
            return false;
        };
        self.prefix != 1 || is_north_american(number % scale)
    }
}

/// Area and exchange start with 2 to 9.
fn is_north_american(national: u64) -> bool {
    national / 1_000_000_000 >= 2 && national / 1_000_000 % 10 >= 2
}

/// A number is not glued to what follows.
fn is_over(probe: &mut Probe<'_>, end: usize) -> bool {
    !probe.is(end, u8::is_ascii_digit) && probe.ends_word(end)
}

const MOST_DIGITS: usize = 15;
const MOST_SEPARATORS: usize = 3;
