//! One answer's way past [`OwnLinks`], in pieces cut anywhere. Holds back what may be the start of a
//! link, and no more than a link can sensibly be.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{LAYERS, OwnLinks, View, ends_link, masked, runs};
use crate::pii::{Fold, fold};

#[derive(Debug)]
pub struct LinkGuard {
    pub(super) held: Bytes,
    /// What is held starts in the middle of base64, between two of its groups.
    is_cut: bool,
    links: Arc<OwnLinks>,
    masked: usize,
    /// A link that is longer than can be held is under way: what is left of it goes too.
    swallows: bool,
}

// === impl LinkGuard ===

impl LinkGuard {
    #[must_use]
    pub const fn new(links: Arc<OwnLinks>) -> Self {
        Self {
            held: Bytes::new(),
            is_cut: false,
            links,
            masked: 0,
            swallows: false,
        }
    }

    /// The next piece, less what is held back; `end` with the last (possibly empty) one. A piece
    /// without a link of ours is passed on without a copy.
    #[must_use]
    pub fn push(&mut self, piece: Bytes, end: bool) -> Bytes {
        let mut text = self.held_and(piece);
        if self.swallows {
            text = self.swallow(text);
        }
        let view = View {
            goes_on: !end,
            is_cut: self.is_cut,
            layers: LAYERS,
        };
        let mut found = self.links.look(&text, view);
        if let Some(open) = found.open.filter(|open| text.len() - open > HOLD) {
            found.patches.push((open, masked(&text[open..])));
            found.links += 1;
            self.swallows = true;
            found.open = None;
        }
        self.masked += found.links;
        let stop = match end {
            true => text.len(),
            false => self.stop(&text, found.open),
        };
        if found.links > 0 {
            text = Bytes::from(found.applied_to(text.to_vec()));
        }
        // A copy: what is held must not keep all of a buffer alive.
        self.held = Bytes::copy_from_slice(&text[stop..]);
        text.truncate(stop);
        text
    }

    /// Whether the end of what came so far waits for what comes next.
    #[must_use]
    pub const fn holds_back(&self) -> bool {
        !self.held.is_empty()
    }

    /// How many links were taken out so far.
    #[must_use]
    pub const fn masked(&self) -> usize {
        self.masked
    }

    fn held_and(&mut self, piece: Bytes) -> Bytes {
        let held = std::mem::take(&mut self.held);
        if held.is_empty() {
            return piece;
        }
        let mut text = BytesMut::with_capacity(held.len() + piece.len());
        text.extend_from_slice(&held);
        text.extend_from_slice(&piece);
        text.freeze()
    }

    fn swallow(&mut self, text: Bytes) -> Bytes {
        let stop = text.iter().position(|byte| ends_link(*byte));
        self.swallows = stop.is_none();
        let stop = stop.unwrap_or(text.len());
        let mut out = masked(&text[..stop]);
        out.extend_from_slice(&text[stop..]);
        Bytes::from(out)
    }

    /// How much of the text may go out.
    fn stop(&mut self, text: &[u8], open: Option<usize>) -> usize {
        let run = runs::open_from(text, self.links.shortest_run);
        let earliest = text.len().saturating_sub(HOLD);
        let group = match run < earliest {
            true => run + runs::group_start(&text[run..], earliest - run),
            false => run,
        };
        let stop = group
            .min(self.name_start(text))
            .min(open.unwrap_or(text.len()));
        self.is_cut =
            stop < text.len() && stop == group && (run < stop || self.is_cut && stop == 0);
        match self.is_cut {
            true => stop,
            false => escape_start(text, stop),
        }
    }

    /// Where the last word starts, if it may end with the start of one of our hosts.
    fn name_start(&self, text: &[u8]) -> usize {
        let from = text.len().saturating_sub(HOLD);
        let mut start = text.len();
        while start > from && (!ends_link(text[start - 1]) || is_inside_name(&text[..start])) {
            start -= 1;
        }
        let word = &text[start..];
        let Fold { folded, open } = fold(word, false, true);
        let seen = folded.as_ref().map_or(word, |folded| &folded.text);
        let may_begin = |host: &[u8]| (1..=host.len()).any(|n| seen.ends_with(&host[..n]));
        let mut origins = self.links.origins.iter();
        match origins.any(|origin| may_begin(origin.host.needle())) {
            true => start,
            // What an escape at the end stands for may part a name from what is before it.
            false => open.map_or(text.len(), |open| start + open),
        }
    }
}

/// `stop`, or the start of the escape that it may be in the middle of.
fn escape_start(text: &[u8], stop: usize) -> usize {
    let from = stop.saturating_sub(LONGEST_ESCAPE);
    let starts = |byte: &u8| matches!(byte, b'%' | b'\\' | b'&' | b'=');
    match text[from..stop].iter().rposition(starts) {
        Some(at) if stop < text.len() => from + at,
        _ => stop,
    }
}

/// A line may end within a word of quoted-printable, a backslash begins an escape, and readers see
/// neither `<wbr>` nor some characters beyond ASCII.
fn is_inside_name(text: &[u8]) -> bool {
    ends_in_tag(text)
        || matches!(
            text,
            [.., b'\\' | b'=' | 0x80..] | [.., b'=', b'\r' | b'\n'] | [.., b'=', b'\r', b'\n']
        )
}

/// Whether the text ends with `<wbr>` in one of its spellings, or with the start of it.
fn ends_in_tag(text: &[u8]) -> bool {
    let from = text.len().saturating_sub(WBR.len());
    let Some(at) = text[from..].iter().rposition(|byte| *byte == b'<') else {
        return false;
    };
    let tag = text[from + at..].to_ascii_lowercase();
    WBR.starts_with(&tag) || matches!(&*tag, b"<wbr>" | b"<wbr/" | b"<wbr/>")
}

/// More than any link of ours, be it in three layers of base64.
const HOLD: usize = 4096;
/// The longest spelling.
const WBR: &[u8] = b"<wbr />";
/// `\u002f`, less its last character.
const LONGEST_ESCAPE: usize = 5;
