//! The spellings of a secret that are looked for.

use std::fmt::Write as _;

use ah5_contracts::connection::Auth;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::inject::{basic, percent};

type Needle = Zeroizing<Vec<u8>>;

/// Every distinct spelling of `secret`, and of the composite that is sent in its place.
pub(super) fn all(auth: &Auth, secret: &str) -> Vec<Needle> {
    let mut needles = Vec::with_capacity(16);
    if let Auth::Basic { username } = auth {
        let composite = basic(username, secret);
        let coded = composite.strip_prefix("Basic ").unwrap_or_default();
        add(&mut needles, coded.trim_end_matches('=').as_bytes());
    }
    add(&mut needles, secret.as_bytes());
    for alignment in 0..3 {
        base64(&mut needles, secret.as_bytes(), alignment);
    }
    hex(&mut needles, secret);
    percents(&mut needles, secret);
    json(&mut needles, secret);
    needles
}

fn add(needles: &mut Vec<Needle>, spelling: &[u8]) {
    if !spelling.is_empty() && !needles.iter().any(|known| known.as_slice() == spelling) {
        needles.push(Zeroizing::new(spelling.to_vec()));
    }
}

/// What base64 makes of the secret when `alignment` bytes stand before it: the characters that
/// depend on the secret alone.
fn base64(needles: &mut Vec<Needle>, secret: &[u8], alignment: usize) {
    let mut padded = Zeroizing::new(vec![0; alignment]);
    padded.extend_from_slice(secret);
    let first = (alignment * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        let coded = Zeroizing::new(engine.encode(padded.as_slice()));
        add(
            needles,
            coded.as_bytes().get(first..last).unwrap_or_default(),
        );
    }
}

fn hex(needles: &mut Vec<Needle>, secret: &str) {
    let mut lower = Zeroizing::new(String::with_capacity(secret.len() * 2));
    for byte in secret.bytes() {
        let _ = write!(lower, "{byte:02x}");
    }
    add(needles, lower.as_bytes());
    let upper = Zeroizing::new(lower.to_ascii_uppercase());
    add(needles, upper.as_bytes());
}

/// Only what must be encoded, and every byte; with capital and small digits.
fn percents(needles: &mut Vec<Needle>, secret: &str) {
    let mut some = Zeroizing::new(String::with_capacity(secret.len() * 3));
    percent(&mut some, secret);
    add(needles, some.as_bytes());
    if some.contains('%') {
        let small = Zeroizing::new(small_escapes(&some));
        add(needles, small.as_bytes());
        let form = Zeroizing::new(some.replace("%20", "+"));
        add(needles, form.as_bytes());
    }
    let mut every = Zeroizing::new(String::with_capacity(secret.len() * 3));
    for byte in secret.bytes() {
        let _ = write!(every, "%{byte:02X}");
    }
    add(needles, every.as_bytes());
    let small = Zeroizing::new(every.to_ascii_lowercase());
    add(needles, small.as_bytes());
}

fn small_escapes(text: &str) -> String {
    let mut left = 0;
    text.chars()
        .map(|c| {
            let within = left > 0;
            left = if c == '%' {
                2
            } else {
                usize::saturating_sub(left, 1)
            };
            if within { c.to_ascii_lowercase() } else { c }
        })
        .collect()
}

/// The short escapes, with and without `\/`; everything as `\uXXXX`, with capital and small digits.
fn json(needles: &mut Vec<Needle>, secret: &str) {
    let quoted = Zeroizing::new(secret.replace('\\', "\\\\"));
    let quoted = Zeroizing::new(quoted.replace('"', "\\\""));
    add(needles, quoted.as_bytes());
    let slashes = Zeroizing::new(quoted.replace('/', "\\/"));
    add(needles, slashes.as_bytes());
    let (mut small, mut capital) = (Zeroizing::new(String::new()), Zeroizing::new(String::new()));
    small.reserve(secret.len() * 6);
    capital.reserve(secret.len() * 6);
    for unit in secret.encode_utf16() {
        let _ = write!(small, "\\u{unit:04x}");
        let _ = write!(capital, "\\u{unit:04X}");
    }
    add(needles, small.as_bytes());
    add(needles, capital.as_bytes());
    // Serialisers that escape only some characters: those that are special in HTML, and non-ASCII.
    let mut html = Zeroizing::new(String::with_capacity(secret.len() * 6));
    for c in secret.chars() {
        match c {
            '"' | '\\' => html.extend(['\\', c]),
            '<' | '>' | '&' | '\'' | '=' | '\u{80}'.. => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(html, "\\u{unit:04x}");
                }
            }
            _ => html.push(c),
        }
    }
    add(needles, html.as_bytes());
}
