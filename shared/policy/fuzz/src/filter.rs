//! Filters of answers: what a stream gives out is what the whole body becomes, however it is cut.

use std::sync::{Arc, LazyLock};

use ah5_policy::pii::PiiType;
use ah5_policy::response::{
    FilterSource, OnUnfilterable, ResponseFilter, RuleFilter, Unfilterable,
};
use ah5_policy::stream::StreamFilter;
use serde_json::Value;

/// In all four: a line whose first byte chooses the rules and whose others are sizes of pieces,
/// then the answer.
pub fn json(data: &[u8]) {
    let answer = Answer::of(data);
    answer.check("application/json");
    // Members go as the rules say, and the rest stays.
    let Ok(Some(kept)) = FIELDS.body(Some("application/json"), answer.bytes) else {
        return;
    };
    // Half a surrogate pair is JSON by its grammar, and nobody's text.
    let Ok(before) = serde_json::from_slice::<Value>(answer.bytes) else {
        return;
    };
    let after: Value = serde_json::from_slice(&kept).expect("what was filtered is JSON");
    assert_eq!(after, without(&before, &DENIED));
}

pub fn ndjson(data: &[u8]) {
    Answer::of(data).check("application/x-ndjson");
}

pub fn sse(data: &[u8]) {
    Answer::of(data).check("text/event-stream");
}

pub fn text(data: &[u8]) {
    let answer = Answer::of(data);
    answer.check("text/plain");
    answer.check("message/rfc822");
}

struct Answer<'a> {
    rules: &'a Arc<ResponseFilter>,
    cuts: &'a [u8],
    bytes: &'a [u8],
}

// === impl Answer ===

impl<'a> Answer<'a> {
    fn of(data: &'a [u8]) -> Self {
        let (head, bytes) = crate::line_and_rest(data);
        let (choice, cuts) = head.split_first().unwrap_or((&0, &[]));
        let rules = &RULES[usize::from(*choice) % RULES.len()];
        Self { rules, cuts, bytes }
    }

    fn check(&self, kind: &str) {
        let buffered = self.rules.body(Some(kind), self.bytes);
        let buffered = buffered.map(|body| body.unwrap_or_else(|| self.bytes.to_vec()));
        // What rules let pass unread has lost what they had found before that showed.
        if matches!(buffered, Err(why) if self.rules.action(why) == OnUnfilterable::Pass) {
            return;
        }
        let whole = self.streamed(kind, &[]);
        if !self.bytes.is_empty() {
            // Of two reasons to refuse, either may be found first.
            assert_eq!(
                shown(&buffered).ok(),
                shown(&whole).ok(),
                "buffered and streamed"
            );
        }
        let cut = self.streamed(kind, self.cuts);
        assert_eq!(shown(&cut), shown(&whole), "cut");
        let single = [0];
        assert_eq!(
            shown(&self.streamed(kind, &single)),
            shown(&whole),
            "byte by byte"
        );
    }

    fn streamed(&self, kind: &str, cuts: &[u8]) -> Result<Vec<u8>, Unfilterable> {
        let mut stream = StreamFilter::new(Arc::clone(self.rules), Some(kind), BOUND);
        let mut out = Vec::new();
        let (mut rest, mut sizes) = (self.bytes, cuts.iter().cycle());
        while !rest.is_empty() {
            let size = sizes
                .next()
                .map_or(rest.len(), |&size| usize::from(size % 61) + 1);
            let (piece, more) = rest.split_at(size.min(rest.len()));
            stream.push(piece, &mut out)?;
            assert!(
                stream.held() <= BOUND + HOLDS_MORE,
                "holds {}",
                stream.held()
            );
            rest = more;
        }
        stream.finish(&mut out).map(|()| out)
    }
}

fn shown(outcome: &Result<Vec<u8>, Unfilterable>) -> Result<String, Unfilterable> {
    let bytes = outcome.as_ref().map_err(|why| *why)?;
    Ok(bytes.escape_ascii().to_string())
}

/// What the rules on members mean, slowly.
fn without(value: &Value, deny: &[&str]) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| without(item, deny)).collect(),
        Value::Object(members) => {
            let kept = members
                .iter()
                .filter(|(name, _)| !deny.contains(&name.as_str()));
            let kept = kept.map(|(name, value)| (name.clone(), without(value, deny)));
            kept.collect::<serde_json::Map<_, _>>().into()
        }
        scalar => scalar.clone(),
    }
}

fn filter(sources: &[FilterSource<'_>]) -> Arc<ResponseFilter> {
    let compile = |source| Arc::new(RuleFilter::compile(source).expect("the rule compiles"));
    Arc::new(ResponseFilter::new(sources.iter().map(compile).collect()))
}

static FIELDS: LazyLock<Arc<ResponseFilter>> = LazyLock::new(|| {
    filter(&[FilterSource {
        deny_fields: Some(&DENIED),
        ..FilterSource::default()
    }])
});

static RULES: LazyLock<[Arc<ResponseFilter>; 4]> = LazyLock::new(|| {
    let kind = |name, pattern| PiiType { name, pattern };
    let all = [kind("all_pii", None)];
    let own = [kind("custom", Some("x[0-9]{2,4}\\b")), kind("email", None)];
    let everything = FilterSource {
        redact: &all,
        ..FilterSource::default()
    };
    let owned = FilterSource {
        redact: &own,
        replacement: Some("<own 1>"),
        ..FilterSource::default()
    };
    let fields = FilterSource {
        deny_fields: Some(&DENIED),
        redact: &own,
        ..FilterSource::default()
    };
    let links = RuleFilter::own_links(&["https://broker.example"]);
    [
        filter(&[everything]),
        filter(&[owned, everything]),
        filter(&[fields]),
        Arc::new(ResponseFilter::new(vec![Arc::new(links)])),
    ]
});

const DENIED: [&str; 3] = ["secret", "b", "é"];
/// More than any input: what is held back is judged, not refused.
const BOUND: usize = 1 << 20;
const HOLDS_MORE: usize = 1 << 12;
