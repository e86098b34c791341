//! The attempts, one by one. `<path>` is where a request may go, `<head>` what every good one has,
//! `<behind>` a request that no policy allows; `<length>` and `<hex>` say how long that is.

mod framing;
mod heads;
pub mod http2;
mod lines;

use crate::fate::Fate;

pub struct Row {
    pub what: &'static str,
    pub text: String,
    pub direct: Fate,
    /// nginx reads some things more strictly, and some it puts right.
    pub front: Fate,
}

pub fn all() -> Vec<Row> {
    [framing::rows(), heads::rows(), lines::rows()]
        .into_iter()
        .flatten()
        .collect()
}

fn row(what: &'static str, text: impl Into<String>, direct: Fate, front: Fate) -> Row {
    Row {
        what,
        text: text.into(),
        direct,
        front,
    }
}

/// A good request but for these header lines and this body.
fn post(what: &'static str, lines: &str, body: &str, direct: Fate, front: Fate) -> Row {
    let text = format!("POST <path> HTTP/1.1\r\n<head>{lines}\r\n{body}");
    row(what, text, direct, front)
}

/// The same whoever reads it.
fn both(what: &'static str, lines: &str, body: &str, fate: Fate) -> Row {
    post(what, lines, body, fate, fate)
}
