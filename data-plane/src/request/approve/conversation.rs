//! Conversations with language models. A client sends all that was said with every turn, so what a person
//! has approved comes again with more behind it. An approval of what a model is told therefore holds fast
//! everything that was shown, and what was added since must not stop the rules that asked. It lifts nothing
//! else: every other rule sees the request as it is.

use std::borrow::Cow;

use ah5_policy::body::Json;
use ah5_policy::{Body, Narrowed, Stop, decide_all};
use ah5_store::redemption::Conversation;
use http::HeaderMap;
use tokio::time::Instant;

use super::digest;
use crate::request::Caller;
use crate::request::claim::Claim;
use crate::request::decide::{in_force, policies};
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
    /// What an approval of this request holds fast. `None` where anything stands in its way besides rules
    /// that stop at what was said; then it is good for this very request only.
    pub fn bind(&self) -> Option<Conversation> {
        let said = self.said()?;
        let items = said.items.len();
        self.stops(&said, items, items)?;
        Some(Conversation {
            items: i32::try_from(items).ok()?,
            digest: self.digest(&said, items),
        })
    }

    /// Whether this request is the approved one with nothing changed but what was added behind it, and
    /// nothing stands in its way but rules that have stopped at what was approved.
    pub fn goes_on(&self, approved: &Conversation) -> bool {
        let (Some(said), Ok(items)) = (self.said(), usize::try_from(approved.items)) else {
            return false;
        };
        if items > said.items.len() || self.digest(&said, items) != approved.digest {
            return false;
        }
        let before = self.stops(&said, items, items);
        let now = self.stops(&said, items, said.items.len());
        match (before, now) {
            (Some(before), Some(now)) => now.iter().all(|stop| before.contains(stop)),
            _ => false,
        }
    }

    fn said(&self) -> Option<Said<'_>> {
        match (self.asked.form, &self.asked.body) {
            (Form::Llm(_), AskedBody::Bytes(bytes, _)) => Said::read(bytes),
            _ => None,
        }
    }

    fn digest(&self, said: &Said<'_>, items: usize) -> [u8; 32] {
        digest::of_conversation(self.asked, self.headers, said.part(0, items))
    }

    /// The rules that stop at the first `approved` items, if the request with items up to `to` would be
    /// allowed as it is were it not for them. They see what comes behind those, as do all others of
    /// everything; a rule that still stops at that is in its way.
    fn stops(&self, said: &Said<'_>, approved: usize, to: usize) -> Option<Vec<Stop>> {
        let Asked {
            agent, connection, ..
        } = self.asked;
        let policies = policies(&self.caller.workspace, *agent, *connection);
        let policies = in_force(policies, self.now)?;
        let (whole, rest) = (said.part(0, to), said.part(approved, to));
        let (whole, rest) = (whole.to_bytes(), rest.to_bytes());
        let mut stops: Vec<Stop> = Vec::new();
        while stops.len() <= MOST_STOPS {
            let mut facts = self.claim.facts_of(&whole)?;
            facts.narrowed = Some(Narrowed {
                rules: &stops,
                told: Body::new(&rest, None),
            });
            let judged = decide_all(policies.iter().copied(), &facts);
            match judged.stopped.filter(|stop| !stops.contains(stop)) {
                Some(stop) => stops.push(stop),
                // What a rule that comes after replaces in it would be sent as it is.
                None if judged.decision.is_allowed() && judged.body.is_none() => {
                    return Some(stops);
                }
                None => return None,
            }
        }
        None
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

    /// The request with these items alone.
    fn part(&self, from: usize, to: usize) -> Json<'a> {
        let mut members = self.rest.clone();
        let items = self.items.get(from..to).unwrap_or_default();
        members.push((self.name.clone(), Json::List(items.to_vec())));
        Json::Object(members)
    }
}

/// More rules than this that ask about one text are another matter.
const MOST_STOPS: usize = 8;
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
    fn a_part_has_all_but_the_other_items() {
        let body = r#"{"system":"s","messages":["a","b","c"],"max_tokens":5}"#;
        let said = Said::read(body.as_bytes()).unwrap();
        let text = |json: Json<'_>| String::from_utf8(json.to_bytes()).unwrap();
        let beginning = r#"{"system":"s","max_tokens":5,"messages":["a"]}"#;
        assert_eq!(text(said.part(0, 1)), beginning);
        let rest = r#"{"system":"s","max_tokens":5,"messages":["b","c"]}"#;
        assert_eq!(text(said.part(1, 3)), rest);
    }
}
