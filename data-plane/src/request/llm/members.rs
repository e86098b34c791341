//! What a model call's body says about how much it may use. Names as the provider reads them, and none
//! twice at any depth: of two, another reader might take the other.

use std::borrow::Cow;
use std::collections::BTreeSet;

use ah5_policy::body::{BodyError, Json};
use ah5_providers::service::Dialect;

mod content;
mod items;

use content::{Kind, loose};

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Members {
    pub model: Option<String>,
    /// The most tokens of one answer.
    pub most: Option<u64>,
    /// Answers asked for.
    pub choices: u64,
    /// Something of the request isn't words: it is elsewhere, or a picture, a sound or a file.
    pub refers: bool,
    /// Hosted tools, and members that bring in what was said before or is kept elsewhere.
    pub unmeasured: Vec<String>,
}

/// Why a body can't be measured.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("a limit is no whole number")]
    Limit,
    #[error("the model is no text")]
    Model,
    #[error("it is no object")]
    NoObject,
    #[error("member \"{0:.64}\" is not spelled as it is documented")]
    Spelling(String),
    #[error("member \"{0:.64}\" is there twice")]
    Twice(String),
}

/// `limits` are the members that this endpoint takes for the most tokens of an answer; with
/// `fold_keys`, members whose names differ only in case are the same.
///
/// # Errors
/// It is no such object.
pub fn read(
    dialect: Dialect,
    limits: &[&str],
    fold_keys: bool,
    body: &[u8],
) -> Result<Members, Fault> {
    let text = str::from_utf8(body).map_err(|_| BodyError::NotUtf8)?;
    let Json::Object(body) = Json::parse(text, fold_keys)? else {
        return Err(Fault::NoObject);
    };
    let mut reader = Reader {
        dialect,
        limits,
        members: Members::default(),
    };
    let known = [limits, &KNOWN, &UNMEASURED].concat();
    for (name, value) in reader.named(&body, &known)? {
        reader.take(&name, value)?;
    }
    Ok(reader.members)
}

type Object<'j> = [(Cow<'j, str>, Json<'j>)];

struct Reader<'l> {
    dialect: Dialect,
    limits: &'l [&'l str],
    members: Members,
}

// === impl Reader ===

impl Reader<'_> {
    /// Members by the names that the provider knows them by. One that is nearly a known one is
    /// refused: some servers read names whatever their case, and others don't.
    fn named<'j>(
        &self,
        members: &'j Object<'j>,
        known: &[&str],
    ) -> Result<Vec<(Cow<'j, str>, &'j Json<'j>)>, Fault> {
        let looks: Vec<String> = known.iter().map(|name| loose(name)).collect();
        let mut seen = BTreeSet::new();
        let mut named = Vec::with_capacity(members.len());
        for (name, value) in members {
            let name = match self.dialect {
                Dialect::Gemini => Cow::Owned(snake(name)),
                Dialect::Anthropic | Dialect::Openai => Cow::Borrowed(&**name),
            };
            if !known.contains(&&*name) && looks.contains(&loose(&name)) {
                return Err(Fault::Spelling(name.into_owned()));
            }
            if !seen.insert(name.clone()) {
                return Err(Fault::Twice(name.into_owned()));
            }
            named.push((name, value));
        }
        Ok(named)
    }

    fn take(&mut self, name: &str, value: &Json<'_>) -> Result<(), Fault> {
        match name {
            "model" => self.model(value)?,
            _ if self.limits.contains(&name) => self.limit(number(value)?),
            // Some servers make more answers than they give.
            "best_of" | "n" => self.choose(number(value)?),
            "generation_config" if self.dialect == Dialect::Gemini => self.generation(value)?,
            "tools" => self.tools(value),
            "input" if self.dialect == Dialect::Openai => {
                items::read(value, &mut self.members);
                self.members.refers |= content::refers(value);
            }
            _ if UNMEASURED.contains(&name) => {
                if says_something(value) {
                    self.members.unmeasured.push(name.to_owned());
                }
                self.members.refers |= content::refers(value);
            }
            _ => self.members.refers |= content::member_refers(name, value),
        }
        Ok(())
    }

    /// OpenRouter looks things up for some names, and puts words of its own before those of others.
    fn model(&mut self, model: &Json<'_>) -> Result<(), Fault> {
        let model = model.as_text().ok_or(Fault::Model)?;
        let unmeasured = &mut self.members.unmeasured;
        if model.ends_with(":online") {
            unmeasured.push(":online".to_owned());
        }
        if model.contains("@preset/") {
            unmeasured.push("preset".to_owned());
        }
        self.members.model = Some(model.to_owned());
        Ok(())
    }

    fn limit(&mut self, most: Option<u64>) {
        self.members.most = self.members.most.max(most);
    }

    fn choose(&mut self, choices: Option<u64>) {
        self.members.choices = self.members.choices.max(choices.unwrap_or(1));
    }

    fn generation(&mut self, config: &Json<'_>) -> Result<(), Fault> {
        let Json::Object(config) = config else {
            return Ok(());
        };
        for (name, value) in self.named(config, &GENERATION)? {
            match &*name {
                "max_output_tokens" => self.limit(proto_number(value)?),
                "candidate_count" => self.choose(proto_number(value)?),
                _ => {}
            }
        }
        Ok(())
    }

    fn tools(&mut self, tools: &Json<'_>) {
        match tools {
            Json::Null => {}
            Json::List(tools) => {
                for tool in tools {
                    self.tool(tool);
                }
            }
            _ => self.members.unmeasured.push("tools".to_owned()),
        }
    }

    /// Functions are the caller's own affair; everything else runs at the provider.
    fn tool(&mut self, tool: &Json<'_>) {
        let unmeasured = &mut self.members.unmeasured;
        let Json::Object(members) = tool else {
            unmeasured.push("tools".to_owned());
            return;
        };
        if self.dialect == Dialect::Gemini {
            let names = members.iter().map(|(name, _)| snake(name));
            unmeasured.extend(names.filter(|name| name != FUNCTIONS));
            return;
        }
        match Kind::of(members) {
            Kind::Named("function" | "custom") => {}
            Kind::Missing if self.dialect == Dialect::Anthropic => {}
            Kind::Named(kind) => unmeasured.push(kind.to_owned()),
            Kind::Missing | Kind::Unclear => unmeasured.push("tools".to_owned()),
        }
    }
}

fn says_something(value: &Json<'_>) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(is_so) => *is_so,
        Json::List(items) => !items.is_empty(),
        Json::Number(_) | Json::Object(_) | Json::Text(_) => true,
    }
}

fn number(value: &Json<'_>) -> Result<Option<u64>, Fault> {
    match value {
        Json::Null => Ok(None),
        Json::Number(digits) => digits.parse().map(Some).map_err(|_| Fault::Limit),
        _ => Err(Fault::Limit),
    }
}

/// ProtoJSON takes numbers as text, too.
fn proto_number(value: &Json<'_>) -> Result<Option<u64>, Fault> {
    match value.as_text() {
        Some(digits) => digits.parse().map(Some).map_err(|_| Fault::Limit),
        None => number(value),
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

const FUNCTIONS: &str = "function_declarations";
const GENERATION: [&str; 2] = ["candidate_count", "max_output_tokens"];
/// Besides limits and what can't be measured.
const KNOWN: [&str; 6] = [
    "best_of",
    "generation_config",
    "input",
    "model",
    "n",
    "tools",
];
const UNMEASURED: [&str; 19] = [
    "audio",
    "background",
    "cached_content",
    "container",
    "context_management",
    "conversation",
    "data_sources",
    "inference_geo",
    "mcp_servers",
    "modalities",
    "models",
    "plugins",
    "preset",
    "previous_response_id",
    "prompt",
    "service_tier",
    "speed",
    "thread",
    "web_search_options",
];
