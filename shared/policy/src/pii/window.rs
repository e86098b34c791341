//! Looks at a text, or at a stretch of one that goes on, in both its forms: as it is and folded.

use super::custom::Custom;
use super::fold::{Folded, fold};
use super::scan::{Hit, Wanted};
use super::{Finding, Label, Recognisers, context, scan as built_in};

/// What is looked at. In a stream, `text` starts with what is already decided, as context.
pub(crate) struct Window<'a> {
    /// Where undecided text starts.
    pub(crate) from: usize,
    pub(crate) is_end: bool,
    pub(crate) is_quoted_printable: bool,
    pub(crate) name: Option<&'a str>,
    pub(crate) text: &'a str,
}

/// How far each of the policy's own patterns has come, in the text and in its folded form: their
/// matches do not overlap, so where one ends matters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    next: Vec<[usize; 2]>,
}

// === impl Window ===

impl<'a> Window<'a> {
    pub(crate) fn whole(text: &'a str, name: Option<&'a str>) -> Self {
        Self {
            from: 0,
            is_end: true,
            is_quoted_printable: false,
            name,
            text,
        }
    }
}

// === impl Progress ===

impl Progress {
    /// The window's first `count` bytes are gone.
    pub(crate) fn forget(&mut self, count: usize) {
        for next in self.next.iter_mut().flatten() {
            *next = next.saturating_sub(count);
        }
    }
}

/// How far a window is decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// What a later look needs as context starts here.
    pub(crate) keep_from: usize,
    /// From here on more text may change the outcome.
    pub(crate) open: usize,
}

/// Adds every find that starts before what is still open.
pub(crate) fn scan(
    recognisers: &Recognisers,
    window: &Window<'_>,
    progress: &mut Progress,
    findings: &mut Vec<Finding>,
) -> Seen {
    let text = window.text.as_bytes();
    if window.is_end && recognisers.finds_links_only() && !may_hold_link(text) {
        return Seen {
            keep_from: text.len(),
            open: text.len(),
        };
    }
    let fold = fold(text, window.is_end, window.is_quoted_printable);
    let mut open = fold.open.unwrap_or(text.len());
    let mut hits = Vec::new();
    open = open.min(raw(recognisers, window, &mut hits));
    if let Some(folded) = &fold.folded {
        open = folded.floor(open.min(refolded(recognisers, window, folded, &mut hits)));
    }
    findings.extend(
        hits.iter()
            .filter(|hit| is_due(hit.start, window.from, open))
            .map(Finding::of),
    );
    if !recognisers.custom.is_empty() {
        open = own(
            recognisers,
            window,
            fold.folded.as_ref(),
            open,
            progress,
            findings,
        );
    }
    debug_assert!(open >= window.from, "what was decided stays decided");
    open = open.max(window.from);
    let keep_from = floor_char(
        window.text,
        open.saturating_sub(context::BACK + LOOK_BEHIND),
    );
    Seen {
        keep_from: fold
            .folded
            .map_or(keep_from, |folded| folded.floor(keep_from)),
        open,
    }
}

/// The text as it is.
fn raw(recognisers: &Recognisers, window: &Window<'_>, hits: &mut Vec<Hit>) -> usize {
    let floor = |at: usize| at.saturating_sub(context::BACK);
    let text = window.text.as_bytes();
    let wanted = wanted(recognisers, window);
    built_in::scan(text, window.from, window.is_end, wanted, &floor, hits)
}

/// The folded text; what is found goes back to raw places.
fn refolded(
    recognisers: &Recognisers,
    window: &Window<'_>,
    folded: &Folded,
    hits: &mut Vec<Hit>,
) -> usize {
    let old = hits.len();
    let floor = |at: usize| folded.at(folded.raw_start(at).saturating_sub(context::BACK));
    let from = folded.at(window.from);
    let wanted = wanted(recognisers, window);
    let open = built_in::scan(&folded.text, from, window.is_end, wanted, &floor, hits);
    for hit in &mut hits[old..] {
        hit.start = folded.raw_start(hit.start);
        hit.end = folded.raw_end(hit.end);
    }
    folded.raw_start(open)
}

/// The policy's own patterns. They may hold back more than the built-in ones.
fn own(
    recognisers: &Recognisers,
    window: &Window<'_>,
    folded: Option<&Folded>,
    mut open: usize,
    progress: &mut Progress,
    findings: &mut Vec<Finding>,
) -> usize {
    progress
        .next
        .resize(recognisers.custom.len(), [window.from; 2]);
    let view = folded.and_then(|folded| std::str::from_utf8(&folded.text).ok());
    let mut found: Vec<(usize, usize, Finding)> = Vec::new();
    for (i, custom) in recognisers.custom.iter().enumerate() {
        let next = progress.next[i];
        let limit = custom.scan(
            window.text,
            next[0].max(window.from),
            window.is_end,
            |start, end| {
                found.push((i, 0, custom.found(start, end)));
            },
        );
        open = open.min(limit);
        if let (Some(folded), Some(view)) = (folded, view) {
            let from = folded.at(next[1].max(window.from));
            let limit = custom.scan(view, from, window.is_end, |start, end| {
                let (start, end) = (folded.raw_start(start), folded.raw_end(end));
                found.push((i, 1, custom.found(start, end)));
            });
            open = folded.floor(open.min(folded.raw_start(limit)));
        }
    }
    for (i, form, finding) in found.into_iter().filter(|(.., f)| f.start < open) {
        progress.next[i][form] = finding.end;
        findings.push(finding);
    }
    findings.retain(|finding| finding.start < open);
    open
}

fn wanted<'a>(recognisers: &'a Recognisers, window: &Window<'a>) -> Wanted<'a> {
    Wanted {
        kinds: recognisers.kinds,
        links: recognisers.links.as_deref(),
        name: window.name,
    }
}

/// Whether a text has the colon and slashes of a link, or an escape that could hide them.
fn may_hold_link(text: &[u8]) -> bool {
    let is_escape =
        |byte: &u8| matches!(byte, b'%' | b'&' | b'\\' | b'=' | b'<') || !byte.is_ascii();
    memchr::memmem::find(text, b"://").is_some() || text.iter().any(is_escape)
}

fn floor_char(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn is_due(start: usize, from: usize, open: usize) -> bool {
    (from..open).contains(&start)
}

// === impl Finding ===

impl Finding {
    fn of(hit: &Hit) -> Self {
        Self {
            start: hit.start,
            end: hit.end,
            label: Label::Known(hit.kind),
            score: hit.score,
        }
    }
}

// === impl Custom ===

impl Custom {
    fn found(&self, start: usize, end: usize) -> Finding {
        Finding {
            start,
            end,
            label: Label::Custom(self.place),
            score: CUSTOM,
        }
    }
}

const CUSTOM: u8 = 60;
/// Word boundaries look at what stands before a place.
const LOOK_BEHIND: usize = 8;
