//! What deciding and filtering cost in instructions: `cargo bench -p ah5-policy --bench
//! instructions`. It needs valgrind, and says so where that is missing.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use ah5_contracts::policy::Method;
use ah5_policy::stream::StreamFilter;
use ah5_policy::{Body, CanonicalUrl, Facts, Patterns, decide_all};

mod answers;
mod callgrind;
mod policies;

use answers::{chat, filter, mails};
use callgrind::{Counted, MISSING, counts};
use policies::{compile, message, rules};

fn main() {
    let mut operations = deciding();
    operations.extend(compiling());
    operations.extend(filtering());
    operations.push(streaming());
    match counts(operations) {
        None => println!("{MISSING}"),
        Some(counted) => {
            println!("| operation | instructions |\n| --- | --- |");
            for (name, count) in counted {
                println!("| {name} | {count} |");
            }
        }
    }
}

fn deciding() -> Vec<Counted> {
    let text = "https://api.example.com/v1/messages/send?a=b";
    let mut operations = vec![
        Counted::new("canonical URL", move || CanonicalUrl::parse(text).unwrap()),
        Counted::new("read a 1 KiB body", {
            let text = message();
            move || {
                let _ = Body::new(text.as_bytes(), Some("application/json")).read();
            }
        }),
    ];
    for count in [5, 20, 200] {
        for reads_body in [false, true] {
            let what = if reads_body {
                ", one reads the 1 KiB body"
            } else {
                ""
            };
            let policy = compile(&rules(count, 0, reads_body), &mut Patterns::default());
            let (url, body) = (CanonicalUrl::parse(text).unwrap(), message());
            operations.push(Counted::new(
                format!("decide {count} rules{what}"),
                move || {
                    let body = Body::new(body.as_bytes(), Some("application/json"));
                    let facts = Facts::new(Method::Post, &url, 1_772_409_600).with_body(body);
                    decide_all([&policy], &facts)
                },
            ));
        }
    }
    operations
}

fn compiling() -> [Counted; 2] {
    let stored = rules(20, 0, true);
    let again = stored.clone();
    let mut patterns = Patterns::default();
    let held = compile(&stored, &mut patterns);
    [
        Counted::new("compile 20 rules, new patterns", move || {
            compile(&stored, &mut Patterns::default())
        }),
        Counted::new("compile 20 rules, known patterns", move || {
            let _ = &held;
            compile(&again, &mut patterns)
        }),
    ]
}

fn filtering() -> Vec<Counted> {
    let mut operations = Vec::new();
    for (name, rules) in [
        ("fields", filter(Some(&["sizeEstimate", "threadId"]), &[])),
        ("all_pii", filter(None, &["all_pii"])),
    ] {
        for kib in [1, 10, 100] {
            let (rules, body) = (rules.clone(), mails(kib << 10));
            let name = format!("filter {} bytes, {name}", body.len());
            operations.push(Counted::new(name, move || {
                rules.body(Some("application/json"), body.as_bytes())
            }));
        }
    }
    operations
}

fn streaming() -> Counted {
    const EVENTS: usize = 100;
    let (rules, stream) = (filter(None, &["all_pii"]), chat(EVENTS));
    Counted::new(
        format!("chat stream of {EVENTS} events, all_pii"),
        move || {
            let mut filter = StreamFilter::new(rules.clone(), Some("text/event-stream"), 1 << 20);
            let mut out = Vec::new();
            for piece in stream.as_bytes().chunks(1400) {
                filter.push(piece, &mut out).unwrap();
            }
            filter.finish(&mut out).unwrap();
            out
        },
    )
}
