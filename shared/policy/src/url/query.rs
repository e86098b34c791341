//! Canonical queries: order and delimiters kept, every other byte encoded in one way (RFC 3986, a
//! space is `%20`).

use std::borrow::Cow;

use super::UrlError;
use super::path::escape;

/// Appends the canonical form of a raw query. `&`, `=` and `+` delimit, so they stay as they were
/// written, bare or encoded. A bare `;` delimits for some servers and not for us: it is encoded, so
/// that nobody finds a parameter there that no rule has seen.
pub(super) fn append(out: &mut String, raw: &str) -> Result<(), UrlError> {
    let bytes = raw.as_bytes();
    let mut i = 0;
    let mut escaped = false;
    while i < bytes.len() {
        let byte = bytes[i];
        if byte == b'%' {
            let decoded = escape(&bytes[i..]).ok_or(UrlError::Escape)?;
            if decoded == 0 {
                return Err(UrlError::Control);
            }
            escaped = true;
            if is_literal(decoded) {
                out.push(char::from(decoded));
            } else {
                push_escaped(out, decoded);
            }
            i += 3;
            continue;
        }
        if is_literal(byte) || matches!(byte, b'&' | b'=' | b'+') {
            out.push(char::from(byte));
        } else {
            push_escaped(out, byte);
        }
        i += 1;
    }
    if escaped && decode_bytes(raw).is_err() {
        return Err(UrlError::Escape);
    }
    Ok(())
}

pub(super) fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    query.split('&').filter(|p| !p.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

/// `query` with `parameters` set over it.
pub(super) fn merge<'a>(
    query: &str,
    parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<String, UrlError> {
    let mut merged: Vec<(Cow<'_, str>, Cow<'_, str>)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let name = pair.split_once('=').map_or(pair, |(name, _)| name);
            (decode(name), Cow::Borrowed(pair))
        })
        .collect();
    for (name, value) in parameters {
        if name.contains('\0') || value.contains('\0') {
            return Err(UrlError::Control);
        }
        let mut pair = String::with_capacity(name.len() + value.len() + 1);
        push_component(&mut pair, name);
        pair.push('=');
        push_component(&mut pair, value);
        let entry = (Cow::Owned(name.to_owned()), Cow::Owned(pair));
        match merged.iter().position(|(known, _)| known == name) {
            Some(at) => {
                merged[at] = entry;
                let mut seen = 0;
                merged.retain(|(known, _)| {
                    seen += 1;
                    seen - 1 <= at || known != name
                });
            }
            None => merged.push(entry),
        }
    }
    let pairs: Vec<&str> = merged.iter().map(|(_, pair)| pair.as_ref()).collect();
    Ok(pairs.join("&"))
}

pub(super) fn push_escaped(out: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(HEX[usize::from(byte >> 4)]));
    out.push(char::from(HEX[usize::from(byte & 15)]));
}

fn push_component(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if is_literal(byte) {
            out.push(char::from(byte));
        } else {
            push_escaped(out, byte);
        }
    }
}

/// The query is canonical, so decoding succeeds; were it not, the text itself stands.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    decode_bytes(text).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn decode_bytes(text: &str) -> Result<String, UrlError> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'%' => {
                out.push(escape(&bytes[i..]).ok_or(UrlError::Escape)?);
                i += 2;
            }
            b'+' => out.push(b' '),
            byte => out.push(byte),
        }
        i += 1;
    }
    String::from_utf8(out).map_err(|_| UrlError::Escape)
}

/// Never delimits anything in a query.
const fn is_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b':'
                | b'@'
                | b'/'
                | b'?'
                | b'!'
                | b'$'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b','
        )
}
