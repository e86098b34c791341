//! A batch: several requests in one body. Each is judged as if it had come by itself, and what comes
//! out is the strictest. What can't be read in one certain way is denied.

use ah5_contracts::policy::Method;

use super::{Combined, Decision, Facts, Rule, decide_all, unite};
use crate::body::{Body, Json, View};
use crate::compile::CompiledPolicy;
use crate::endpoints::Class;
use crate::url::CanonicalUrl;

pub(super) fn decide<'a>(
    policies: impl Iterator<Item = &'a CompiledPolicy> + Clone,
    facts: &Facts<'_>,
) -> Combined {
    let mut all = unite(policies.clone(), facts);
    if matches!(all.decision, Decision::Deny { .. }) {
        return all;
    }
    if all.body.is_some() {
        return all.refused("rules would change the batch as a whole");
    }
    let body = facts.body.unwrap_or_else(Body::unread).fold_keys().read();
    let requests = match requests(&body) {
        Ok(requests) => requests,
        Err(why) => return all.refused(why),
    };
    all.calls = u32::try_from(requests.len()).unwrap_or(u32::MAX);
    for request in requests {
        match Carried::read(request, facts) {
            Ok(carried) => {
                let judged = carried.judge(policies.clone(), facts);
                all = all.with(&carried.id, judged);
            }
            Err(why) => return all.refused(&why),
        }
        if matches!(all.decision, Decision::Deny { .. }) {
            return all;
        }
    }
    all
}

fn requests<'b>(body: &'b View<'_>) -> Result<&'b [Json<'b>], &'static str> {
    let View::Data(Json::Object(members)) = body else {
        return Err("its body cannot be read");
    };
    match members.as_slice() {
        [(name, Json::List(requests))] if name == "requests" => match requests.len() {
            1..=MAX_REQUESTS => Ok(requests),
            _ => Err("it has no request, or too many"),
        },
        _ => Err("its body is not {\"requests\": [..]}"),
    }
}

/// One request of a batch.
struct Carried {
    id: String,
    method: Method,
    url: CanonicalUrl,
    body: Vec<u8>,
    /// A body that is JSON is read by rules, any other is not.
    readable: bool,
}

// === impl Carried ===

impl Carried {
    fn read(request: &Json<'_>, facts: &Facts<'_>) -> Result<Self, String> {
        let Json::Object(members) = request else {
            return Err("a request in it is not an object".to_owned());
        };
        let known = |name: &str| MEMBERS.contains(&name);
        if let Some((name, _)) = members.iter().find(|(name, _)| !known(name)) {
            return Err(format!("member \"{name:.64}\" of a request is not known"));
        }
        let text = |name: &str| request.member(name).and_then(Json::as_text);
        let id = text("id").ok_or("a request in it has no id")?;
        let fault = |why: &str| format!("request {id:.64}: {why}");
        let method = text("method").and_then(Method::from_name);
        let target = text("url").ok_or_else(|| fault("it has no url"))?;
        if let Some(headers) = request.member("headers") {
            check_headers(headers).map_err(fault)?;
        }
        let body = request.member("body");
        Ok(Self {
            id: id.chars().take(64).collect(),
            method: method.ok_or_else(|| fault("its method is not one that can be allowed"))?,
            url: below(facts.url, target).map_err(|why| fault(&why))?,
            body: body.map(Json::to_bytes).unwrap_or_default(),
            readable: body.is_none_or(Json::is_container),
        })
    }

    fn judge<'a>(
        &self,
        policies: impl Iterator<Item = &'a CompiledPolicy> + Clone,
        facts: &Facts<'_>,
    ) -> Combined {
        let body = match self.readable {
            true => Body::new(&self.body, Some("application/json")),
            false => Body::unread(),
        };
        let class = facts
            .endpoints
            .and_then(|e| e.class(self.method, &self.url));
        if let Some(Class::Tunnel(_)) = class {
            return Combined::denied(NESTED.to_owned(), None, Some(Rule::Endpoint));
        }
        let facts = Facts {
            method: self.method,
            url: &self.url,
            body: Some(if facts.body.is_some_and(|body| body.folds_keys()) {
                body.fold_keys()
            } else {
                body
            }),
            class,
            explain: false,
            ..*facts
        };
        decide_all(policies, &facts)
    }
}

// === impl Combined ===

impl Combined {
    fn refused(mut self, why: &str) -> Self {
        self.decision = Decision::Deny {
            reason: format!("Request denied: the batch cannot be judged: {why}"),
            hint: Some(BY_ITSELF.to_owned()),
            rule: Some(Rule::Endpoint),
        };
        self
    }

    /// As strict as it was and as one of its requests is.
    fn with(mut self, id: &str, one: Self) -> Self {
        self.limits = self.limits.tighten(one.limits);
        for (policy, hour) in one.hourly {
            if self.hourly.iter().all(|(known, _)| *known != policy) {
                self.hourly.push((policy, hour));
            }
        }
        match one.decision {
            Decision::Allow { .. } | Decision::NeedsApproval { .. }
                if one.body.is_some() || !one.response.is_empty() =>
            {
                return self.refused(&format!("rules change request {id} or its answer"));
            }
            Decision::Allow { .. } => {}
            Decision::NeedsApproval { reason, rule } => {
                (self.policy, self.label) = (one.policy, one.label);
                self.decision = Decision::NeedsApproval {
                    reason: format!("Request {id} of the batch: {reason}"),
                    rule,
                };
            }
            Decision::Deny { reason, hint, rule } => {
                (self.policy, self.label) = (one.policy, one.label);
                self.decision = Decision::Deny {
                    reason: format!("Request {id} of the batch: {reason}"),
                    hint,
                    rule,
                };
            }
        }
        self
    }
}

/// The request's URL continues the one of the batch, less its last segment. It goes out as it was
/// written, so it must be written as it is judged.
fn below(batch: &CanonicalUrl, target: &str) -> Result<CanonicalUrl, String> {
    let (version, _) = batch.path().rsplit_once('/').unwrap_or_default();
    let invalid = |why: crate::UrlError| format!("its url is refused: {why}");
    let base = CanonicalUrl::parse(&format!("{}{version}", batch.origin())).map_err(invalid)?;
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let url = CanonicalUrl::join(&base, path, query).map_err(invalid)?;
    let written = target.strip_prefix('/').unwrap_or(target);
    let judged = url.path_and_query().strip_prefix(version);
    match judged.and_then(|judged| judged.strip_prefix('/')) {
        Some(judged) if judged == written => Ok(url),
        _ => Err(format!(
            "its url must be written as {}",
            url.path_and_query()
        )),
    }
}

fn check_headers(headers: &Json<'_>) -> Result<(), &'static str> {
    let Json::Object(headers) = headers else {
        return Err("its headers are not an object");
    };
    for (name, value) in headers {
        let json = |text: &str| text.to_ascii_lowercase().starts_with("application/json");
        let passes = match name.to_ascii_lowercase().as_str() {
            "content-type" => value.as_text().is_some_and(json),
            "if-match" | "if-none-match" => value.as_text().is_some(),
            _ => false,
        };
        if !passes {
            return Err("it has a header other than a JSON content type and conditions");
        }
    }
    Ok(())
}

const MAX_REQUESTS: usize = 20;
const MEMBERS: [&str; 6] = ["body", "dependsOn", "headers", "id", "method", "url"];
const NESTED: &str = "Request denied: it carries other requests itself";
const BY_ITSELF: &str = "Send the requests one by one.";

#[cfg(test)]
mod tests;
