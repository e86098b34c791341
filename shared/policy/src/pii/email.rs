//! Mail addresses, found at their `@`: the local part backwards, the domain forwards. Letters of
//! any script count, as RFC 6531 allows them.

use super::kind::Kind;
use super::probe::{Probe, is_word};
use super::words::{Candidate, found};

/// The address around the `@` at `at`, as its start and the rest.
pub(super) fn around(probe: &mut Probe<'_>, at: usize) -> Option<(usize, Candidate)> {
    let start = local_start(probe.text(), at);
    let start = trimmed(probe.text(), start, at);
    if start == at {
        return None;
    }
    let end = domain_end(probe, at + 1)?;
    Some((start, found(Kind::Email, end, 50)))
}

/// Where the local part would start if an `@` came at `end`. Bounded, so that a stream need not
/// hold back more.
pub(super) fn local_start(text: &[u8], end: usize) -> usize {
    let floor = end.saturating_sub(MOST_LOCAL);
    let mut start = end;
    let mut has_ascii = false;
    while start > floor {
        let (from, c) = char_before(text, start);
        let fits = match c {
            Some(c) if c.is_ascii() => {
                has_ascii |= c.is_ascii_alphanumeric();
                is_local(c as u8)
            }
            // Scripts written without blanks would draw the sentence before into the address.
            Some(c) => c.is_alphanumeric() && !(has_ascii && is_unspaced(c)),
            None => false,
        };
        if !fits || from < floor {
            break;
        }
        start = from;
    }
    start
}

/// A local part starts with a word character. The letter of an escape (`\n`) is none of it: in
/// JSON inside a string the marker would otherwise break the escape.
fn trimmed(text: &[u8], mut start: usize, at: usize) -> usize {
    if start > 0 && text[start - 1] == b'\\' && matches!(text[start], b'n' | b'r' | b't') {
        start += 1;
    }
    while start < at && text[start].is_ascii() && !is_word(&text[start]) {
        start += 1;
    }
    start
}

/// The longest domain from `start` that ends in a label of two letters or more.
fn domain_end(probe: &mut Probe<'_>, start: usize) -> Option<usize> {
    let (mut at, mut label, mut best) = (start, start, None);
    let mut is_letters = true;
    while at < start + MOST_DOMAIN {
        let Some(byte) = probe.at(at) else { break };
        match byte {
            b'.' | b'-' => {
                best = closed(label > start && is_letters && at >= label + 2, at, best);
                label = if byte == b'.' { at + 1 } else { label };
                is_letters = byte == b'.';
                at += 1;
            }
            _ if byte.is_ascii_alphanumeric() => {
                is_letters &= byte.is_ascii_alphabetic();
                at += 1;
            }
            _ if byte.is_ascii() => break,
            _ => match letter_at(probe, at) {
                Some(length) => at += length,
                None => break,
            },
        }
    }
    let is_last = label > start && is_letters && at >= label + 2 && !probe.is(at, is_word);
    closed(is_last, at, best)
}

fn closed(is_closed: bool, at: usize, best: Option<usize>) -> Option<usize> {
    if is_closed { Some(at) } else { best }
}

/// The length of a letter beyond ASCII that may go on a domain label.
fn letter_at(probe: &mut Probe<'_>, at: usize) -> Option<usize> {
    let text = probe.text();
    let width = utf8_width(text[at]);
    probe.at(at + width - 1)?;
    let c = std::str::from_utf8(&text[at..at + width])
        .ok()?
        .chars()
        .next()?;
    let is_after_ascii = text[at - 1].is_ascii_alphanumeric();
    (c.is_alphanumeric() && !(is_after_ascii && is_unspaced(c))).then_some(width)
}

fn char_before(text: &[u8], end: usize) -> (usize, Option<char>) {
    let mut from = end - 1;
    while from > 0 && end - from < 4 && text[from] & 0xc0 == 0x80 {
        from -= 1;
    }
    let c = std::str::from_utf8(&text[from..end])
        .ok()
        .and_then(|s| s.chars().next());
    (from, c)
}

fn utf8_width(lead: u8) -> usize {
    match lead {
        0xf0.. => 4,
        0xe0.. => 3,
        _ => 2,
    }
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte)
}

/// Thai and its neighbours, and everything from the East Asian blocks on.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}')
        || c >= '\u{2e80}'
}

const MOST_LOCAL: usize = 254;
const MOST_DOMAIN: usize = 255;
