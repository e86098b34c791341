//! The forms of an exported trail.

use serde::Serialize as _;
use serde_json::Serializer;

use super::Event;
use crate::error::AppError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv,
    Json,
    JsonLines,
}

// === impl Format ===

impl Format {
    pub fn of(name: Option<&str>) -> Result<Self, AppError> {
        match name {
            None | Some("json") => Ok(Self::Json),
            Some("csv") => Ok(Self::Csv),
            Some("jsonl") => Ok(Self::JsonLines),
            Some(_) => Err(AppError::bad_request(
                "querystring/format must be equal to one of the allowed values",
            )),
        }
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
            Self::JsonLines => "application/x-ndjson",
        }
    }

    pub const fn disposition(self) -> &'static str {
        match self {
            Self::Csv => "attachment; filename=audit-export.csv",
            Self::Json => "attachment; filename=audit-export.json",
            Self::JsonLines => "attachment; filename=audit-export.jsonl",
        }
    }

    pub fn head(self, out: &mut Vec<u8>) {
        match self {
            Self::Csv => out.extend(CSV_HEAD),
            Self::Json => out.push(b'['),
            Self::JsonLines => {}
        }
    }

    pub fn event(self, out: &mut Vec<u8>, event: Event, first: bool) {
        match self {
            Self::Csv => line(out, &event),
            Self::Json if first => object(out, event),
            Self::Json => {
                out.push(b',');
                object(out, event);
            }
            Self::JsonLines => {
                object(out, event);
                out.push(b'\n');
            }
        }
    }

    pub fn foot(self, out: &mut Vec<u8>) {
        if self == Self::Json {
            out.push(b']');
        }
    }
}

fn object(out: &mut Vec<u8>, event: Event) {
    let event = Event { id: None, ..event };
    // Memory takes everything, and the keys are strings.
    let _ = event.serialize(&mut Serializer::new(out));
}

fn line(out: &mut Vec<u8>, event: &Event) {
    let id = |id: Option<String>| id.unwrap_or_default();
    let metadata = serde_json::to_string(&event.metadata).unwrap_or_default();
    let fields = [
        event.audit_id.to_string(),
        event.timestamp.clone(),
        event.actor.clone(),
        id(event.agent_id.map(|id| id.to_string())),
        id(event.connection_id.map(|id| id.to_string())),
        event.action.clone(),
        event.decision.clone(),
    ];
    for text in fields {
        field(out, &text, text.contains(['"', ',', '\r', '\n']));
        out.push(b',');
    }
    field(out, &metadata, true);
    out.push(b'\n');
}

// RFC 4180, but for what a spreadsheet would run: an apostrophe makes it a text.
fn field(out: &mut Vec<u8>, text: &str, quoted: bool) {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        "'"
    } else {
        ""
    };
    if quoted {
        let text = text.replace('"', "\"\"");
        out.extend([b"\"", guard.as_bytes(), text.as_bytes(), b"\""].concat());
    } else {
        out.extend([guard.as_bytes(), text.as_bytes()].concat());
    }
}

const CSV_HEAD: &[u8] =
    b"audit_id,timestamp,actor,agent_id,connection_id,action,decision,metadata\n";

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use ah5_contracts::id::AuditId;

    use super::*;

    fn event(actor: &str) -> Event {
        Event {
            id: Some(AuditId::now()),
            audit_id: "0191d2c0-0000-7000-8000-000000000001".parse().unwrap(),
            timestamp: "2026-01-01T00:00:00.000Z".into(),
            actor: actor.into(),
            agent_id: None,
            connection_id: None,
            action: "tested".into(),
            decision: "allowed".into(),
            metadata: Map::from_iter([("a".to_owned(), json!("x\"y,\nz"))]),
        }
    }

    fn written(format: Format, events: &[&str]) -> String {
        let mut out = Vec::new();
        format.head(&mut out);
        for (i, actor) in events.iter().enumerate() {
            format.event(&mut out, event(actor), i == 0);
        }
        format.foot(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn csv_quotes_what_must_be_quoted_and_disarms_formulas() {
        let head = String::from_utf8(CSV_HEAD.to_vec()).unwrap();
        assert_eq!(written(Format::Csv, &[]), head);
        let metadata = r#""{""a"":""x\""y,\nz""}""#;
        for (actor, field) in [
            ("system", "system"),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("a\r\nb", "\"a\r\nb\""),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@x", "'@x"),
            ("\tx", "'\tx"),
            ("\rx", "\"'\rx\""),
            ("=a,b", "\"'=a,b\""),
        ] {
            let line = format!(
                "0191d2c0-0000-7000-8000-000000000001,2026-01-01T00:00:00.000Z,{field},,,tested,allowed,{metadata}\n"
            );
            assert_eq!(written(Format::Csv, &[actor]), format!("{head}{line}"));
        }
    }

    #[test]
    fn json_is_one_array_and_json_lines_are_objects() {
        assert_eq!(written(Format::Json, &[]), "[]");
        let array: Vec<serde_json::Value> =
            serde_json::from_str(&written(Format::Json, &["a", "b"])).unwrap();
        assert_eq!((array.len(), array[1]["actor"].as_str()), (2, Some("b")));
        assert!(array[0].get("id").is_none() && array[0]["agentId"].is_null());
        let lines = written(Format::JsonLines, &["a", "b"]);
        let lines: Vec<serde_json::Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines, array);
    }
}
