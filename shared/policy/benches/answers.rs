//! Filters and answers to measure with: JSON such as a mail API sends.

use std::fmt::Write as _;
use std::sync::Arc;

use ah5_policy::pii::PiiType;
use ah5_policy::response::{FilterSource, ResponseFilter, RuleFilter};

pub fn filter(deny: Option<&[&str]>, kinds: &[&str]) -> Arc<ResponseFilter> {
    let of = |name| PiiType {
        name,
        pattern: None,
    };
    let types: Vec<PiiType<'_>> = kinds.iter().copied().map(of).collect();
    let source = FilterSource {
        deny_fields: deny,
        redact: &types,
        ..FilterSource::default()
    };
    let rule = RuleFilter::compile(&source).expect("the rule compiles");
    Arc::new(ResponseFilter::new(vec![Arc::new(rule)]))
}

/// Messages until `size` bytes: ids, headers, a snippet and a body of prose with a find now and
/// then.
pub fn mails(size: usize) -> String {
    let mut out = String::from("{\"messages\":[");
    let mut i = 0_u64;
    while out.len() < size {
        let comma = if i == 0 { "" } else { "," };
        let id = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let _ = write!(
            out,
            "{comma}{{\"id\":\"{id:016x}\",\"threadId\":\"{id:016x}\",\"labelIds\":[\"INBOX\",\
             \"IMPORTANT\"],\"internalDate\":\"17{:011}\",\"sizeEstimate\":{},\"payload\":\
             {{\"headers\":[{{\"name\":\"From\",\"value\":\"Ann Example <ann{i}@example.com>\"}},\
             {{\"name\":\"Subject\",\"value\":\"Minutes of the meeting on the new building\"}}]}},\
             \"snippet\":\"{PROSE}\",\"body\":\"{}\"}}",
            id % 100_000_000_000,
            id % 90_000,
            format!("{PROSE}\\r\\n").repeat(4),
        );
        i += 1;
    }
    out.push_str("]}");
    out
}

/// `words` events of a chat stream, a word an event.
pub fn chat(words: usize) -> String {
    let mut stream = String::new();
    for word in PROSE.split_inclusive(' ').cycle().take(words) {
        let _ = write!(
            stream,
            "data: {{\"object\":\"chat.completion.chunk\",\"id\":\"chatcmpl-1\",\"choices\":[{{\
             \"index\":0,\"delta\":{{\"content\":\"{word}\"}},\"finish_reason\":null}}]}}\n\n"
        );
    }
    stream
}

pub const PROSE: &str = "Dear all, thank you for coming on Tuesday; the next meeting is at 14:30 in \
    room 204. Please send what you have to the office before the 3rd of May, so that we can print \
    it in time. Best wishes and see you there, the committee.";
