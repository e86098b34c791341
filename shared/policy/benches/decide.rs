//! What deciding and compiling cost, and what a compiled policy weighs.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::hint::black_box;

use ah5_contracts::policy::Method;
use ah5_policy::{Body, CanonicalUrl, Facts, Patterns, decide_all};
use criterion::{Criterion, criterion_group, criterion_main};

mod cpu;
mod policies;

use cpu::CpuTime;
use policies::{compile, message, rules};

fn decide(c: &mut Criterion<CpuTime>) {
    let url = CanonicalUrl::parse("https://api.example.com/v1/messages/send").unwrap();
    let text = message();
    let body = Body::new(text.as_bytes(), Some("application/json"));
    c.bench_function("read a 1 KiB body", |b| b.iter(|| black_box(body).read()));
    for count in [5, 20, 200] {
        for with_body in [false, true] {
            let policy = compile(&rules(count, 0, with_body), &mut Patterns::default());
            let facts = Facts::new(Method::Post, &url, 1_772_409_600).with_body(body);
            assert!(policy.decide(&facts).is_allowed());
            let name = format!(
                "decide {count} rules{}",
                if with_body {
                    ", one reads the body"
                } else {
                    ""
                }
            );
            c.bench_function(&name, |b| {
                b.iter(|| decide_all([black_box(&policy)], &facts))
            });
        }
    }
}

fn compiling(c: &mut Criterion<CpuTime>) {
    let stored = rules(20, 0, true);
    c.bench_function("compile 20 rules, new patterns", |b| {
        b.iter(|| compile(&stored, &mut Patterns::default()));
    });
    let mut patterns = Patterns::default();
    let _held = compile(&stored, &mut patterns);
    c.bench_function("compile 20 rules, known patterns", |b| {
        b.iter(|| compile(&stored, &mut patterns));
    });
    weigh();
}

/// By the process's resident memory, over enough policies for pages not to matter. All patterns are
/// shared, so this is what a policy weighs beyond them.
fn weigh() {
    const POLICIES: usize = 20_000;
    let stored = rules(20, 0, true);
    let mut patterns = Patterns::default();
    let mut held = vec![compile(&stored, &mut patterns)];
    held.reserve(POLICIES);
    let before = resident();
    held.extend((0..POLICIES).map(|_| compile(&stored, &mut patterns)));
    let each = (resident() - before) / POLICIES;
    println!("a policy of 20 rules weighs {each} bytes beyond its patterns");
    black_box(held);
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

criterion_group! {
    name = benches;
    config = cpu::criterion();
    targets = decide, compiling
}
criterion_main!(benches);
