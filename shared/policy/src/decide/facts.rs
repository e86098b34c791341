//! What a call is, as far as decisions depend on it.

use ah5_contracts::policy::Method;

use crate::body::Body;
use crate::endpoints::{Class, Endpoints};
use crate::url::CanonicalUrl;

/// What a decision may depend on. Nothing in it is trusted.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub method: Method,
    /// With the query merged: the URL that will be called.
    pub url: &'a CanonicalUrl,
    /// Seconds since 1970-01-01 UTC.
    pub now_unix: i64,
    /// `None` is a body that nobody has looked at: no rule that reads bodies lets it pass. A call
    /// without a body has an empty one.
    pub body: Option<Body<'a>>,
    /// The kind of endpoint that the call goes to, if it is a special one: [`Self::at`].
    pub class: Option<Class>,
    /// The service's special endpoints.
    pub endpoints: Option<&'a Endpoints>,
    /// The call's headers that carry authority or arguments: names in lower case, and values.
    pub headers: &'a [(String, String)],
    /// The connection's service in the catalogue, or empty.
    pub service: &'a str,
    /// The tenant that the connection's account belongs to, as its provider said.
    pub tenant: Option<&'a str>,
    /// The agent asks to send personal data that a rule would replace.
    pub bypass_pii_redaction: bool,
    /// The agent asks for fields that response rules take out.
    pub request_full_fields: bool,
    /// For some rules, part of what a language model is told.
    pub narrowed: Option<Narrowed<'a>>,
    /// Whether to write traces.
    pub explain: bool,
}

/// These rules see, where they look at the whole body or at all that a language model is told, only this: a
/// person has approved that they stop at the rest. Single members they see as every other rule does.
#[derive(Clone, Copy, Debug)]
pub struct Narrowed<'a> {
    pub rules: &'a [Stop],
    pub told: Body<'a>,
}

/// A policy, counted from 0 in the order given, and one of its request rules, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    pub policy: usize,
    pub rule: usize,
}

// === impl Facts ===

impl<'a> Facts<'a> {
    #[must_use]
    pub const fn new(method: Method, url: &'a CanonicalUrl, now_unix: i64) -> Self {
        Self {
            method,
            url,
            now_unix,
            body: None,
            class: None,
            endpoints: None,
            headers: &[],
            service: "",
            tenant: None,
            bypass_pii_redaction: false,
            request_full_fields: false,
            narrowed: None,
            explain: false,
        }
    }

    #[must_use]
    pub const fn with_body(mut self, body: Body<'a>) -> Self {
        self.body = Some(body);
        self
    }

    /// At a service that has these special endpoints.
    #[must_use]
    pub fn at(mut self, endpoints: &'a Endpoints) -> Self {
        self.class = endpoints.class(self.method, self.url);
        self.endpoints = Some(endpoints);
        self
    }
}
