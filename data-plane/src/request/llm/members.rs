//! What a model call's body says about how much it may use. One pass; names as the provider reads them,
//! and none twice.

use std::fmt;

use ah5_providers::service::Dialect;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Members {
    pub model: Option<String>,
    /// The most tokens of one answer.
    pub most: Option<u64>,
    /// Answers asked for.
    pub choices: u64,
    /// Something of the request is elsewhere: a file or a page.
    pub refers: bool,
    /// Hosted tools, and members that bring in what was said before or is kept elsewhere.
    pub unmeasured: Vec<String>,
}

/// `limits` are the members that this endpoint takes for the most tokens of an answer.
///
/// # Errors
/// It is no such object.
pub fn read(dialect: Dialect, limits: &[&str], body: &[u8]) -> Result<Members, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let members = reader.deserialize_map(Body {
        dialect,
        limits,
        members: Members::default(),
    })?;
    reader.end()?;
    Ok(members)
}

struct Body<'l> {
    dialect: Dialect,
    limits: &'l [&'l str],
    members: Members,
}

/// Looks through a value for what is elsewhere.
struct Search<'a>(&'a mut bool);

/// Whether a member says anything, and looks through it.
struct Present<'a>(&'a mut bool);

// === impl Body ===

impl<'de> Visitor<'de> for Body<'_> {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Members, A::Error> {
        let mut seen: Vec<String> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let name = match self.dialect {
                Dialect::Gemini => snake(&name),
                Dialect::Anthropic | Dialect::Openai => name,
            };
            if seen.contains(&name) {
                return Err(A::Error::custom("a member is there twice"));
            }
            self.take(&name, &mut map)?;
            if seen.len() >= MAX_MEMBERS {
                return Err(A::Error::custom("it has too many members"));
            }
            seen.push(name);
        }
        Ok(self.members)
    }
}

impl Body<'_> {
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let members = &mut self.members;
        match name {
            "model" => {
                let model: String = map.next_value()?;
                // OpenRouter looks things up for such a model.
                if model.ends_with(":online") {
                    members.unmeasured.push(":online".to_owned());
                }
                members.model = Some(model);
            }
            _ if self.limits.contains(&name) => {
                let most: Option<u64> = map.next_value()?;
                members.most = members.most.max(most);
            }
            "n" => {
                let choices: Option<u64> = map.next_value()?;
                members.choices = members.choices.max(choices.unwrap_or(1));
            }
            "generation_config" if self.dialect == Dialect::Gemini => self
                .generation(map.next_value()?)
                .map_err(A::Error::custom)?,
            "tools" => {
                let tools: Option<Vec<Value>> = map.next_value()?;
                for tool in tools.iter().flatten() {
                    self.tool(tool);
                }
            }
            _ if UNMEASURED.contains(&name) => {
                let mut refers = false;
                if map.next_value_seed(Present(&mut refers))? {
                    members.unmeasured.push(name.to_owned());
                }
                members.refers |= refers;
            }
            _ => map.next_value_seed(Search(&mut members.refers))?,
        }
        Ok(())
    }

    fn generation(&mut self, config: Value) -> Result<(), &'static str> {
        let Value::Object(config) = config else {
            return Ok(());
        };
        let mut seen = Vec::new();
        for (name, value) in config {
            let name = snake(&name);
            if seen.contains(&name) {
                return Err("a member is there twice");
            }
            let members = &mut self.members;
            match name.as_str() {
                "max_output_tokens" => members.most = members.most.max(number(&value)?),
                "candidate_count" => {
                    members.choices = members.choices.max(number(&value)?.unwrap_or(1));
                }
                _ => {}
            }
            seen.push(name);
        }
        Ok(())
    }

    /// Functions are the caller's own affair; everything else runs at the provider.
    fn tool(&mut self, tool: &Value) {
        let unmeasured = &mut self.members.unmeasured;
        let Value::Object(members) = tool else {
            unmeasured.push("tools".to_owned());
            return;
        };
        if self.dialect == Dialect::Gemini {
            let hosted = members.keys().filter(|name| snake(name) != FUNCTIONS);
            unmeasured.extend(hosted.cloned());
            return;
        }
        match members.get("type").map(Value::as_str) {
            Some(Some("function" | "custom")) => {}
            None if self.dialect == Dialect::Anthropic => {}
            Some(Some(kind)) => unmeasured.push(kind.to_owned()),
            None | Some(None) => unmeasured.push("tools".to_owned()),
        }
    }
}

fn number(value: &Value) -> Result<Option<u64>, &'static str> {
    match value {
        Value::Null => Ok(None),
        Value::Number(number) => number
            .as_u64()
            .map(Some)
            .ok_or("a limit is no whole number"),
        // ProtoJSON takes numbers as text.
        Value::String(text) => text
            .parse()
            .map(Some)
            .map_err(|_| "a limit is no whole number"),
        _ => Err("a limit is no whole number"),
    }
}

/// `maxOutputTokens` and `max_output_tokens` are the same to Google.
fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

// === impl Search ===

impl<'de> DeserializeSeed<'de> for Search<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        Present(self.0).deserialize(value).map(drop)
    }
}

// === impl Present ===

impl<'de> DeserializeSeed<'de> for Present<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<bool, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Present<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E>(self, value: bool) -> Result<bool, E> {
        Ok(value)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        let mut some = false;
        while seq.next_element_seed(Search(self.0))?.is_some() {
            some = true;
        }
        Ok(some)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let name = snake(&name);
            if REFERENCES.contains(&name.as_str()) {
                map.next_value::<IgnoredAny>()?;
                *self.0 = true;
            } else if LINKS.contains(&name.as_str()) {
                let link: Value = map.next_value()?;
                *self.0 |= !is_inline(&link);
            } else {
                map.next_value_seed(Search(self.0))?;
            }
        }
        Ok(true)
    }
}

/// `image_url` is a link, or an object with one.
fn is_inline(link: &Value) -> bool {
    match link {
        Value::String(text) => text.starts_with("data:"),
        Value::Object(members) => members.get("url").is_none_or(is_inline),
        // A property of this name in a tool's schema, for one.
        _ => true,
    }
}

const FUNCTIONS: &str = "function_declarations";
const MAX_MEMBERS: usize = 256;
/// Of objects anywhere in the request: what is meant is elsewhere.
const REFERENCES: [&str; 3] = ["file_id", "file_uri", "file_url"];
/// Elsewhere, if they aren't the data itself.
const LINKS: [&str; 3] = ["image_url", "url", "video_url"];
const UNMEASURED: [&str; 16] = [
    "audio",
    "background",
    "cached_content",
    "container",
    "context_management",
    "conversation",
    "mcp_servers",
    "modalities",
    "models",
    "plugins",
    "previous_response_id",
    "prompt",
    "service_tier",
    "speed",
    "thread",
    "web_search_options",
];
