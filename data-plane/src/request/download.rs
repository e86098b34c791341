//! Downloads of files that an API hands out inside JSON, as Gmail does with attachments: their bytes
//! instead of the JSON. Whoever names the file is somebody out there: its name and type are put into
//! headers with care.

use ah5_policy::response::ResponseFilter;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::collect::{collect, filtered};
use super::relay::Relay;
use super::reply::content_type;
use super::{Refusal, heavy};
use crate::answer::{self, AnswerBody};

/// The members that matter. Any of them may be something else than text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Carrier<'a> {
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    mime_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    filename: Option<&'a RawValue>,
}

/// A file, and what is said of it.
struct Carried {
    bytes: Vec<u8>,
    kind: Option<String>,
    name: Option<String>,
}

/// The file in a JSON answer, or the answer as it is where there is none.
///
/// # Errors
/// As [`collect`]; 403 for an answer that rules can't filter.
pub async fn unpack(
    mut relay: Relay,
    status: StatusCode,
    mut headers: HeaderMap,
    filter: Option<&ResponseFilter>,
) -> Result<Response<AnswerBody>, Refusal> {
    let audit_id = relay.audit_id();
    let mut bytes = collect(&mut relay).await?;
    if let Some(filter) = filter {
        let kind = content_type(&headers);
        let kind = (!kind.is_empty()).then_some(kind);
        bytes = heavy::run(bytes.len(), || filtered(filter, kind, bytes)).await?;
    }
    // Never longer than the text that it is made from.
    relay.reserve(bytes.len())?;
    let found = heavy::run(bytes.len(), || carried(&bytes)).await;
    if let Some(file) = found {
        // What was coded twice is coded once now.
        bytes = relay.scrub(Bytes::from(file.bytes))?;
        headers = described(file.kind.as_deref(), file.name.as_deref());
    }
    answer::from_provider(&mut headers, audit_id);
    let mut response = Response::new(AnswerBody::provider(bytes, relay.done()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

fn carried(json: &[u8]) -> Option<Carried> {
    // A list would be taken for the members in order.
    if !json.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let carrier: Carrier<'_> = serde_json::from_slice(json).ok()?;
    let text = |raw: Option<&RawValue>| serde_json::from_str::<String>(raw?.get()).ok();
    let long = |raw| text(raw).filter(|text: &String| text.len() > SHORTEST);
    let coded = long(carrier.data).or_else(|| long(carrier.content))?;
    Some(Carried {
        bytes: decoded(&coded)?,
        kind: text(carrier.content_type).or_else(|| text(carrier.mime_type)),
        name: text(carrier.filename),
    })
}

/// Of either alphabet, padded or not.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let engine = match text.contains(['-', '_']) {
        true => &URL_SAFE,
        false => &STANDARD,
    };
    engine.decode(text).ok()
}

fn described(kind: Option<&str>, name: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let kind = kind.filter(|kind| kind.contains('/'));
    let kind = kind.and_then(|kind| HeaderValue::from_str(kind).ok());
    headers.insert(CONTENT_TYPE, kind.unwrap_or(OCTETS));
    if let Some(name) = name
        && let Ok(value) = HeaderValue::from_str(&disposition(name))
    {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    headers
}

/// `Content-Disposition` (RFC 6266) for any name: in ASCII for those who know no better, and, where that
/// loses something, as RFC 8187 has it. No name leads out of the folder it is saved to.
fn disposition(name: &str) -> String {
    let name: String = name
        .chars()
        .take(MAX_NAME)
        .map(|c| match c {
            '/' | '\\' => '_',
            c if c.is_control() => '_',
            c => c,
        })
        .collect();
    let plain = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '%');
    let ascii: String = name
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect();
    let mut text = format!("attachment; filename=\"{ascii}\"");
    if ascii != name {
        text.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    text
}

/// A shorter text is no file, but whatever the API calls its data.
const SHORTEST: usize = 100;
const MAX_NAME: usize = 200;
pub const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_in_either_member_and_alphabet() {
        let bytes: Vec<u8> = (0..=255).collect();
        for coded in [
            base64::engine::general_purpose::STANDARD.encode(&bytes),
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&bytes),
        ] {
            for member in ["data", "content"] {
                let json =
                    format!("{{\"size\":256,\"{member}\":\"{coded}\",\"mimeType\":\"a/b\"}}");
                let found = carried(json.as_bytes()).unwrap();
                assert_eq!(
                    (found.bytes, found.kind),
                    (bytes.clone(), Some("a/b".into()))
                );
            }
        }
    }

    #[test]
    fn what_is_no_file_stays_json() {
        let long = "A".repeat(200);
        for json in [
            "{\"data\":{\"a\":1}}".to_owned(),
            "{\"data\":\"c2hvcnQ=\"}".to_owned(),
            format!("{{\"data\":\"{long}!\"}}"),
            format!("[\"{long}\"]"),
            format!("{{\"data\":\"{long}\",\"data\":\"{long}\"}}"),
        ] {
            assert!(carried(json.as_bytes()).is_none(), "{json}");
        }
    }

    #[test]
    fn every_name_is_legal_in_a_header_and_in_a_folder() {
        for (name, expected) in [
            ("a b.pdf", "attachment; filename=\"a b.pdf\""),
            (
                "a\"b.pdf",
                "attachment; filename=\"a_b.pdf\"; filename*=UTF-8''a%22b.pdf",
            ),
            (
                "Übersicht.pdf",
                "attachment; filename=\"_bersicht.pdf\"; filename*=UTF-8''%C3%9Cbersicht.pdf",
            ),
            ("../../x\r\ny", "attachment; filename=\".._.._x__y\""),
            (
                "100%25",
                "attachment; filename=\"100_25\"; filename*=UTF-8''100%2525",
            ),
        ] {
            assert_eq!(disposition(name), expected);
            assert!(HeaderValue::from_str(&disposition(name)).is_ok());
        }
    }

    #[test]
    fn a_type_that_is_none_is_not_passed_on() {
        for kind in [None, Some("text\r\nx: y/z"), Some("nonsense")] {
            assert_eq!(described(kind, None)[CONTENT_TYPE], OCTETS);
        }
        assert_eq!(described(Some("a/b"), None)[CONTENT_TYPE], "a/b");
    }
}
