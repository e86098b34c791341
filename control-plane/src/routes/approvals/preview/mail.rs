//! A mail as it stands in a request to send it: base64url in a member `raw`. Every header is shown,
//! in order, and every field that names recipients, so that nobody is written to unseen.

use ah5_policy::body::Json;
use base64::Engine as _;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use serde::Serialize;

use super::Field;

#[derive(Serialize)]
pub struct Mail {
    /// The values of all fields that name recipients.
    recipients: Vec<String>,
    headers: Vec<Field>,
    /// As it is written: parts and codings are not resolved.
    content: String,
}

/// Every member `raw` of the body or of an object in it that holds a mail.
pub fn find(body: &Json<'_>) -> Vec<Mail> {
    let Json::Object(members) = body else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (name, value) in members {
        match value {
            Json::Text(text) if name == "raw" => found.extend(read(text)),
            Json::Object(_) => {
                found.extend(value.member("raw").and_then(Json::as_text).and_then(read))
            }
            _ => {}
        }
    }
    found
}

fn read(coded: &str) -> Option<Mail> {
    let standard: String = coded
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    let decoder = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);
    let bytes = decoder.decode(standard).ok()?;
    let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
    let (head, content) = text.split_once("\n\n").unwrap_or((&text, ""));
    let headers = headers(head)?;
    let recipients = headers.iter().filter(|field| {
        let name = field.name.to_ascii_lowercase();
        RECIPIENTS.contains(&name.strip_prefix("resent-").unwrap_or(&name))
    });
    Some(Mail {
        recipients: recipients.map(|field| field.value.clone()).collect(),
        content: content.to_owned(),
        headers,
    })
}

/// RFC 5322 §2.2.3: a line that begins with a blank goes on with the one before.
fn headers(head: &str) -> Option<Vec<Field>> {
    let mut fields: Vec<Field> = Vec::new();
    for line in head.split('\n') {
        if line.starts_with([' ', '\t']) {
            let last = fields.last_mut()?;
            last.value.push(' ');
            last.value.push_str(line.trim());
            continue;
        }
        let (name, value) = line.split_once(':')?;
        fields.push(Field {
            name: name.trim_end().to_owned(),
            value: value.trim().to_owned(),
        });
    }
    Some(fields)
}

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const RECIPIENTS: [&str; 3] = ["bcc", "cc", "to"];
