//! Makes an event storable before it enters its chain: Postgres takes no NUL, nothing may be
//! larger than its bound, and details must read back as they were hashed. What is changed here is
//! what the chain vouches for.

use ah5_contracts::audit::AuditEvent;
use serde_json::{Map, Value, json};

pub(super) fn make_safe(event: &mut AuditEvent) {
    event.ts = event.ts.clamp(YEAR_1, YEAR_9999);
    text(&mut event.actor_id, MAX_NAME);
    text(&mut event.action, MAX_NAME);
    for (field, max) in [
        (&mut event.rule, MAX_NAME),
        (&mut event.method, MAX_METHOD),
        (&mut event.host, MAX_NAME),
    ] {
        if let Some(field) = field {
            text(field, max);
        }
    }
    if let Some(digest) = &mut event.path_digest {
        digest.truncate(MAX_DIGEST);
    }
    event.timings.truncate(MAX_TIMINGS);
    details(&mut event.details);
}

// True if something had to be changed.
fn text(text: &mut String, max: usize) -> bool {
    let foul = text.contains('\0');
    if foul {
        *text = text.replace('\0', "\u{fffd}");
    }
    let long = text.len() > max;
    if long {
        text.truncate(text.floor_char_boundary(max));
    }
    foul || long
}

fn details(text: &mut String) {
    let given = text.len();
    if given > MAX_PARSED {
        *text = json!({ "omittedBytes": given }).to_string();
        return;
    }
    match serde_json::from_str::<Map<String, Value>>(text) {
        Ok(mut members) => {
            if object(&mut members) {
                *text = Value::Object(members).to_string();
            }
        }
        Err(_) => *text = json!({ "unreadableBytes": given }).to_string(),
    }
    if text.len() > MAX_DETAILS {
        *text = json!({ "omittedBytes": given }).to_string();
    }
}

fn object(members: &mut Map<String, Value>) -> bool {
    let mut changed = false;
    for member in members.values_mut() {
        changed |= value(member);
    }
    if members
        .keys()
        .any(|name| name.contains('\0') || name.len() > MAX_NAME)
    {
        let safe = |(mut name, member)| {
            text(&mut name, MAX_NAME);
            (name, member)
        };
        *members = std::mem::take(members).into_iter().map(safe).collect();
        changed = true;
    }
    changed
}

fn value(value: &mut Value) -> bool {
    match value {
        Value::Array(items) => items
            .iter_mut()
            .fold(false, |so_far, item| self::value(item) | so_far),
        Value::Number(number) if number.is_f64() => {
            // jsonb writes a fraction its own way, and the chain would not verify.
            *value = Value::String(number.to_string());
            true
        }
        Value::Object(members) => object(members),
        Value::String(string) => text(string, MAX_TEXT),
        Value::Bool(_) | Value::Null | Value::Number(_) => false,
    }
}

const MAX_NAME: usize = 256;
const MAX_METHOD: usize = 32;
const MAX_DIGEST: usize = 64;
const MAX_TIMINGS: usize = 32;
const MAX_TEXT: usize = 1024;
const MAX_DETAILS: usize = 8 * 1024;
const MAX_PARSED: usize = 64 * 1024;
const YEAR_1: i64 = -62_135_596_800_000_000;
const YEAR_9999: i64 = 253_370_764_800_000_000;

#[cfg(test)]
mod tests {
    use super::super::tests::event;
    use super::*;

    #[test]
    fn an_ordinary_event_stays_as_it_is() {
        let mut safe = event();
        make_safe(&mut safe);
        assert_eq!(safe, event());
    }

    #[test]
    fn every_field_is_bounded_and_free_of_nul() {
        let mut wild = event();
        let long = format!("\0{}é", "x".repeat(100_000));
        for field in [&mut wild.actor_id, &mut wild.action] {
            field.clone_from(&long);
        }
        (wild.rule, wild.method, wild.host) =
            (Some(long.clone()), Some(long.clone()), Some(long.clone()));
        wild.path_digest = Some(vec![0; 1000]);
        wild.timings = vec![0; 1000];
        wild.details = json!({ "a": long }).to_string();
        make_safe(&mut wild);
        let whole = serde_json::to_string(&wild).unwrap();
        assert!(whole.len() < 3000 && !whole.contains("\\u0000"), "{whole}");
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        let mut cut = format!("x{}", "é".repeat(MAX_NAME));
        assert!(text(&mut cut, MAX_NAME));
        assert_eq!(cut.len(), MAX_NAME - 1);
    }

    #[test]
    fn details_become_an_object_that_jsonb_keeps() {
        let cases = [
            ("", r#"{"unreadableBytes":0}"#),
            ("[1]", r#"{"unreadableBytes":3}"#),
            (r#"{"a":1e999}"#, r#"{"unreadableBytes":11}"#),
            (r#"{"\u0000a":"\u0000"}"#, "{\"\u{fffd}a\":\"\u{fffd}\"}"),
            (
                r#"{"a":[{"b":"x\u0000"}]}"#,
                "{\"a\":[{\"b\":\"x\u{fffd}\"}]}",
            ),
            (r#"{"a":1.50,"b":-0.0}"#, r#"{"a":"1.5","b":"-0.0"}"#),
        ];
        for (given, kept) in cases {
            let mut given = given.to_owned();
            details(&mut given);
            assert_eq!(given, kept);
        }
        let mut many = json!({ "a": vec![1_000_000; 5000] }).to_string();
        details(&mut many);
        assert!(many.contains("omittedBytes"), "{}", many.len());
    }
}
