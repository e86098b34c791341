//! The spellings of a secret that are looked for. All of them stand in one piece of memory that is
//! wiped; making them is on every call's path, so it formats nothing and allocates little.

use ah5_contracts::connection::Auth;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::inject::{basic, is_unreserved};

/// Distinct spellings, none of them empty.
pub(super) struct Spellings {
    text: Zeroizing<Vec<u8>>,
    /// Where each ends; the next begins there.
    ends: Vec<usize>,
}

// === impl Spellings ===

impl Spellings {
    /// Every distinct spelling of `secret`, and of the composite that is sent in its place.
    pub(super) fn of(auth: &Auth, secret: &str) -> Self {
        // Enough for all of them, so that no copy is left behind by growing.
        let room = secret.len() * 64 + auth.name().len() * 2 + 128;
        let mut all = Self {
            text: Zeroizing::new(Vec::with_capacity(room)),
            ends: Vec::with_capacity(20),
        };
        if let Auth::Basic { username } = auth {
            let composite = basic(username, secret);
            let coded = composite.strip_prefix("Basic ").unwrap_or_default();
            all.add(|text| text.extend_from_slice(coded.trim_end_matches('=').as_bytes()));
        }
        for part in components(auth, secret) {
            all.spell(part);
        }
        all
    }

    fn spell(&mut self, secret: &str) {
        self.add(|text| text.extend_from_slice(secret.as_bytes()));
        for alignment in 0..3 {
            self.base64(secret.as_bytes(), alignment);
        }
        self.hex(secret.as_bytes());
        self.percents(secret);
        self.json(secret);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, &end)| &self.text[start..end])
    }

    fn add(&mut self, spell: impl FnOnce(&mut Vec<u8>)) {
        let start = self.text.len();
        spell(&mut self.text);
        let (known, fresh) = self.text.split_at(start);
        let mut from = 0;
        let repeated = self.ends.iter().any(|&end| {
            let same = &known[from..end] == fresh;
            from = end;
            same
        });
        if fresh.is_empty() || repeated {
            self.text.truncate(start);
        } else {
            self.ends.push(self.text.len());
        }
    }

    /// What base64 makes of the secret when `alignment` bytes stand before it: the characters that
    /// depend on the secret alone.
    fn base64(&mut self, secret: &[u8], alignment: usize) {
        let mut padded = Zeroizing::new(Vec::with_capacity(alignment + secret.len()));
        padded.resize(alignment, 0);
        padded.extend_from_slice(secret);
        let first = (alignment * 8).div_ceil(6);
        let last = padded.len() * 8 / 6;
        let mut coded = Zeroizing::new(vec![0; padded.len() * 4 / 3 + 4]);
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let length = engine.encode_slice(padded.as_slice(), &mut coded);
            let whole = &coded[..length.unwrap_or(0)];
            let kept = whole.get(first..last).unwrap_or_default();
            self.add(|text| text.extend_from_slice(kept));
        }
    }

    fn hex(&mut self, secret: &[u8]) {
        for digits in [LOWER, UPPER] {
            self.add(|text| {
                for byte in secret {
                    text.extend_from_slice(&pair(digits, *byte));
                }
            });
        }
    }

    /// Only what must be encoded, and every byte; with capital and small digits.
    fn percents(&mut self, secret: &str) {
        for digits in [UPPER, LOWER] {
            // Percent-encoding proper, forms, and what JavaScript's encodeURIComponent makes of it.
            for (space, bare) in [(b"%20".as_slice(), ""), (b"+", ""), (b"%20", "!'()*")] {
                self.add(|text| {
                    for byte in secret.bytes() {
                        match byte {
                            b' ' => text.extend_from_slice(space),
                            byte if is_unreserved(byte) => text.push(byte),
                            byte if bare.as_bytes().contains(&byte) => text.push(byte),
                            byte => escape(text, digits, byte),
                        }
                    }
                });
            }
            self.add(|text| {
                for byte in secret.bytes() {
                    escape(text, digits, byte);
                }
            });
        }
    }

    /// The short escapes, with and without `\/`; everything as `\uXXXX`, with capital and small
    /// digits; and as serialisers do it that escape what is special in HTML, and non-ASCII.
    fn json(&mut self, secret: &str) {
        for slash in [b"/".as_slice(), b"\\/"] {
            self.add(|text| {
                for byte in secret.bytes() {
                    match byte {
                        b'"' | b'\\' => text.extend_from_slice(&[b'\\', byte]),
                        b'/' => text.extend_from_slice(slash),
                        byte => text.push(byte),
                    }
                }
            });
        }
        for digits in [LOWER, UPPER] {
            self.add(|text| {
                for unit in secret.encode_utf16() {
                    unicode(text, digits, unit);
                }
            });
        }
        self.add(|text| {
            for c in secret.chars() {
                match c {
                    '"' | '\\' => text.extend_from_slice(&[b'\\', c as u8]),
                    '<' | '>' | '&' | '\'' | '=' | '\u{80}'.. => {
                        for unit in c.encode_utf16(&mut [0; 2]) {
                            unicode(text, LOWER, *unit);
                        }
                    }
                    _ => text.push(c as u8),
                }
            }
        });
    }
}

/// What is sent by itself: the secret, or each line of one that fills two slots.
pub(super) fn components<'s>(auth: &Auth, secret: &'s str) -> impl Iterator<Item = &'s str> {
    let lines = matches!(auth, Auth::QueryPair { .. }).then_some('\n');
    secret.split(move |c| Some(c) == lines)
}

fn escape(text: &mut Vec<u8>, digits: &[u8; 16], byte: u8) {
    text.push(b'%');
    text.extend_from_slice(&pair(digits, byte));
}

fn unicode(text: &mut Vec<u8>, digits: &[u8; 16], unit: u16) {
    let [high, low] = unit.to_be_bytes();
    text.extend_from_slice(b"\\u");
    text.extend_from_slice(&pair(digits, high));
    text.extend_from_slice(&pair(digits, low));
}

fn pair(digits: &[u8; 16], byte: u8) -> [u8; 2] {
    [
        digits[usize::from(byte >> 4)],
        digits[usize::from(byte & 15)],
    ]
}

const LOWER: &[u8; 16] = b"0123456789abcdef";
const UPPER: &[u8; 16] = b"0123456789ABCDEF";
