//! Reads how many tokens an answer took, as it passes: from one JSON object or from a stream of
//! events. Bounded, whatever the provider sends; what can't be read is not guessed.

use ah5_policy::response::content::is_event_stream;
use serde::Deserialize;
use serde_json::Value;

mod scan;

use scan::Scan;

/// Tokens, as the provider counts them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub model: Option<String>,
    pub input: Option<u64>,
    pub output: Option<u64>,
    /// Of the input, what is kept for later calls, if that is counted apart.
    pub cached: Option<u64>,
}

/// Takes the answer in pieces, cut anywhere.
pub struct Reader {
    form: Form,
    usage: Usage,
}

enum Form {
    /// Lines of an event stream; the one that is coming, if it is short enough to be read.
    Events {
        line: Vec<u8>,
        skips: bool,
    },
    Object(Scan),
}

/// What one object, whole or of an event, says.
#[derive(Deserialize)]
struct Said {
    model: Option<Value>,
    #[serde(rename = "modelVersion")]
    model_version: Option<Value>,
    usage: Option<Tokens>,
    #[serde(rename = "usageMetadata")]
    usage_metadata: Option<Tokens>,
    /// Where a stream begins (Anthropic) or ends (OpenAI's responses).
    message: Option<Box<Said>>,
    response: Option<Box<Said>>,
    /// Gemini's, of which the last says why it ended.
    candidates: Option<Vec<Candidate>>,
}

#[derive(Deserialize)]
struct Candidate {
    #[serde(rename = "finishReason")]
    finish: Option<String>,
}

/// In the words of each provider; some compatible ones say the same twice.
#[derive(Deserialize)]
struct Tokens {
    input_tokens: Option<u64>,
    prompt_tokens: Option<u64>,
    output_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    /// Anthropic counts these apart from `input_tokens`.
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    #[serde(rename = "promptTokenCount")]
    prompt: Option<u64>,
    /// Gemini counts these apart from the prompt's.
    #[serde(rename = "toolUsePromptTokenCount")]
    tool_prompt: Option<u64>,
    #[serde(rename = "candidatesTokenCount")]
    candidates: Option<u64>,
    /// Gemini counts these apart from the candidates'.
    #[serde(rename = "thoughtsTokenCount")]
    thoughts: Option<u64>,
}

// === impl Reader ===

impl Reader {
    pub fn new(content_type: &str) -> Self {
        let form = match is_event_stream(content_type) {
            true => Form::Events {
                line: Vec::new(),
                skips: false,
            },
            false => Form::Object(Scan::default()),
        };
        Self {
            form,
            usage: Usage::default(),
        }
    }

    pub fn push(&mut self, piece: &[u8]) {
        match &mut self.form {
            Form::Object(scan) => scan.push(piece),
            Form::Events { line, skips } => {
                for part in piece.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
                    let ends = matches!(part.last(), Some(b'\n' | b'\r'));
                    *skips |= line.len() + part.len() > MAX_LINE;
                    if !*skips {
                        line.extend_from_slice(part);
                    }
                    if ends {
                        if !*skips {
                            self.usage.read_line(line);
                        }
                        line.clear();
                        *skips = false;
                    }
                }
            }
        }
    }

    /// What has been said so far; `None` if nothing was.
    pub fn usage(&mut self) -> Option<Usage> {
        let known = match &mut self.form {
            Form::Events { .. } => self.usage.clone(),
            Form::Object(scan) => {
                let mut usage = Usage::default();
                if let Ok(said) = serde_json::from_slice(&scan.object()) {
                    usage.take(&said);
                }
                usage
            }
        };
        (known.input.is_some() || known.output.is_some()).then_some(known)
    }
}

// === impl Usage ===

impl Usage {
    fn read_line(&mut self, line: &[u8]) {
        let Some(data) = line.strip_prefix(b"data:") else {
            return;
        };
        if let Ok(said) = serde_json::from_slice::<Said>(data.trim_ascii()) {
            self.take(&said);
        }
    }

    /// Later words stand over earlier ones: streams count up. How long an answer is only counts from its
    /// end: one that breaks off has not said it.
    fn take(&mut self, said: &Said) {
        let model = said.model.as_ref().or(said.model_version.as_ref());
        if let Some(model) = model
            .and_then(Value::as_str)
            .filter(|it| it.len() <= MAX_MODEL)
        {
            self.model = Some(model.to_owned());
        }
        for tokens in [&said.usage, &said.usage_metadata].into_iter().flatten() {
            self.input = tokens.input().or(self.input);
            if said.is_at_its_end() {
                self.output = tokens.output().or(self.output);
            }
            self.cached = tokens.cache_creation_input_tokens.or(self.cached);
        }
        if let Some(begun) = &said.message {
            let output = self.output;
            self.take(begun);
            self.output = output;
        }
        if let Some(ended) = &said.response {
            self.take(ended);
        }
    }
}

// === impl Said ===

impl Said {
    /// Gemini counts in every event.
    fn is_at_its_end(&self) -> bool {
        let finished = |all: &Vec<Candidate>| all.iter().any(|one| one.finish.is_some());
        self.candidates.as_ref().is_none_or(finished)
    }
}

// === impl Tokens ===

impl Tokens {
    fn input(&self) -> Option<u64> {
        let base = self.input_tokens.or(self.prompt_tokens);
        sum(&[
            base.or(self.prompt),
            self.cache_creation_input_tokens,
            self.cache_read_input_tokens,
            self.tool_prompt,
        ])
    }

    fn output(&self) -> Option<u64> {
        let base = self.output_tokens.or(self.completion_tokens);
        sum(&[base.or(self.candidates), self.thoughts])
    }
}

/// Of what there is; `None` if there is nothing.
fn sum(parts: &[Option<u64>]) -> Option<u64> {
    parts.iter().flatten().copied().reduce(u64::saturating_add)
}

const MAX_LINE: usize = 256 * 1024;
const MAX_MODEL: usize = 200;

#[cfg(test)]
mod tests;
