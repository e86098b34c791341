//! Recognisers of free form that start with a word: addresses on the web, wallets, network
//! addresses, driver licences. Each says where its match at `start` ends, and how sure it is.

use std::net::Ipv6Addr;

use super::kind::Kind;
use super::probe::{Probe, is_word};

/// A match before context is asked: its end and its score in hundredths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) end: usize,
    pub(super) kind: Kind,
    pub(super) score: u8,
}

/// Where a web address that starts at `start` has its first byte after `://`.
pub(super) fn url_head(probe: &mut Probe<'_>, start: usize) -> Option<usize> {
    let secure = usize::from(probe.goes_on(start, b"https"));
    let is_url = probe.goes_on(start, b"http") && probe.goes_on(start + 4 + secure, b"://");
    is_url.then_some(start + 7 + secure)
}

/// Base58, `bc1…` and `0x…` addresses. Only the last two are sure by their look.
pub(super) fn wallet(probe: &mut Probe<'_>, start: usize) -> Option<Candidate> {
    let kind = Kind::CryptoWallet;
    let candidate = match probe.at(start)? {
        b'0' if probe.goes_on(start + 1, b"x") => {
            let end = probe.run(start + 2, 41, u8::is_ascii_hexdigit);
            (end == start + 42).then_some(found(kind, end, 50))?
        }
        b'b' | b'B' => {
            let end = probe.run(start + 3, 90, u8::is_ascii_alphanumeric);
            let fits = probe.goes_on(start, b"bc1") && (28..=92).contains(&(end - start));
            fits.then_some(found(kind, end, 50))?
        }
        b'1' | b'3' => {
            let end = probe.run(start, 36, is_base58);
            (26..=35)
                .contains(&(end - start))
                .then_some(found(kind, end, 30))?
        }
        _ => return None,
    };
    probe.ends_word(candidate.end).then_some(candidate)
}

/// One or two capitals and five to twelve digits.
pub(super) fn driver_license(probe: &mut Probe<'_>, start: usize) -> Option<Candidate> {
    let digits = probe.run(start, 2, u8::is_ascii_uppercase);
    let end = probe.run(digits, 13, u8::is_ascii_digit);
    let fits = digits > start && (5..=12).contains(&(end - digits)) && probe.ends_word(end);
    fits.then_some(found(Kind::UsDriverLicense, end, 10))
}

/// Four numbers up to 255. A fifth in front makes it something else; behind, it stays outside.
pub(super) fn ipv4(probe: &mut Probe<'_>, start: usize) -> Option<Candidate> {
    let is_inside =
        start >= 2 && probe.before(start) == b'.' && probe.before(start - 1).is_ascii_digit();
    if is_inside {
        return None;
    }
    let mut at = start;
    for part in 0..4 {
        if part > 0 {
            (probe.at(at)? == b'.').then_some(())?;
            at += 1;
        }
        let end = probe.run(at, 4, u8::is_ascii_digit);
        let digits = &probe.text()[at..end];
        let value = digits.iter().fold(0, |n, d| n * 10 + u32::from(d - b'0'));
        (1..=3).contains(&digits.len()).then_some(())?;
        (value <= 255).then_some(())?;
        at = end;
    }
    probe
        .ends_word(at)
        .then_some(found(Kind::IpAddress, at, 50))
}

/// Eight groups, or a shortened form that can't be mistaken for program text (`std::fs`).
pub(super) fn ipv6(probe: &mut Probe<'_>, start: usize) -> Option<Candidate> {
    if matches!(probe.before(start), b':' | b'.') {
        return None;
    }
    let mut end = probe.run(start, 46, |b| {
        b.is_ascii_hexdigit() || matches!(b, b':' | b'.')
    });
    if !probe.ends_word(end) {
        return None;
    }
    while end > start && matches!(probe.text()[end - 1], b'.' | b':') {
        end -= 1;
    }
    let text = std::str::from_utf8(&probe.text()[start..end]).ok()?;
    let is_address = text.parse::<Ipv6Addr>().is_ok() && (!text.contains("::") || is_telling(text));
    is_address.then_some(found(Kind::IpAddress, end, 50))
}

/// Six pairs of hex digits with one kind of separator.
pub(super) fn mac(probe: &mut Probe<'_>, start: usize) -> Option<Candidate> {
    let separator = probe.at(start + 2).filter(|b| matches!(b, b':' | b'-'))?;
    let mut at = start;
    for pair in 0..6 {
        if pair > 0 {
            (probe.at(at)? == separator).then_some(())?;
            at += 1;
        }
        let end = probe.run(at, 2, u8::is_ascii_hexdigit);
        (end == at + 2).then_some(())?;
        at = end;
    }
    probe
        .ends_word(at)
        .then_some(found(Kind::MacAddress, at, 30))
}

pub(super) fn found(kind: Kind, end: usize, score: u8) -> Candidate {
    Candidate { end, kind, score }
}

fn is_telling(text: &str) -> bool {
    let mut groups = text.split(':').filter(|group| !group.is_empty());
    let is_long = groups.clone().any(|group| group.len() >= 3);
    let has_digit = groups
        .clone()
        .any(|group| group.contains(|c: char| c.is_ascii_digit()));
    groups.nth(1).is_some() && is_long && has_digit
}

pub(super) fn is_url_byte(byte: &u8) -> bool {
    !byte.is_ascii_whitespace() && !byte.is_ascii_control() && !b"<>\"{}|\\^[]`".contains(byte)
}

fn is_base58(byte: &u8) -> bool {
    is_word(byte) && !matches!(byte, b'0' | b'O' | b'I' | b'l' | b'_')
}

/// A longer one is found in this much of it.
pub(super) const MOST_URL: usize = 8192;
