//! A rule that lets calls like one that a person has looked at pass from now on. It is as narrow as
//! rules can be: this method, this path and query, and a body that is the same but for the words in
//! it that people read.

use serde_json::{Value, json};

use ah5_contracts::policy::Method;

use crate::body::{Json, Reading, View};
use crate::url::CanonicalUrl;
use crate::{Body, body};

/// A rule, and what it leaves open.
#[derive(Debug, PartialEq, Eq)]
pub struct Proposal {
    /// As policies store it.
    pub rule: Value,
    /// The places in the body where any text may stand.
    pub open: Vec<String>,
}

/// Why no rule can say "calls like this one".
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsayable {
    #[error("rules cannot read its body")]
    Body,
    #[error("it is too long to be written as a rule")]
    Long,
    #[error("it does something and has no body that a rule could hold it to")]
    NoBody,
}

/// # Errors
/// Such a rule would allow more than calls like this one.
pub fn propose(
    label: &str,
    method: Method,
    url: &CanonicalUrl,
    body: Body<'_>,
) -> Result<Proposal, Unsayable> {
    let query = url.path_and_query().split_at(url.path().len()).1;
    let mut matches = json!({
        "methods": [method.as_str()],
        "urlPattern": exactly(url.path())?,
        "queryPattern": exactly(query)?,
    });
    let mut open = Vec::new();
    let reading = Reading::new(body);
    match reading.view() {
        View::Absent if method.is_read() => {}
        View::Absent => return Err(Unsayable::NoBody),
        // A rule can't tell a form from JSON of the same members.
        View::Data(data) if data.is_container() && !reading.is_form() => {
            let mut shape = Shape::default();
            shape.write(data, "");
            let pattern = bounded(format!("^{}$", shape.pattern))?;
            matches["body"] = json!([{"path": "$body", "op": "matches", "value": pattern}]);
            open = shape.open;
        }
        View::Data(_) | View::Opaque(_) | View::Words(_) => return Err(Unsayable::Body),
    }
    let rule = json!({"label": label, "match": matches, "action": "allow"});
    Ok(Proposal { rule, open })
}

/// The pattern of all bodies that differ in words only.
#[derive(Default)]
struct Shape {
    pattern: String,
    open: Vec<String>,
}

// === impl Shape ===

impl Shape {
    fn write(&mut self, value: &Json<'_>, at: &str) {
        match value {
            Json::List(items) => {
                self.pattern.push_str("\\[");
                for (i, item) in items.iter().enumerate() {
                    self.comma(i);
                    self.write(item, &format!("{at}/{i}"));
                }
                self.pattern.push_str("\\]");
            }
            Json::Object(members) => {
                self.pattern.push_str("\\{");
                for (i, (name, value)) in body::in_order(members).into_iter().enumerate() {
                    self.comma(i);
                    self.exactly(&Json::Text(name.clone()));
                    self.pattern.push(':');
                    self.member(name, value, &format!("{at}/{name}"));
                }
                self.pattern.push_str("\\}");
            }
            value => self.exactly(value),
        }
    }

    fn member(&mut self, name: &str, value: &Json<'_>, at: &str) {
        let words = WORDS.iter().any(|word| word.eq_ignore_ascii_case(name));
        if words && matches!(value, Json::Text(_)) {
            self.pattern.push_str(ANY_TEXT);
            self.open.push(at.to_owned());
        } else {
            self.write(value, at);
        }
    }

    fn exactly(&mut self, value: &Json<'_>) {
        self.pattern.push_str(&escaped(&body::compact(value)));
    }

    fn comma(&mut self, before: usize) {
        if before > 0 {
            self.pattern.push(',');
        }
    }
}

fn exactly(text: &str) -> Result<String, Unsayable> {
    bounded(format!("^{}$", escaped(text)))
}

fn bounded(pattern: String) -> Result<String, Unsayable> {
    match pattern.len() <= LONGEST {
        true => Ok(pattern),
        false => Err(Unsayable::Long),
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if r"\^$.*+?()[]{}|/".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// What people write to each other. Whatever says to whom, where or how much is not among them.
const WORDS: [&str; 17] = [
    "body",
    "caption",
    "comment",
    "content",
    "description",
    "html",
    "htmlBody",
    "message",
    "note",
    "notes",
    "plainText",
    "subject",
    "summary",
    "text",
    "textBody",
    "title",
    "topic",
];
/// One text of compact JSON.
const ANY_TEXT: &str = r#""(?:[^"\\]|\\.)*""#;
/// A little less than patterns may have.
const LONGEST: usize = 4000;

#[cfg(test)]
mod tests;
