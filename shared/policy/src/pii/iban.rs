//! Bank account numbers (ISO 13616), any case, compact or in groups.

use super::checksum::mod_97;
use super::kind::Kind;
use super::probe::Probe;
use super::words::{Candidate, found};

/// Two letters, two digits, and what the country prescribes; checked by mod 97.
pub(super) fn account(probe: &mut Probe<'_>, start: usize) -> Option<Candidate> {
    for (i, class) in HEAD.iter().enumerate() {
        probe.is(start + i, *class).then_some(())?;
    }
    let country = [
        probe.text()[start].to_ascii_uppercase(),
        probe.text()[start + 1].to_ascii_uppercase(),
    ];
    let length = LENGTHS.binary_search_by_key(&country.as_slice(), |(code, _)| code.as_bytes());
    let (number, end) = match length {
        Ok(place) => grouped(probe, start, LENGTHS[place].1)?,
        Err(_) => compact(probe, start)?,
    };
    let is_good = mod_97(&number) && probe.ends_word(end);
    is_good.then_some(found(Kind::Iban, end, 100))
}

/// Exactly `length` characters, single blanks between them left out.
fn grouped(probe: &mut Probe<'_>, start: usize, length: usize) -> Option<(Vec<u8>, usize)> {
    let mut number = Vec::with_capacity(length);
    let mut at = start;
    while number.len() < length {
        let is_gap = number.len().is_multiple_of(4) && probe.is(at, |b| *b == b' ');
        at += usize::from(is_gap);
        let byte = probe.at(at).filter(u8::is_ascii_alphanumeric)?;
        number.push(byte);
        at += 1;
    }
    Some((number, at))
}

/// Countries we do not know: upper case and in one piece, or any word would do.
fn compact(probe: &mut Probe<'_>, start: usize) -> Option<(Vec<u8>, usize)> {
    let is_part = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    let end = probe.run(start, 35, is_part);
    let fits = (12..=34).contains(&(end - start));
    fits.then(|| (probe.text()[start..end].to_vec(), end))
}

const HEAD: [fn(&u8) -> bool; 4] = [
    u8::is_ascii_alphabetic,
    u8::is_ascii_alphabetic,
    u8::is_ascii_digit,
    u8::is_ascii_digit,
];

/// The whole length by country.
const LENGTHS: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BI", 27),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DJ", 27),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FK", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MN", 20),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NI", 28),
    ("NL", 18),
    ("NO", 15),
    ("OM", 23),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("RU", 33),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("SO", 23),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
    ("YE", 30),
];
