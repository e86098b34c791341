//! Canonical paths: every segment decoded once, checked, and encoded in one way.

use std::borrow::Cow;

use super::UrlError;

/// Appends `/` and the canonical form of `raw` (a path without its first slash). Dot segments are
/// resolved within `raw`; one that climbs above it is refused.
pub(super) fn append(out: &mut String, raw: &str) -> Result<(), UrlError> {
    let root = out.len();
    if is_plain(raw) {
        out.push('/');
        out.push_str(raw);
        return Ok(());
    }
    let mut segments = raw.split('/').peekable();
    let mut buffer = Vec::new();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if segment.is_empty() && !last {
            return Err(UrlError::EmptySegment);
        }
        decode(segment, &mut buffer)?;
        match classify(&buffer)? {
            Kind::Here if last => out.push('/'),
            Kind::Here => {}
            Kind::Up => {
                let parent = out[root..].rfind('/').ok_or(UrlError::AboveRoot)?;
                out.truncate(root + parent);
                if last {
                    out.push('/');
                }
            }
            Kind::Name => {
                out.push('/');
                buffer.iter().for_each(|&byte| encode(out, byte));
            }
        }
    }
    Ok(())
}

/// The canonical form of a piece of a path pattern. `*` never reaches this function.
pub(crate) fn canonical_literal(piece: &str) -> Result<String, UrlError> {
    let mut out = String::with_capacity(piece.len());
    let mut buffer = Vec::new();
    for (i, segment) in piece.split('/').enumerate() {
        if i > 0 {
            out.push('/');
        }
        decode(segment, &mut buffer)?;
        check_bytes(&buffer)?;
        buffer.iter().for_each(|&byte| encode(&mut out, byte));
    }
    Ok(out)
}

/// A canonical segment, decoded.
pub(crate) fn decode_text(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    let mut buffer = Vec::new();
    let decoded = decode(segment, &mut buffer).is_ok();
    match String::from_utf8(buffer) {
        Ok(text) if decoded => Cow::Owned(text),
        _ => Cow::Borrowed(segment),
    }
}

/// Whether `path` is `base` or continues it by whole segments.
pub(super) fn is_below(path: &str, base: &str) -> bool {
    let base = base.strip_suffix('/').unwrap_or(base);
    match path.strip_prefix(base) {
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

enum Kind {
    Here,
    Name,
    Up,
}

/// True for what the slow way would leave as it is: the common case, without allocation.
fn is_plain(raw: &str) -> bool {
    let mut at_start = true;
    for byte in raw.bytes() {
        match byte {
            // Two slashes, or a segment that begins with a dot: leave it to the slow way.
            b'/' | b'.' if at_start => return false,
            b'/' => at_start = true,
            _ if is_literal(byte) => at_start = false,
            _ => return false,
        }
    }
    true
}

fn decode(segment: &str, into: &mut Vec<u8>) -> Result<(), UrlError> {
    into.clear();
    let bytes = segment.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] == b'%' {
            into.push(escape(&bytes[i..]).ok_or(UrlError::Escape)?);
            i += 3;
        } else {
            into.push(bytes[i]);
            i += 1;
        }
    }
    if std::str::from_utf8(into).is_err() {
        return Err(UrlError::Escape);
    }
    Ok(())
}

/// The byte that `%XX` at the start of `bytes` stands for.
pub(crate) fn escape(bytes: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
    u8::try_from(digit(1)? * 16 + digit(2)?).ok()
}

fn classify(segment: &[u8]) -> Result<Kind, UrlError> {
    check_bytes(segment)?;
    match segment {
        b"." | b"" => return Ok(Kind::Here),
        b".." => return Ok(Kind::Up),
        _ => {}
    }
    // Some servers cut `;parameters` off before they resolve dot segments.
    let name = segment.split(|&b| b == b';').next().unwrap_or_default();
    if matches!(name, b"." | b"..") {
        return Err(UrlError::PathParameter);
    }
    Ok(Kind::Name)
}

fn check_bytes(segment: &[u8]) -> Result<(), UrlError> {
    for (i, &byte) in segment.iter().enumerate() {
        match byte {
            b'/' | b'\\' => return Err(UrlError::EncodedSlash),
            0..=0x1f | 0x7f => return Err(UrlError::Control),
            // An escape that survived decoding: a second decoder would see something else.
            b'%' if escape(&segment[i..]).is_some_and(is_structural) => {
                return Err(UrlError::DoubleEncoding);
            }
            _ => {}
        }
    }
    Ok(())
}

const fn is_structural(byte: u8) -> bool {
    matches!(byte, b'.' | b'/' | b'\\' | b'%' | 0..=0x1f | 0x7f)
}

fn encode(out: &mut String, byte: u8) {
    if is_literal(byte) {
        out.push(char::from(byte));
    } else {
        super::query::push_escaped(out, byte);
    }
}

/// Unreserved, and the reserved characters that a path may hold; `=` and `&` are encoded, so that
/// a path never looks like a query.
const fn is_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b':'
                | b'@'
                | b'!'
                | b'$'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
        )
}
