//! The alphabet of folders' names (RFC 3501 §5.1.3): ASCII, and the rest as base64 of UTF-16.

use base64::Engine as _;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut wide: Vec<u8> = Vec::new();
    for c in text.chars() {
        if !(' '..='~').contains(&c) {
            let mut units = [0; 2];
            let units = c.encode_utf16(&mut units);
            wide.extend(units.iter().flat_map(|unit| unit.to_be_bytes()));
            continue;
        }
        flush(&mut out, &mut wide);
        match c {
            '&' => out.push_str("&-"),
            c => out.push(c),
        }
    }
    flush(&mut out, &mut wide);
    out
}

/// What is malformed stays as it is.
pub(super) fn decode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let coded = &rest[at + 1..];
        let Some(end) = coded.find('-') else {
            out.push_str(&rest[at..]);
            return out;
        };
        match (&coded[..end], units(&coded[..end])) {
            ("", _) => out.push('&'),
            (_, Some(text)) => out.push_str(&text),
            (_, None) => out.push_str(&rest[at..at + end + 2]),
        }
        rest = &coded[end + 1..];
    }
    out.push_str(rest);
    out
}

fn flush(out: &mut String, wide: &mut Vec<u8>) {
    if !wide.is_empty() {
        out.push('&');
        ENGINE.encode_string(&wide, out);
        out.push('-');
        wide.clear();
    }
}

fn units(coded: &str) -> Option<String> {
    let bytes = ENGINE.decode(coded).ok()?;
    let pairs = bytes.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    let units: Vec<u16> = pairs
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
        .collect();
    String::from_utf16(&units).ok()
}

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_as_they_were() {
        for (text, wire) in [
            ("INBOX", "INBOX"),
            ("a&b", "a&-b"),
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("😀", "&2D3eAA-"),
        ] {
            assert_eq!(encode(text), wire);
            assert_eq!(decode(wire), text);
        }
        for broken in ["&", "&x", "&!!-", "&2D0-"] {
            assert_eq!(decode(broken), broken);
        }
    }
}
