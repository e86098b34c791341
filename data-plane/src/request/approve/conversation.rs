//! Conversations with language models. A client sends all that was said with every turn, so what a person
//! has approved comes again with more behind it. An approval of what a model is told therefore holds fast
//! everything up to the item that a rule stopped at; what was added since is judged by itself.

use std::borrow::Cow;

use ah5_policy::body::Json;
use ah5_policy::{Combined, Decision, decide_all};
use ah5_store::redemption::Conversation;
use http::HeaderMap;
use tokio::time::Instant;

use super::digest;
use crate::request::Caller;
use crate::request::claim::Claim;
use crate::request::decide::{in_force, policies};
use crate::request::parse::{Asked, Form};

/// One request, and what judges it.
pub struct Turn<'a> {
    pub asked: &'a Asked<'a>,
    pub claim: &'a Claim,
    pub caller: &'a Caller,
    /// As they are sent, but for the credential.
    pub headers: &'a HeaderMap,
    pub now: Instant,
}

/// A model's request, taken apart.
struct Said<'a> {
    /// `messages`, `input` or `contents`.
    name: Cow<'a, str>,
    items: Vec<Json<'a>>,
    /// All other members.
    rest: Vec<(Cow<'a, str>, Json<'a>)>,
}

// === impl Turn ===

impl Turn<'_> {
    /// What an approval of this request holds fast: everything up to the last item that a rule stops at.
    /// `None` where one can't be told from the others; then it is good for this very request only.
    pub fn bind(&self) -> Option<Conversation> {
        let said = self.said()?;
        let clean = |from: usize| self.is_clean(&said, from);
        let items = first(said.items.len(), clean)?;
        if !self.stops_at(&said, items) {
            return None;
        }
        Some(Conversation {
            items: i32::try_from(items).ok()?,
            digest: self.digest(&said, items),
        })
    }

    /// Whether this request is the approved one with nothing changed but what was added behind it, and
    /// that by itself is allowed.
    pub fn goes_on(&self, approved: &Conversation) -> bool {
        let (Some(said), Ok(items)) = (self.said(), usize::try_from(approved.items)) else {
            return false;
        };
        items <= said.items.len()
            && self.digest(&said, items) == approved.digest
            && self.is_clean(&said, items)
    }

    fn said(&self) -> Option<Said<'_>> {
        match self.asked.form {
            Form::Llm(_) => Said::read(self.claim.body()),
            Form::Download | Form::Envelope | Form::Proxy | Form::Raw => None,
        }
    }

    fn digest(&self, said: &Said<'_>, items: usize) -> [u8; 32] {
        digest::of_conversation(self.asked, self.headers, said.held(items))
    }

    /// What comes from here on would be allowed if it were all that is said.
    fn is_clean(&self, said: &Said<'_>, from: usize) -> bool {
        let judged = self.judge(&said.added(from));
        judged.is_some_and(|judged| matches!(judged.decision, Decision::Allow { .. }))
    }

    /// What was said up to here needs an approval for what the model is told.
    fn stops_at(&self, said: &Said<'_>, items: usize) -> bool {
        let judged = self.judge(&said.up_to(items));
        judged.is_some_and(|judged| judged.reads_prompt)
    }

    fn judge(&self, body: &Json<'_>) -> Option<Combined> {
        let Asked {
            agent, connection, ..
        } = self.asked;
        let policies = policies(&self.caller.workspace, *agent, *connection);
        let body = body.to_bytes();
        Some(decide_all(
            in_force(policies, self.now)?,
            &self.claim.facts_of(&body)?,
        ))
    }
}

// === impl Said ===

impl<'a> Said<'a> {
    /// `None` for what is no conversation, or could be read as another one.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        // Members whose names differ only in case are given twice to some servers.
        let Json::Object(members) = Json::parse(str::from_utf8(bytes).ok()?, true).ok()? else {
            return None;
        };
        let is_list = |name: &str| LISTS.iter().any(|list| list.eq_ignore_ascii_case(name));
        let (mut lists, rest): (Vec<_>, Vec<_>) =
            members.into_iter().partition(|(name, _)| is_list(name));
        match (lists.pop(), lists.is_empty()) {
            (Some((name, Json::List(items))), true) if LISTS.contains(&&*name) => {
                Some(Self { name, items, rest })
            }
            _ => None,
        }
    }

    /// What an approval holds fast.
    fn held(&self, items: usize) -> Json<'a> {
        self.with(|name| !is_free(name), 0, items)
    }

    fn up_to(&self, items: usize) -> Json<'a> {
        self.with(|_| true, 0, items)
    }

    /// Without what is held fast, but for the model.
    fn added(&self, from: usize) -> Json<'a> {
        self.with(
            |name| is_free(name) || name == "model",
            from,
            self.items.len(),
        )
    }

    fn with(&self, keeps: impl Fn(&str) -> bool, from: usize, to: usize) -> Json<'a> {
        let members = self.rest.iter().filter(|(name, _)| keeps(name));
        let mut members: Vec<_> = members.cloned().collect();
        let items = self.items.get(from..to).unwrap_or_default();
        members.push((self.name.clone(), Json::List(items.to_vec())));
        Json::Object(members)
    }
}

/// The first of `0..=end` from which on `holds` does, given that it goes on holding; `None` where it does
/// not even at the end.
fn first(end: usize, holds: impl Fn(usize) -> bool) -> Option<usize> {
    if !holds(end) {
        return None;
    }
    let (mut below, mut found) = (0, end);
    while below < found {
        let middle = usize::midpoint(below, found);
        match holds(middle) {
            true => found = middle,
            false => below = middle + 1,
        }
    }
    Some(found)
}

/// These say how the model is to answer and nothing of what it is told; they may differ from turn to turn.
fn is_free(name: &str) -> bool {
    FREE.contains(&name)
}

const FREE: [&str; 14] = [
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "metadata",
    "prompt_cache_key",
    "safety_identifier",
    "seed",
    "stop",
    "stop_sequences",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "user",
];
const LISTS: [&str; 3] = ["contents", "input", "messages"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_one_list_by_one_name() {
        let read = |body: &'static str| Said::read(body.as_bytes()).map(|said| said.items.len());
        assert_eq!(read(r#"{"messages":[1,2],"model":"m"}"#), Some(2));
        assert_eq!(read(r#"{"contents":[]}"#), Some(0));
        for body in [
            r#"{"model":"m"}"#,
            r#"{"input":"one text"}"#,
            r#"{"messages":[1],"input":[2]}"#,
            r#"{"messages":[1],"Input":[2]}"#,
            r#"{"Messages":[1]}"#,
            r#"{"messages":[1],"messages":[2]}"#,
            r#"{"messages":[1],"messages ":[2],"SYSTEM":1,"system":2}"#,
            "[]",
            "messages",
        ] {
            assert_eq!(read(body), None, "{body}");
        }
    }

    #[test]
    fn what_is_held_and_what_is_added_are_all_of_it() {
        let body = r#"{"system":"s","model":"m","max_tokens":5,"messages":["a","b","c"]}"#;
        let said = Said::read(body.as_bytes()).unwrap();
        let text = |json: Json<'_>| String::from_utf8(json.to_bytes()).unwrap();
        let held = r#"{"system":"s","model":"m","messages":["a"]}"#;
        assert_eq!(text(said.held(1)), held);
        let added = r#"{"model":"m","max_tokens":5,"messages":["b","c"]}"#;
        assert_eq!(text(said.added(1)), added);
        let up_to = r#"{"system":"s","model":"m","max_tokens":5,"messages":["a","b"]}"#;
        assert_eq!(text(said.up_to(2)), up_to);
    }

    #[test]
    fn the_first_is_found_wherever_it_is() {
        for end in 0..20 {
            for at in 0..=end {
                assert_eq!(first(end, |i| i >= at), Some(at), "{at} of {end}");
            }
            assert_eq!(first(end, |_| false), None);
        }
    }
}
