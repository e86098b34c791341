//! The recognisers of fixed form, as a table of pictures: one line says what a number looks like
//! and how sure its look makes us.

use std::sync::LazyLock;

use super::kind::Kind;
use super::probe::Probe;

/// One picture: `9` a digit, `A` a capital, `a` a letter, `_` a blank or dash, `?` a blank or
/// nothing, `S` the century sign of a Finnish code, `C` a capital or digit; anything else itself.
pub(super) struct Shape {
    pub(super) kind: Kind,
    picture: &'static [u8],
    /// In hundredths, before validation and context.
    pub(super) score: u8,
}

/// The shapes by how they start: so many digits, or so many letters.
pub(super) struct Index {
    digits: [Vec<&'static Shape>; MAX_LEAD + 1],
    letters: [Vec<&'static Shape>; MAX_LEAD + 1],
}

// === impl Shape ===

impl Shape {
    /// Where the text at `start` stops to look like the picture, if it does at all.
    pub(super) fn end(&self, probe: &mut Probe<'_>, start: usize) -> Option<usize> {
        let mut at = start;
        for mark in self.picture {
            let is_blank = *mark == b'?';
            match probe.at(at) {
                Some(byte) if fits(*mark, byte) => at += 1,
                _ if is_blank => {}
                _ => return None,
            }
        }
        probe.ends_word(at).then_some(at)
    }

    /// Whether the picture may go on with `next` after its lead: a quick no for most.
    #[inline]
    pub(super) fn goes_on(&self, lead: usize, next: Option<u8>) -> bool {
        match (self.picture.get(lead), next) {
            (Some(b'?'), _) | (None, _) | (_, None) => true,
            (Some(mark), Some(byte)) => fits(*mark, byte),
        }
    }

    fn lead(&self, class: fn(&u8) -> bool) -> usize {
        self.picture.iter().take_while(|mark| class(mark)).count()
    }
}

// === impl Index ===

impl Index {
    /// Shapes that start with exactly `lead` digits.
    pub(super) fn digits(&self, lead: usize) -> &[&'static Shape] {
        self.digits.get(lead).map_or(&[], Vec::as_slice)
    }

    /// Shapes that start with exactly `lead` letters.
    pub(super) fn letters(&self, lead: usize) -> &[&'static Shape] {
        self.letters.get(lead).map_or(&[], Vec::as_slice)
    }

    fn build() -> Self {
        let mut index = Self {
            digits: std::array::from_fn(|_| Vec::new()),
            letters: std::array::from_fn(|_| Vec::new()),
        };
        for shape in SHAPES {
            match shape.lead(|mark| *mark == b'9') {
                0 => index.letters[shape.lead(|mark| matches!(mark, b'A' | b'a'))].push(shape),
                lead => index.digits[lead].push(shape),
            }
        }
        index
    }
}

fn fits(mark: u8, byte: u8) -> bool {
    match mark {
        b'9' => byte.is_ascii_digit(),
        b'A' => byte.is_ascii_uppercase(),
        b'C' => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
        b'S' => b"+-ABCDEFYXWVU".contains(&byte),
        b'_' => matches!(byte, b' ' | b'-'),
        b'a' => byte.is_ascii_alphabetic(),
        b'?' => byte == b' ',
        literal => literal == byte,
    }
}

const fn shape(kind: Kind, picture: &'static str, score: u8) -> Shape {
    Shape {
        kind,
        picture: picture.as_bytes(),
        score,
    }
}

pub(super) static INDEX: LazyLock<Index> = LazyLock::new(Index::build);

/// The longest run of digits or letters that a shape starts with.
pub(super) const MAX_LEAD: usize = 16;

static SHAPES: &[Shape] = &[
    shape(Kind::CreditCard, "9999_9999_9999_9999", 50),
    shape(Kind::CreditCard, "9999_999999_99999", 50),
    shape(Kind::CreditCard, "9999_99999999999", 50),
    shape(Kind::CreditCard, "9999999999_99999", 50),
    shape(Kind::CreditCard, "9999999999999", 30),
    shape(Kind::CreditCard, "999999999999999", 30),
    shape(Kind::CreditCard, "9999999999999999", 30),
    shape(Kind::DateOfBirth, "9/9/9999", 30),
    shape(Kind::DateOfBirth, "9/99/9999", 30),
    shape(Kind::DateOfBirth, "99/9/9999", 30),
    shape(Kind::DateOfBirth, "99/99/9999", 30),
    shape(Kind::DateOfBirth, "9.9.9999", 30),
    shape(Kind::DateOfBirth, "9.99.9999", 30),
    shape(Kind::DateOfBirth, "99.9.9999", 30),
    shape(Kind::DateOfBirth, "99.99.9999", 30),
    shape(Kind::DateOfBirth, "9999-99-99", 30),
    shape(Kind::SecretCode, "99999999", 20),
    shape(Kind::UsSsn, "999-99-9999", 50),
    shape(Kind::UsSsn, "999 99 9999", 50),
    shape(Kind::UsSsn, "999999999", 5),
    shape(Kind::UsItin, "999_99_9999", 50),
    shape(Kind::UsItin, "999999999", 30),
    shape(Kind::UsPassport, "A99999999", 30),
    shape(Kind::UsBankRouting, "999999999", 5),
    shape(Kind::UsNpi, "9999999999", 5),
    shape(Kind::UkNhs, "999 999 9999", 50),
    shape(Kind::UkNhs, "9999999999", 5),
    shape(Kind::UkNino, "AA?99?99?99?A", 50),
    shape(Kind::ItFiscalCode, "aaaaaa99a99a999a", 50),
    shape(Kind::ItVat, "aa99999999999", 50),
    shape(Kind::ItVat, "99999999999", 5),
    shape(Kind::ItPassport, "AA9999999", 30),
    shape(Kind::ItIdentityCard, "AA99999AA", 30),
    shape(Kind::ItDriverLicense, "AA9999999A", 30),
    shape(Kind::InAadhaar, "9999_9999_9999", 30),
    shape(Kind::InAadhaar, "999999999999", 1),
    shape(Kind::InPan, "AAAAA9999A", 30),
    shape(Kind::EsNif, "9999999A", 50),
    shape(Kind::EsNif, "99999999A", 50),
    shape(Kind::EsNif, "99999999-A", 50),
    shape(Kind::EsNie, "A9999999A", 50),
    shape(Kind::AuTfn, "999 999 999", 10),
    shape(Kind::AuTfn, "999999999", 1),
    shape(Kind::AuAbn, "99 999 999 999", 30),
    shape(Kind::AuAbn, "99999999999", 5),
    shape(Kind::PlPesel, "99999999999", 40),
    shape(Kind::FiPic, "999999S999C", 50),
    shape(Kind::ThTnin, "9999999999999", 30),
    shape(Kind::KrRrn, "999999-9999999", 50),
    shape(Kind::SgFin, "A9999999A", 30),
];
