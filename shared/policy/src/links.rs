//! Links to our own pages that act for whoever follows them (reset a password, verify an address,
//! accept an invitation, decide an approval): an agent must not find them in its user's mail. The
//! data plane runs this on every answer, under every policy. It works on bytes, so that no answer
//! is parsed for it, and replaces by as many bytes as it takes out, so that what is said of an
//! answer's length holds.
//!
//! It sees through the spellings of mail and JSON (escapes, entities, percent, quoted-printable) and
//! through three layers of base64. A provider that writes a link in any other way is not caught.

use memchr::memmem::Finder;

use crate::pii::fold;

mod guard;
mod runs;
#[cfg(test)]
mod tests;

pub use guard::LinkGuard;
use runs::Run;

/// What our own links look like.
#[derive(Debug)]
pub struct OwnLinks {
    origins: Box<[Origin]>,
    /// How far from the line end inside it a host may start.
    near: usize,
    /// Of a run of base64 that can hold one.
    shortest_run: usize,
}

#[derive(Debug)]
struct Origin {
    host: Finder<'static>,
    /// With its colon; empty for the scheme's own.
    port: Box<[u8]>,
}

/// How a text is looked at.
#[derive(Clone, Copy, Debug)]
struct View {
    /// More text may follow, and change what its last link is.
    goes_on: bool,
    /// It starts in the middle of base64: what is inside that may start anywhere.
    is_cut: bool,
    /// Layers of base64 that may still be opened.
    layers: u8,
}

/// What a text loses.
#[derive(Debug, Default)]
struct Found {
    links: usize,
    /// Where a link starts that may go on beyond the text.
    open: Option<usize>,
    /// Bytes to write in place of others, in this order.
    patches: Vec<(usize, Vec<u8>)>,
}

// === impl OwnLinks ===

impl OwnLinks {
    /// `origins` as browsers send them.
    #[must_use]
    pub fn new<O: AsRef<str>>(origins: &[O]) -> Self {
        let origins: Box<[Origin]> = origins.iter().map(|o| Origin::new(o.as_ref())).collect();
        let hosts = origins.iter().map(|origin| origin.host.needle().len());
        let longest = hosts.clone().max().unwrap_or(0);
        let shortest = hosts.min().unwrap_or(0) + SHORTEST_AROUND_HOST;
        Self {
            near: longest + LONGEST_BREAK,
            origins,
            shortest_run: (shortest * 4 / 3).clamp(24, runs::LONGEST_FIRST_LINE),
        }
    }

    /// The text without every link of ours that acts, or `None` if there is none.
    #[must_use]
    pub fn mask(&self, text: &[u8]) -> Option<Vec<u8>> {
        let found = self.look(text, View::WHOLE);
        (found.links > 0).then(|| found.applied_to(text.to_vec()))
    }

    fn look(&self, text: &[u8], view: View) -> Found {
        let mut found = Found::default();
        let mut at = 0;
        // What is inside base64 first: a link that holds some goes as a whole.
        while view.layers > 0
            && let Some(run) = Run::next(text, at, self.shortest_run)
        {
            at = run.end;
            self.run(text, &run, view, &mut found);
        }
        self.plain(text, view.goes_on, &mut found);
        found
    }

    /// Base64 is decoded, looked at, and encoded again where something was masked.
    fn run(&self, text: &[u8], run: &Run, view: View, found: &mut Found) {
        let is_cut = view.is_cut && run.start < runs::LONGEST_LINE;
        let inner = View {
            goes_on: view.goes_on && run.reaches_end(text),
            is_cut,
            layers: view.layers - 1,
        };
        // Where a text was cut it was cut between two groups; but what is inside was not.
        let is_aligned = !run.is_rest && (!is_cut || view.layers == LAYERS);
        let mut patch: Option<Vec<u8>> = None;
        for skipped in 0..if is_aligned { 1 } else { 4 } {
            let stretch = patch.as_deref().unwrap_or(&text[run.start..run.end]);
            let decoded = runs::decode(stretch, skipped);
            let inside = self.look(&decoded, inner);
            if inside.links > 0 {
                found.links += inside.links;
                let masked = inside.applied_to(decoded.clone());
                patch = Some(runs::encoded(stretch, skipped, &decoded, &masked));
            }
        }
        found.patches.extend(patch.map(|patch| (run.start, patch)));
    }

    fn plain(&self, text: &[u8], goes_on: bool, found: &mut Found) {
        if !self.may_be_named_in(text) {
            return;
        }
        let mut links = self.links(text, &|at| at, &|at| at);
        let fold = fold(text, !goes_on, true);
        match (fold.folded, fold.open) {
            (Some(folded), _) => {
                let (start, end) = (|at| folded.raw_start(at), |at| folded.raw_end(at));
                links.extend(self.links(&folded.text, &start, &end));
            }
            // The last escape is cut, and may turn out to be nothing.
            (None, Some(open)) => links.extend(self.links(&text[..open], &|at| at, &|at| at)),
            (None, None) => {}
        }
        for link in links {
            if goes_on && (link.may_go_on || may_go_on(text, link.end)) {
                let open = found.open.map_or(link.start, |open| open.min(link.start));
                found.open = Some(open);
            } else if link.acts {
                let masked = masked(&text[link.start..link.end]);
                found.patches.push((link.start, masked));
                found.links += 1;
            }
        }
    }

    /// A quick no for nearly every text. In quoted-printable a line may end inside a name.
    fn may_be_named_in(&self, text: &[u8]) -> bool {
        let named = |text: &[u8]| self.origins.iter().any(|o| o.host.find(text).is_some());
        let named_over_break = |at: usize| {
            let around = at.saturating_sub(self.near)..text.len().min(at + self.near);
            let folded = fold(&text[around], true, true).folded;
            folded.is_some_and(|folded| named(&folded.text))
        };
        let is_break = |at: &usize| matches!(text.get(at + 1), Some(b'\r' | b'\n' | b'\\'));
        let mut breaks = memchr::memchr_iter(b'=', text).filter(is_break);
        named(text) || breaks.any(named_over_break)
    }

    /// Everything below one of our origins, in places of the text before it was folded.
    fn links(
        &self,
        text: &[u8],
        start: &dyn Fn(usize) -> usize,
        end: &dyn Fn(usize) -> usize,
    ) -> Vec<Link> {
        let mut links = Vec::new();
        for origin in &self.origins {
            let mut from = 0;
            while let Some(at) = origin.host.find(&text[from..]) {
                let at = from + at;
                from = at + origin.host.needle().len();
                let rest = text[from..].iter().position(|byte| ends_link(*byte));
                let stop = rest.map_or(text.len(), |length| from + length);
                let is_whole = at == 0 || !is_of_host(text[at - 1]);
                if is_whole && origin.is_followed_well(&text[from..stop], may_go_on(text, stop)) {
                    links.push(Link {
                        acts: acts(&text[from..stop]),
                        may_go_on: stop == text.len(),
                        start: start(at),
                        end: end(stop),
                    });
                    from = stop;
                }
            }
        }
        links
    }
}

struct Link {
    acts: bool,
    /// Nothing follows it as it was looked at: without what is invisible.
    may_go_on: bool,
    start: usize,
    end: usize,
}

// === impl Origin ===

impl Origin {
    fn new(origin: &str) -> Self {
        let authority = origin.split_once("://").map_or(origin, |(_, rest)| rest);
        let authority = authority.trim_end_matches('/').to_ascii_lowercase();
        let colon = authority
            .rfind(':')
            .filter(|at| !authority[*at..].contains(']'));
        let (host, port) = authority.split_at(colon.unwrap_or(authority.len()));
        Self {
            host: Finder::new(host.as_bytes()).into_owned(),
            port: port.as_bytes().into(),
        }
    }

    /// Whether what follows the host makes it this origin; `is_cut` if that may be only the start.
    fn is_followed_well(&self, rest: &[u8], is_cut: bool) -> bool {
        let is_path = |rest: &[u8]| rest.first().map_or(is_cut, |byte| b"/?#".contains(byte));
        match rest.strip_prefix(&*self.port) {
            Some(rest) => is_path(rest) || self.port.is_empty() && has_default_port(rest),
            None => is_cut && self.port.starts_with(rest),
        }
    }
}

fn has_default_port(rest: &[u8]) -> bool {
    [b":443".as_slice(), b":80"].iter().any(|port| {
        let rest = rest.strip_prefix(*port);
        rest.is_some_and(|rest| rest.first().is_none_or(|byte| b"/?#".contains(byte)))
    })
}

// === impl View ===

impl View {
    const WHOLE: Self = Self {
        goes_on: false,
        is_cut: false,
        layers: LAYERS,
    };
}

// === impl Found ===

impl Found {
    fn applied_to(self, mut text: Vec<u8>) -> Vec<u8> {
        for (at, bytes) in self.patches {
            text[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        text
    }
}

/// Whether a link that ends at `end` may go on once more text has come: it is at the end, or before
/// an escape that the end cuts.
fn may_go_on(text: &[u8], end: usize) -> bool {
    let is_soft = text[..end].ends_with(b"=");
    match &text[end..] {
        [] | [b'\\'] | [b'\\', b'u'] | [b'='] => true,
        [b'\\', b'u', digits @ ..] => digits.len() < 4 && digits.iter().all(u8::is_ascii_hexdigit),
        [b'=', rest @ ..] => runs::may_be_line_end(rest),
        rest => is_soft && runs::may_be_line_end(rest),
    }
}

/// Whether a path and query is one that acts.
pub(crate) fn acts(path: &[u8]) -> bool {
    let path = path.to_ascii_lowercase();
    let is_in = |word: &&[u8]| memchr::memmem::find(&path, word).is_some();
    ACTING.iter().any(is_in)
}

/// The same number of bytes that say what was done, harmless in JSON, HTML and URLs. A question
/// mark stays: in base64 it is what a slash may come from, and a slash that JSON escapes must stay
/// one.
fn masked(link: &[u8]) -> Vec<u8> {
    let mark = MARK.iter().chain(std::iter::repeat(&b'-'));
    let masked = |(byte, mark): (&u8, &u8)| if *byte == b'?' { b'?' } else { *mark };
    link.iter().zip(mark).map(masked).collect()
}

fn ends_link(byte: u8) -> bool {
    byte <= b' ' || byte >= 0x7f || b"\"<>\\^`{|}".contains(&byte)
}

fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')
}

const ACTING: &[&[u8]] = &[
    b"quick-action",
    b"reset-password",
    b"verify-email",
    b"invitation",
    b"invite",
    b"token=",
    b"magic-link",
];
/// A mail's part in a mail in JSON, and one more.
const LAYERS: u8 = 3;
/// `=\r\n` as JSON escapes it.
const LONGEST_BREAK: usize = 5;
const MARK: &[u8] = b"removed-link";
/// `//` before the host and `/invite` after it.
const SHORTEST_AROUND_HOST: usize = 9;
