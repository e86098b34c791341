//! Conversations with language models. A client sends all that was said with every turn, so what a person
//! has approved comes again with more behind it. An approval of what a model is told therefore holds fast
//! everything that was shown, and what was added since must not stop the rule that asked. It lifts nothing
//! else: every other rule sees the request as it is.

use std::borrow::Cow;

use ah5_policy::body::Json;
use ah5_policy::{Body, Narrowed, decide_all};
use ah5_store::redemption::Conversation;
use http::HeaderMap;
use tokio::time::Instant;

use super::digest;
use crate::request::Caller;
use crate::request::claim::Claim;
use crate::request::decide::{Stop, in_force, policies};
use crate::request::parse::{Asked, AskedBody, Form};

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
    /// What an approval of this request holds fast. `None` where anything else stands in its way besides
    /// what the rule has stopped at; then it is good for this very request only.
    pub fn bind(&self, stopped: Stop) -> Option<Conversation> {
        let said = self.said()?;
        let items = said.items.len();
        if !self.is_clean(&said, items, stopped) {
            return None;
        }
        Some(Conversation {
            items: i32::try_from(items).ok()?,
            digest: self.digest(&said, items),
        })
    }

    /// Whether this request is the approved one with nothing changed but what was added behind it, and
    /// the rule stops at none of that. `stopped` is `None` where no rule stops at anything.
    pub fn goes_on(&self, approved: &Conversation, stopped: Option<Stop>) -> bool {
        let (Some(said), Ok(items)) = (self.said(), usize::try_from(approved.items)) else {
            return false;
        };
        items <= said.items.len()
            && self.digest(&said, items) == approved.digest
            && stopped.is_none_or(|stopped| self.is_clean(&said, items, stopped))
    }

    fn said(&self) -> Option<Said<'_>> {
        match (self.asked.form, &self.asked.body) {
            (Form::Llm(_), AskedBody::Bytes(bytes, _)) => Said::read(bytes),
            _ => None,
        }
    }

    fn digest(&self, said: &Said<'_>, items: usize) -> [u8; 32] {
        digest::of_conversation(self.asked, self.headers, said.held(items))
    }

    /// The request would be allowed as it is if that rule saw no more of what the model is told than what
    /// comes from here on. All others see the whole of it, and so does that one of everything else.
    fn is_clean(&self, said: &Said<'_>, from: usize, stopped: Stop) -> bool {
        let Asked {
            agent, connection, ..
        } = self.asked;
        let policies = policies(&self.caller.workspace, *agent, *connection);
        let Some(policies) = in_force(policies, self.now) else {
            return false;
        };
        let added = said.added(from).to_bytes();
        let mut facts = self.claim.facts();
        facts.narrowed = Some(Narrowed {
            policy: stopped.policy,
            rule: stopped.rule,
            told: Body::new(&added, Some("application/json")),
        });
        let judged = decide_all(policies, &facts);
        // What is replaced in it by a rule that comes after would be sent as it is.
        judged.decision.is_allowed() && judged.body.is_none()
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

    /// What was said from here on.
    fn added(&self, from: usize) -> Json<'a> {
        self.with(|_| false, from, self.items.len())
    }

    fn with(&self, keeps: impl Fn(&str) -> bool, from: usize, to: usize) -> Json<'a> {
        let members = self.rest.iter().filter(|(name, _)| keeps(name));
        let mut members: Vec<_> = members.cloned().collect();
        let items = self.items.get(from..to).unwrap_or_default();
        members.push((self.name.clone(), Json::List(items.to_vec())));
        Json::Object(members)
    }
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
        assert_eq!(text(said.added(1)), r#"{"messages":["b","c"]}"#);
    }
}
