//! Whether a candidate can be what it looks like: checksums and number ranges, kind by kind. The
//! issuer's own rules where they are public; anything else stays with its look and its context.

use super::checksum::{luhn, number, verhoeff, weighted};
use super::kind::Kind;

/// What validation says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It cannot exist.
    Impossible,
    /// No rule against it.
    Possible,
    /// A checksum vouches for it.
    Proven,
}

/// Judges the text of a match of one of the shapes.
pub(super) fn judge(kind: Kind, text: &[u8]) -> Verdict {
    let mut room = [0; MOST];
    let digits = digits_of(text, &mut room);
    match kind {
        Kind::AuAbn => proven(abn(digits)),
        Kind::AuTfn => proven(weighted(digits, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)),
        Kind::CreditCard => proven(card(text, digits)),
        Kind::DateOfBirth => possible(birth_date(text, digits)),
        Kind::EsNie | Kind::EsNif => spanish(kind, text, digits),
        Kind::FiPic => proven(is_date(&digits[..4], DAY_FIRST) && finnish(text, digits)),
        Kind::InAadhaar => proven(digits[0] >= 2 && !is_palindrome(digits) && verhoeff(digits)),
        Kind::InPan => possible(b"CPHFATBLJG".contains(&text[3])),
        Kind::ItFiscalCode => proven(italian(text)),
        Kind::ItVat => possible(italian_vat(text, digits)),
        Kind::KrRrn => possible(korean(digits)),
        Kind::PlPesel => proven(polish(digits)),
        Kind::SgFin => singapore(text, digits),
        Kind::ThTnin => proven(thai(digits)),
        Kind::UkNhs => possible(nhs(digits)),
        Kind::UkNino => possible(nino(text)),
        Kind::UsBankRouting => {
            possible(weighted(digits, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10))
        }
        Kind::UsItin => possible(digits[0] == 9 && is_itin_group(number(&digits[3..5]))),
        Kind::UsNpi => possible(luhn(
            [8, 0, 8, 4, 0].into_iter().chain(digits.iter().copied()),
        )),
        Kind::UsSsn => possible(ssn(digits)),
        _ => Verdict::Possible,
    }
}

fn proven(good: bool) -> Verdict {
    if good {
        Verdict::Proven
    } else {
        Verdict::Impossible
    }
}

fn possible(good: bool) -> Verdict {
    if good {
        Verdict::Possible
    } else {
        Verdict::Impossible
    }
}

fn digits_of<'r>(text: &[u8], room: &'r mut [u8; MOST]) -> &'r [u8] {
    let mut count = 0;
    for byte in text.iter().filter(|byte| byte.is_ascii_digit()).take(MOST) {
        room[count] = byte - b'0';
        count += 1;
    }
    &room[..count]
}

fn is_repeated(digits: &[u8]) -> bool {
    digits.iter().all(|digit| *digit == digits[0])
}

fn is_palindrome(digits: &[u8]) -> bool {
    digits.iter().eq(digits.iter().rev())
}

/// Unseparated numbers must carry an issuer's prefix; groups of four may be anyone's.
fn card(text: &[u8], digits: &[u8]) -> bool {
    let is_bare = text.len() == digits.len();
    let two = number(&digits[..2]);
    let four = number(&digits[..4]);
    let is_issued = match digits.len() {
        13 => digits[0] == 4,
        15 => matches!(two, 34 | 37),
        _ => digits[0] == 4 || matches!(two, 51..=55 | 65) || matches!(four, 6011 | 2221..=2720),
    };
    (is_issued || !is_bare && digits.len() == 16)
        && !is_repeated(digits)
        && luhn(digits.iter().copied())
}

fn ssn(digits: &[u8]) -> bool {
    let (area, group) = (number(&digits[..3]), number(&digits[3..5]));
    !matches!(area, 0 | 666 | 900..)
        && group != 0
        && number(&digits[5..]) != 0
        && !is_repeated(digits)
}

fn is_itin_group(group: u64) -> bool {
    matches!(group, 50..=65 | 70..=88 | 90 | 92 | 94..=99)
}

fn nhs(digits: &[u8]) -> bool {
    match 11 - weighted(digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11 {
        11 => digits[9] == 0,
        10 => false,
        check => check == u32::from(digits[9]),
    }
}

fn nino(text: &[u8]) -> bool {
    let (first, second) = (text[0], text[1]);
    !b"DFIQUV".contains(&first)
        && !b"DFIOQUV".contains(&second)
        && !matches!(
            &text[..2],
            b"BG" | b"GB" | b"NK" | b"KN" | b"NT" | b"TN" | b"ZZ"
        )
        && text.last().is_some_and(|last| (b'A'..=b'D').contains(last))
}

fn birth_date(text: &[u8], digits: &[u8]) -> bool {
    let mut parts = text.split(|byte| !byte.is_ascii_digit());
    let mut part = || parts.next().map_or(0, value_of);
    if text[4..].starts_with(b"-") {
        let (year, month, day) = (part(), part(), part());
        return is_year(year) && is_day_of(day, month);
    }
    let (one, two) = (part(), part());
    let is_day = is_day_of(one, two) || (text.contains(&b'/') && is_day_of(two, one));
    is_day && is_year(number(&digits[digits.len() - 4..]))
}

fn value_of(text: &[u8]) -> u64 {
    text.iter()
        .fold(0, |n, byte| n * 10 + u64::from(byte - b'0'))
}

fn is_year(year: u64) -> bool {
    (1900..=2099).contains(&year)
}

fn is_day_of(day: u64, month: u64) -> bool {
    (1..=31).contains(&day) && (1..=12).contains(&month)
}

/// The two digits of the day and of the month, in this order.
fn is_date(digits: &[u8], order: (usize, usize)) -> bool {
    let pair = |at: usize| number(&digits[at..at + 2]);
    is_day_of(pair(order.0), pair(order.1))
}

/// Odd places (counted from one) have their own table, even ones their value.
fn italian(text: &[u8]) -> bool {
    let sum: u32 = text[..15]
        .iter()
        .enumerate()
        .map(|(i, byte)| {
            let value = match byte.to_ascii_uppercase() {
                digit @ b'0'..=b'9' => digit - b'0',
                letter => letter - b'A',
            };
            match i % 2 {
                0 => u32::from(ITALIAN_ODD[usize::from(value)]),
                _ => u32::from(value),
            }
        })
        .sum();
    u32::from(text[15].to_ascii_uppercase() - b'A') == sum % 26
}

fn italian_vat(text: &[u8], digits: &[u8]) -> bool {
    let has_prefix = text.len() > digits.len();
    (!has_prefix || text[..2].eq_ignore_ascii_case(b"IT"))
        && !is_repeated(digits)
        && luhn(digits.iter().copied())
}

fn spanish(kind: Kind, text: &[u8], digits: &[u8]) -> Verdict {
    let prefix = match (kind, text[0]) {
        (Kind::EsNif, _) | (_, b'X') => 0,
        (_, b'Y') => 10_000_000,
        (_, b'Z') => 20_000_000,
        _ => return Verdict::Impossible,
    };
    let place = (prefix + number(digits)) % 23;
    proven(text.last() == b"TRWAGMYFPDXBNJZSQVHLCKE".get(place as usize))
}

fn abn(digits: &[u8]) -> bool {
    // One is taken from the first digit; nought becomes nine by the book.
    let first = if digits[0] == 0 {
        9
    } else {
        u32::from(digits[0]) - 1
    };
    let rest = weighted(&digits[1..], &[1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    (first * 10 + rest).is_multiple_of(89)
}

/// The month carries the century: 1–12, or 20, 40, 60, 80 more.
fn polish(digits: &[u8]) -> bool {
    let month = number(&digits[2..4]) % 20;
    let sum = weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]);
    is_day_of(number(&digits[4..6]), month) && (10 - sum % 10) % 10 == u32::from(digits[10])
}

fn finnish(text: &[u8], digits: &[u8]) -> bool {
    let serial = number(&digits[..6]) * 1000 + number(&digits[6..9]);
    text.last() == b"0123456789ABCDEFHJKLMNPRSTUVWXY".get((serial % 31) as usize)
}

fn thai(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    digits[0] != 0 && (11 - sum % 11) % 10 == u32::from(digits[12])
}

fn korean(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]);
    is_date(&digits[2..6], MONTH_FIRST)
        && (1..=4).contains(&digits[6])
        && number(&digits[7..9]) <= 95
        && (11 - sum % 11) % 10 == u32::from(digits[12])
}

fn singapore(text: &[u8], digits: &[u8]) -> Verdict {
    let (offset, letters) = match text[0] {
        b'S' => (0, b"JZIHGFEDCBA"),
        b'T' => (4, b"JZIHGFEDCBA"),
        b'F' => (0, b"XWUTRQPNMLK"),
        b'G' => (4, b"XWUTRQPNMLK"),
        b'M' => (3, b"KLJNPQRTUWX"),
        _ => return Verdict::Impossible,
    };
    let place = (weighted(digits, &[2, 7, 6, 5, 4, 3, 2]) + offset) % 11;
    possible(text.last() == letters.get(place as usize))
}

const MOST: usize = 20;
const DAY_FIRST: (usize, usize) = (0, 2);
const MONTH_FIRST: (usize, usize) = (2, 0);
const ITALIAN_ODD: [u8; 26] = [
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
];
