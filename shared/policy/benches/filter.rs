//! How fast answers are filtered, on JSON such as a mail API sends: `cargo bench -p ah5-policy
//! --bench filter`.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use ah5_policy::links::{LinkGuard, OwnLinks};
use ah5_policy::pii::PiiType;
use ah5_policy::response::{FilterSource, ResponseFilter, RuleFilter};
use ah5_policy::stream::StreamFilter;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
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

/// What every answer pays, whatever its policy.
fn own_links(c: &mut Criterion) {
    let links = Arc::new(OwnLinks::new(&["https://ah5.example.com"]));
    let mut picture = vec![0_u8; 100 << 10];
    let mut state = 1_u64;
    for byte in &mut picture {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        *byte = state.to_be_bytes()[0];
    }
    let encoded = format!("{{\"data\":\"{}\"}}", STANDARD.encode(&picture));
    let mut group = c.benchmark_group("own links, none there");
    for (name, body) in [
        ("mails 1 KiB", mails(1 << 10).into_bytes()),
        ("mails 100 KiB", mails(100 << 10).into_bytes()),
        ("binary 100 KiB", picture),
        ("base64 of 100 KiB", encoded.into_bytes()),
    ] {
        group.throughput(Throughput::Bytes(body.len() as u64));
        let body = Bytes::from(body);
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut guard = LinkGuard::new(Arc::clone(&links));
                let mut left = black_box(body.clone());
                let mut out = 0;
                while !left.is_empty() {
                    let piece = left.split_to(left.len().min(16 << 10));
                    out += guard.push(piece, left.is_empty()).len();
                }
                out
            });
        });
    }
    group.finish();
}

const PROSE: &str = "Dear all, thank you for coming on Tuesday; the next meeting is at 14:30 in \
    room 204. Please send what you have to the office before the 3rd of May, so that we can print \
    it in time. Best wishes and see you there, the committee.";

criterion_group!(benches, bodies, streams, own_links);
criterion_main!(benches);
