//! Canonical paths: every segment decoded once, checked, and encoded in one way.

use std::borrow::Cow;

use super::UrlError;

/// Appends `/` and the canonical form of `raw` (a path without its first slash). Repeated slashes
/// are one. Dot segments are resolved within `raw`; one that climbs above it is refused.
pub(super) fn append(out: &mut String, raw: &str) -> Result<(), UrlError> {
    let root = out.len();
    if is_plain(raw) {
        out.push('/');
        out.push_str(raw);
        return Ok(());
    }
    let mut segments = raw.split('/').peekable();
    let mut buffer = Vec::new();
    let mut collapsed = false;
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if segment.is_empty() && !last {
            collapsed = true;
            continue;
        }
        decode(segment, &mut buffer)?;
        match classify(&buffer)? {
            Kind::Here if last => out.push('/'),
            Kind::Here => {}
            // Does it climb out of the empty segment or of the one before? Servers differ.
            Kind::Up if collapsed => return Err(UrlError::EmptySegment),
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
    let mut before = b'/';
    for byte in raw.bytes() {
        match byte {
            // Two slashes, two dots, or a segment that begins with one: leave it to the slow way.
            b'/' if before == b'/' => return false,
            b'.' if matches!(before, b'/' | b'.') => return false,
            b'/' => {}
            _ if is_literal(byte) => {}
            _ => return false,
        }
        before = byte;
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
    if let Some(kind) = dots(segment).or_else(|| dots(&decoded_again(segment)?)) {
        return Ok(kind);
    }
    check_bytes(segment)?;
    // Some servers cut `;parameters` off before they resolve dot segments.
    let name = segment.split(|&b| b == b';').next().unwrap_or_default();
    if matches!(name, b"." | b"..") {
        return Err(UrlError::PathParameter);
    }
    if has_two_dots(segment) {
        return Err(UrlError::Traversal);
    }
    Ok(Kind::Name)
}

fn dots(segment: &[u8]) -> Option<Kind> {
    match segment {
        b"." | b"" => Some(Kind::Here),
        b".." => Some(Kind::Up),
        _ => None,
    }
}

/// Dots may be encoded once more: whoever decodes twice sees what is judged.
fn decoded_again(segment: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(segment)
        .ok()
        .filter(|t| t.contains('%'))?;
    let mut again = Vec::new();
    decode(text, &mut again).ok()?;
    Some(again)
}

/// Clients know a name with two dots in a row as refused. More of them mean nothing to anyone.
fn has_two_dots(segment: &[u8]) -> bool {
    segment.split(|&b| b != b'.').any(|dots| dots.len() == 2)
}

fn check_bytes(segment: &[u8]) -> Result<(), UrlError> {
    for (i, &byte) in segment.iter().enumerate() {
        match byte {
            b'/' | b'\\' if has_two_dots(segment) => return Err(UrlError::Traversal),
            b'/' | b'\\' => return Err(UrlError::EncodedSlash),
            0..=0x1f | 0x7f => return Err(UrlError::PathControl),
            // What survived decoding would be something else to a second decoder.
            b'%' if escape(&segment[i..]).is_some() => return Err(UrlError::DoubleEncoding),
            b'%' => return Err(UrlError::Escape),
            _ => {}
        }
    }
    Ok(())
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
