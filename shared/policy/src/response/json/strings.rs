//! String tokens: what they say, and how to write one.

use std::borrow::Cow;

/// What a string token says, quotes included in `token`. A lone surrogate is read as U+FFFD.
pub(crate) fn unquote(token: &str) -> Cow<'_, str> {
    let inner = token.get(1..token.len() - 1).unwrap_or("");
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let (c, width) = escaped(&rest[at..]);
        out.push(c);
        rest = &rest[at + width..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// `text` as a string token.
pub(crate) fn quote(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            0..0x20 => out.extend(format!("\\u{byte:04x}").bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
    out
}

/// The character of the escape that `text` starts with, and its width. The text was checked.
fn escaped(text: &str) -> (char, usize) {
    match text.as_bytes()[1] {
        b'b' => ('\u{8}', 2),
        b'f' => ('\u{c}', 2),
        b'n' => ('\n', 2),
        b'r' => ('\r', 2),
        b't' => ('\t', 2),
        b'u' => unicode(text),
        byte => (char::from(byte), 2),
    }
}

fn unicode(text: &str) -> (char, usize) {
    let unit = |from: usize| {
        let digits = text.get(from..from + 4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let first = unit(2).unwrap_or(0xfffd);
    let low = text[6..].starts_with("\\u").then(|| unit(8)).flatten();
    let pair = [first, low.unwrap_or(0)];
    match char::decode_utf16(pair).next() {
        Some(Ok(c)) if c.len_utf16() == 2 => (c, 12),
        Some(Ok(c)) => (c, 6),
        _ => (char::REPLACEMENT_CHARACTER, 6),
    }
}
