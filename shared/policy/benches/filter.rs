//! How fast answers are filtered, on JSON such as a mail API sends: `cargo bench -p ah5-policy
//! --bench filter`.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use ah5_policy::pii::PiiType;
use ah5_policy::response::{FilterSource, ResponseFilter, RuleFilter};
use ah5_policy::stream::StreamFilter;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn filter(deny: Option<&[&str]>, kinds: &[&str]) -> Arc<ResponseFilter> {
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
fn mails(size: usize) -> String {
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

fn bodies(c: &mut Criterion) {
    for (name, rules) in [
        ("fields", filter(Some(&["sizeEstimate", "threadId"]), &[])),
        ("all_pii", filter(None, &["all_pii"])),
        ("contact", filter(None, &["contact"])),
    ] {
        let mut group = c.benchmark_group(name);
        for kib in [1, 10, 100] {
            let body = mails(kib << 10);
            group.throughput(Throughput::Bytes(body.len() as u64));
            group.bench_with_input(BenchmarkId::from_parameter(kib), &body, |b, body| {
                b.iter(|| rules.body(Some("application/json"), black_box(body.as_bytes())));
            });
        }
        group.finish();
    }
}

fn streams(c: &mut Criterion) {
    let rules = filter(None, &["all_pii"]);
    let mut stream = String::new();
    for word in PROSE.repeat(20).split_inclusive(' ') {
        let _ = write!(
            stream,
            "data: {{\"object\":\"chat.completion.chunk\",\"id\":\"chatcmpl-1\",\"choices\":[{{\
             \"index\":0,\"delta\":{{\"content\":\"{word}\"}},\"finish_reason\":null}}]}}\n\n"
        );
    }
    let events = stream.matches("data:").count() as u64;
    let mut group = c.benchmark_group("chat stream, a word an event");
    group.throughput(Throughput::Elements(events));
    group.bench_function("all_pii", |b| {
        b.iter(|| {
            let kind = Some("text/event-stream");
            let mut filter = StreamFilter::new(rules.clone(), kind, 1 << 20);
            let mut out = Vec::with_capacity(stream.len());
            for piece in stream.as_bytes().chunks(1400) {
                filter.push(black_box(piece), &mut out)?;
            }
            filter.finish(&mut out).map(|()| out)
        });
    });
    group.finish();
}

const PROSE: &str = "Dear all, thank you for coming on Tuesday; the next meeting is at 14:30 in \
    room 204. Please send what you have to the office before the 3rd of May, so that we can print \
    it in time. Best wishes and see you there, the committee.";

criterion_group!(benches, bodies, streams);
criterion_main!(benches);
