//! How fast answers are filtered, on JSON such as a mail API sends: `cargo bench -p ah5-policy
//! --bench filter`.

use std::hint::black_box;
use std::sync::Arc;

use ah5_policy::links::{LinkGuard, OwnLinks};
use ah5_policy::stream::StreamFilter;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

mod answers;
mod cpu;

use answers::{chat, filter, mails};
use cpu::CpuTime;

fn bodies(c: &mut Criterion<CpuTime>) {
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

fn streams(c: &mut Criterion<CpuTime>) {
    let rules = filter(None, &["all_pii"]);
    let stream = chat(EVENTS);
    let mut group = c.benchmark_group("chat stream, a word an event");
    group.throughput(Throughput::Elements(EVENTS as u64));
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
fn own_links(c: &mut Criterion<CpuTime>) {
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

const EVENTS: usize = 800;

criterion_group! {
    name = benches;
    config = cpu::criterion();
    targets = bodies, streams, own_links
}
criterion_main!(benches);
