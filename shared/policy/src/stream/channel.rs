//! Texts that a client puts together from many events: each is a channel, filtered as one text. What
//! is held back when a channel ends goes out in an event of its own.

use std::collections::BTreeMap;

use serde_json::Value;

use super::delta::Form;
use super::event::Event;
use super::leaves::Step;
use super::stage::Stages;
use crate::response::{ResponseFilter, Unfilterable};

#[derive(Debug, Default)]
pub(super) struct Channels {
    open: BTreeMap<String, Channel>,
}

#[derive(Debug)]
struct Channel {
    form: Form,
    is_new: bool,
    /// JSON is only whole at its end.
    json: String,
    stages: Stages,
    template: Option<Template>,
}

/// The last event that brought text, less everything but that text: what an event with the rest
/// looks like.
#[derive(Debug)]
struct Template {
    data: Value,
    event: Event,
    path: Vec<Step<'static>>,
}

/// Where a channel's text stands in an event.
pub(super) struct Place<'a> {
    pub(super) data: &'a Value,
    pub(super) event: &'a Event,
    pub(super) path: &'a [Step<'a>],
}

// === impl Channels ===

impl Channels {
    /// What may go out of channel `key` now that `text` has come.
    pub(super) fn push(
        &mut self,
        rules: &ResponseFilter,
        key: String,
        form: Form,
        text: &str,
        place: &Place<'_>,
        bound: usize,
    ) -> Result<String, Unfilterable> {
        if self.open.len() >= MOST && !self.open.contains_key(&key) {
            return Err(Unfilterable::TooLarge);
        }
        let channel = self.open.entry(key).or_insert_with(|| Channel {
            form,
            is_new: true,
            json: String::new(),
            stages: Stages::default(),
            template: None,
        });
        let released = channel.push(rules, text, bound)?;
        channel.template = (channel.held() > 0).then(|| Template::of(place));
        let held = self.held();
        if held > bound {
            Err(Unfilterable::TooLarge)
        } else {
            Ok(released)
        }
    }

    pub(super) fn held(&self) -> usize {
        self.open.values().map(Channel::held).sum()
    }

    /// The keys of the channels that `prefix` ends, in order.
    pub(super) fn under(&self, prefix: &str) -> Vec<String> {
        let keys = self.open.keys();
        keys.filter(|key| key.starts_with(prefix))
            .cloned()
            .collect()
    }

    /// Ends a channel: the rest of its text.
    pub(super) fn end(
        &mut self,
        rules: &ResponseFilter,
        key: &str,
        bound: usize,
    ) -> Result<Option<Rest>, Unfilterable> {
        let Some(mut channel) = self.open.remove(key) else {
            return Ok(None);
        };
        let text = channel.rest(rules, bound)?;
        let template = channel.template.filter(|_| !text.is_empty());
        Ok(template.map(|template| Rest { template, text }))
    }

    /// Everything that is held back, as it came, in events.
    pub(super) fn release(self, out: &mut Vec<u8>) {
        for channel in self.open.into_values() {
            let text = channel.json + &channel.stages.release();
            if let Some(template) = channel.template.filter(|_| !text.is_empty()) {
                out.extend(Rest { template, text }.event());
            }
        }
    }
}

/// What a channel held back at its end.
pub(super) struct Rest {
    template: Template,
    pub(super) text: String,
}

// === impl Rest ===

impl Rest {
    /// An event that carries it.
    pub(super) fn event(mut self) -> Vec<u8> {
        if let Some(leaf) = at_path(&mut self.template.data, &self.template.path) {
            *leaf = Value::String(self.text);
        }
        self.template
            .event
            .like(self.template.data.to_string().as_bytes())
    }
}

// === impl Channel ===

impl Channel {
    fn push(
        &mut self,
        rules: &ResponseFilter,
        text: &str,
        bound: usize,
    ) -> Result<String, Unfilterable> {
        if !rules.redacts_data() {
            // A link is one in any text: nothing has to be whole for it.
            self.form = Form::Text;
        } else if self.is_new
            && let Some(first) = text.trim_start().chars().next()
        {
            self.is_new = false;
            // Structured output: its escapes must not hide anything, and it must still parse.
            if first == '{' {
                self.form = Form::Json;
            }
        }
        if self.form == Form::Text {
            return self.stages.push(rules, text, false, bound);
        }
        self.json.push_str(text);
        Ok(String::new())
    }

    fn rest(&mut self, rules: &ResponseFilter, bound: usize) -> Result<String, Unfilterable> {
        if self.form == Form::Text {
            return self.stages.push(rules, "", true, bound);
        }
        let mut text = std::mem::take(&mut self.json);
        for redactor in rules.redactors() {
            text = redactor.leaf(&text, None).unwrap_or(text);
        }
        // Blanks that came first went out of the stages already, or wait there.
        Ok(self.stages.push(rules, "", true, bound)? + &text)
    }

    fn held(&self) -> usize {
        self.json.len() + self.stages.held()
    }
}

// === impl Template ===

impl Template {
    fn of(place: &Place<'_>) -> Self {
        let path: Vec<Step<'static>> = place.path.iter().map(owned).collect();
        Self {
            data: pruned(place.data, &path),
            event: place.event.clone(),
            // In the pruned data every list has one item.
            path: path.into_iter().map(alone).collect(),
        }
    }
}

fn owned(step: &Step<'_>) -> Step<'static> {
    match step {
        Step::Item(i) => Step::Item(*i),
        Step::Member(name) => Step::Member(name.clone().into_owned().into()),
    }
}

fn alone(step: Step<'static>) -> Step<'static> {
    match step {
        Step::Item(_) => Step::Item(0),
        member => member,
    }
}

/// `value` with nothing but the way to one leaf and the scalars along it. Next to the leaf only what
/// says what it is stays: the rest would be added to what the client has.
fn pruned(value: &Value, path: &[Step<'_>]) -> Value {
    match (value, path) {
        (Value::Object(members), [Step::Member(name), rest @ ..]) => {
            let stays = |key: &str, value: &Value| match rest {
                [] => matches!(key, "index" | "type"),
                _ => !value.is_object() && !value.is_array(),
            };
            let kept = members.iter().filter_map(|(key, value)| match key == name {
                true => Some((key.clone(), pruned(value, rest))),
                false => stays(key, value).then(|| (key.clone(), value.clone())),
            });
            Value::Object(kept.collect())
        }
        (Value::Array(items), [Step::Item(i), rest @ ..]) => Value::Array(
            items
                .get(*i)
                .map(|item| pruned(item, rest))
                .into_iter()
                .collect(),
        ),
        _ => value.clone(),
    }
}

fn at_path<'v>(value: &'v mut Value, path: &[Step<'_>]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Item(i) => value.get_mut(*i),
        Step::Member(name) => value.get_mut(&**name),
    })
}

/// An answer with more channels open at once is no answer.
const MOST: usize = 1024;
