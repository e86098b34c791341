//! Text inside base64: mail bodies come so from mail APIs. What held something is encoded again; in
//! what cannot be mended in place (line breaks, more layers), the marker takes the whole value.

use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::leaf::Redactor;
use super::{ResponseFilter, RuleFilter};

/// How many layers may still be unwrapped.
#[derive(Clone, Copy)]
pub(super) struct Layers(u8);

// === impl Layers ===

impl Layers {
    pub(super) const FULL: Self = Self(3);
}

// === impl ResponseFilter ===

impl ResponseFilter {
    /// As it applies to a file that an answer carries in base64, decoded: the rules that look for data.
    /// Those on members are about the answer around it.
    #[must_use]
    pub fn for_carried(&self) -> Self {
        let rules = self.rules.iter().filter(|rule| rule.redact.is_some());
        let rules = rules.map(|rule| {
            Arc::new(RuleFilter {
                allow: None,
                deny: None,
                on_unfilterable: rule.on_unfilterable,
                redact: rule.redact.clone(),
            })
        });
        Self::new(rules.collect())
    }
}

/// The redacted value, if `text` is base64 of a text with something in it.
pub(super) fn redact(text: &str, redactor: &Redactor, layers: Layers) -> Option<String> {
    if let Some((_, data)) = text
        .split_once(";base64,")
        .filter(|_| text.starts_with("data:"))
    {
        return redact(data, redactor, layers).map(|_| redactor.marker().to_owned());
    }
    let decoded = decode(text)?;
    let inner = decoded.trim();
    let deeper = layers.0.checked_sub(1).map(Layers);
    if deeper.is_some_and(|layers| redact(inner, redactor, layers).is_some()) {
        return Some(redactor.marker().to_owned());
    }
    let redacted = redactor.mail(&decoded)?;
    let is_mendable = layers.0 == Layers::FULL.0 && !text.contains('\n');
    Some(match is_mendable {
        true => URL_SAFE_NO_PAD.encode(redacted),
        false => redactor.marker().to_owned(),
    })
}

/// The encoded parts of a MIME text, each decoded, redacted and encoded again.
pub(super) fn redact_parts(text: &str, redactor: &Redactor) -> Option<String> {
    let mut out: Option<String> = None;
    let mut copied = 0;
    for (start, end) in blocks(text) {
        let Some(decoded) = decode(&text[start..end]) else {
            continue;
        };
        if let Some(redacted) = redactor.text(&decoded) {
            let out = out.get_or_insert_with(String::new);
            out.push_str(&text[copied..start]);
            out.push_str(&wrapped(&STANDARD.encode(redacted)));
            copied = end;
        }
    }
    out.map(|mut out| {
        out.push_str(&text[copied..]);
        out
    })
}

/// Runs of lines that are nothing but base64, the first of them long enough to be no word.
fn blocks(text: &str) -> Vec<(usize, usize)> {
    let mut blocks: Vec<(usize, usize)> = Vec::new();
    let (mut at, mut open) = (0, None);
    for line in text.split_inclusive('\n') {
        let body = line.trim_end_matches(['\r', '\n']);
        let is_base64 = !body.is_empty() && body.bytes().all(is_part);
        let end = at + body.len();
        match (is_base64, open) {
            (true, None) if body.len() >= SHORTEST_LINE => {
                open = Some(blocks.len());
                blocks.push((at, end));
            }
            (true, Some(place)) => blocks[place].1 = end,
            (true, None) => {}
            (false, _) => open = None,
        }
        at += line.len();
    }
    blocks
}

/// The text that `text` is base64 of, either alphabet, line breaks allowed; `None` for anything
/// that does not look like text.
fn decode(text: &str) -> Option<String> {
    let is_encoded = |byte: u8| is_part(byte) || matches!(byte, b'\r' | b'\n');
    if text.len() < SHORTEST || !text.bytes().all(is_encoded) {
        return None;
    }
    let mut plain: Vec<u8> = text
        .bytes()
        .filter(|byte| !matches!(byte, b'\r' | b'\n' | b'='))
        .map(|byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        })
        .collect();
    let head = LENIENT.decode(&plain[..plain.len().min(684)]);
    if head.is_ok_and(|head| !is_texty(&head)) {
        return None;
    }
    // A last character that encodes nothing.
    if plain.len() % 4 == 1 {
        plain.pop();
    }
    let decoded = LENIENT.decode(&plain).ok()?;
    if !is_texty(&decoded) {
        return None;
    }
    match String::from_utf8(decoded) {
        Ok(text) => Some(text),
        // Words and ids are often base64 by accident; short ones must be clean.
        Err(_) if text.len() < LONG => None,
        Err(e) => Some(String::from_utf8_lossy(e.as_bytes()).into_owned()),
    }
}

fn is_texty(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(512)];
    let is_control = |byte: &&u8| **byte < 9 || (0xe..0x20).contains(*byte) && **byte != 0x1b;
    head.iter().filter(is_control).count() * 20 <= head.len()
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte)
}

const fn lenient(alphabet: &alphabet::Alphabet) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(alphabet, config)
}

fn wrapped(encoded: &str) -> String {
    let lines: Vec<&str> = (0..encoded.len())
        .step_by(76)
        .map(|at| &encoded[at..encoded.len().min(at + 76)])
        .collect();
    lines.join("\r\n")
}

pub(crate) const LENIENT: GeneralPurpose = lenient(&alphabet::STANDARD);
pub(crate) const LENIENT_URL: GeneralPurpose = lenient(&alphabet::URL_SAFE);
const SHORTEST: usize = 16;
const SHORTEST_LINE: usize = 24;
const LONG: usize = 40;
