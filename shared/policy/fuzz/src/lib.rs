//! What must hold for any bytes, one function a target. `make fuzz` drives them with libFuzzer for
//! as long as one likes, `cargo test` with the seeds and some thousand fixed mutations of them.
//!
//! A target panics where something does not hold; nothing else may make it panic.

mod body;
mod compile;
mod filter;
mod glob;
mod links;
mod pattern;
mod url;

pub use body::body;
pub use compile::compile;
pub use filter::{json, ndjson, sse, text};
pub use glob::glob;
pub use links::links;
pub use pattern::pattern;
pub use url::url;

/// A target and its name: that of its file in `fuzz_targets/` and of its folder in `seeds/`.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 10] = [
    ("body", body),
    ("compile", compile),
    ("glob", glob),
    ("json", json),
    ("links", links),
    ("ndjson", ndjson),
    ("pattern", pattern),
    ("sse", sse),
    ("text", text),
    ("url", url),
];

/// The first line and the rest, where both are text.
fn two_texts(data: &[u8]) -> Option<(&str, &str)> {
    str::from_utf8(data).ok()?.split_once('\n')
}

/// The first line and the rest, whatever they are.
fn line_and_rest(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|&byte| byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[]),
    }
}
