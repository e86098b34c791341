//! Stretches of base64 in a text of any kind: one line or many, either alphabet, between the quotes of
//! JSON or bare. They are decoded, and what changed is written back in place.

use base64::Engine as _;

use crate::response::{LENIENT, LENIENT_URL};

/// A stretch of base64.
pub(super) struct Run {
    pub(super) start: usize,
    pub(super) end: usize,
    /// It is the rest of one that an escape broke: its groups may begin anywhere.
    pub(super) is_rest: bool,
}

// === impl Run ===

impl Run {
    /// The next run of at least `shortest` characters. Looks at one byte of a stretch as long as
    /// that: if it is none of base64, nothing before it is long enough.
    pub(super) fn next(text: &[u8], from: usize, shortest: usize) -> Option<Self> {
        let mut at = from;
        loop {
            let probe = at + shortest - 1;
            if !is_part(*text.get(probe)?) {
                at = probe + 1;
                continue;
            }
            let before = text[at..probe].iter().rev();
            let start = probe - before.take_while(|byte| is_part(**byte)).count();
            let (start, is_rest) = after_escape(text, start);
            let length = line(text, start);
            if length >= shortest {
                let end = end(text, start, shortest);
                return Some(Self {
                    start,
                    end,
                    is_rest,
                });
            }
            at = start + length + 1;
        }
    }

    /// Whether it may go on once more text has come.
    pub(super) fn reaches_end(&self, text: &[u8]) -> bool {
        may_be_line_end(&text[self.end..])
    }
}

/// The bytes that a stretch stands for, its first `skipped` characters left out.
pub(super) fn decode(stretch: &[u8], skipped: usize) -> Vec<u8> {
    if !is_broken(stretch) {
        let stretch = whole(&stretch[skipped.min(stretch.len())..]);
        let decoded = LENIENT
            .decode(stretch)
            .or_else(|_| LENIENT_URL.decode(stretch));
        if let Ok(decoded) = decoded {
            return decoded;
        }
    }
    let plain: Vec<u8> = places(stretch)
        .skip(skipped)
        .map(|at| standard(stretch[at]))
        .collect();
    LENIENT.decode(whole(&plain)).unwrap_or_default()
}

/// Without a last character that encodes nothing.
fn whole(characters: &[u8]) -> &[u8] {
    &characters[..characters.len() - usize::from(characters.len() % 4 == 1)]
}

/// Whether there is more in it than its characters.
fn is_broken(stretch: &[u8]) -> bool {
    memchr::memchr3(b'\\', b'\r', b'\n', stretch).is_some()
}

/// The stretch once `old`, which it stands for, is `new`: other characters are not touched, nor line
/// breaks, nor the alphabet.
pub(super) fn encoded(stretch: &[u8], skipped: usize, old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut out = stretch.to_vec();
    let (old, new) = (LENIENT.encode(old), LENIENT.encode(new));
    let changes = old.bytes().zip(new.bytes());
    for (at, (old, new)) in places(stretch).skip(skipped).zip(changes) {
        let is_escaped = at > 0 && stretch[at - 1] == b'\\';
        if old != new && !is_escaped {
            out[at] = new;
        }
    }
    out
}

/// The last place at or before `at` where a group of four begins.
pub(super) fn group_start(stretch: &[u8], at: usize) -> usize {
    if !is_broken(stretch) {
        return at - at % 4;
    }
    let groups = places(stretch).step_by(4);
    groups.take_while(|place| *place <= at).last().unwrap_or(0)
}

/// Where the run starts that the end of `text` may cut; its length if there is none.
pub(super) fn open_from(text: &[u8], shortest: usize) -> usize {
    let ends = LINE_ENDS
        .iter()
        .flat_map(|end| (1..=end.len()).map(|n| &end[..n]));
    let tail = ends
        .filter(|end| text.ends_with(end))
        .map(<[u8]>::len)
        .max();
    let tail = tail.filter(|tail| last_line(&text[..text.len() - tail]) >= shortest);
    let mut start = text.len() - tail.unwrap_or(0);
    if tail.is_none() && text.ends_with(b"\\") {
        start -= 1;
    }
    loop {
        start -= last_line(&text[..start]);
        let before = &text[..start];
        let line_end = LINE_ENDS.iter().find(|end| before.ends_with(end));
        let stop = match line_end {
            Some(end) if last_line(&before[..start - end.len()]) >= shortest => start - end.len(),
            _ if before.ends_with(b"\\/") => start - 2,
            _ => return start,
        };
        start = stop;
    }
}

/// Whether `text` is a line end or the start of one, or nothing.
pub(super) fn may_be_line_end(text: &[u8]) -> bool {
    LINE_ENDS.iter().any(|end| end.starts_with(text))
}

/// A run that seems to start in an escape of JSON starts after it. After an escaped slash it is the
/// rest of something.
fn after_escape(text: &[u8], start: usize) -> (usize, bool) {
    let is_escaped = start > 0 && text[start - 1] == b'\\';
    let is_rest = is_escaped && text.get(start) == Some(&b'/');
    (start + usize::from(is_escaped), is_rest)
}

/// How many characters the last line has, less what belongs to an escape before them.
fn last_line(text: &[u8]) -> usize {
    let length = text.iter().rev().take_while(|byte| is_part(**byte)).count();
    let is_escaped = length > 0 && text[..text.len() - length].ends_with(b"\\");
    length - usize::from(is_escaped)
}

/// How many characters follow without a break.
fn line(text: &[u8], from: usize) -> usize {
    text[from..]
        .iter()
        .take_while(|byte| is_part(**byte))
        .count()
}

/// Where the run that starts at `at` ends: long lines go on behind a single line end.
fn end(text: &[u8], mut at: usize, shortest: usize) -> usize {
    let mut length = 0;
    loop {
        let here = line(text, at);
        (at, length) = (at + here, length + here);
        let next = match &text[at..] {
            [b'\\', b'/', ..] => at + 1,
            rest if length >= shortest => {
                length = 0;
                at + line_end(rest)
            }
            _ => return at,
        };
        if next == at || !text.get(next).is_some_and(|byte| is_part(*byte)) {
            return at;
        }
        at = next;
    }
}

/// The length of the line end that `text` starts with.
fn line_end(text: &[u8]) -> usize {
    let end = LINE_ENDS.iter().find(|end| text.starts_with(end));
    end.map_or(0, |end| end.len())
}

/// Where the characters are.
fn places(stretch: &[u8]) -> impl Iterator<Item = usize> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            match &stretch[at.min(stretch.len())..] {
                [] => return None,
                [b'\r' | b'\n', ..] | [b'\\', b'/', ..] => at += 1,
                [b'\\', ..] => at += 2,
                _ => {
                    at += 1;
                    return Some(at - 1);
                }
            }
        }
    })
}

fn standard(byte: u8) -> u8 {
    match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    }
}

#[inline]
fn is_part(byte: u8) -> bool {
    const PART: [bool; 256] = {
        let mut part = [false; 256];
        let mut i = 0;
        while i < 256 {
            let byte = i as u8;
            part[i] = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
            i += 1;
        }
        part
    };
    PART[byte as usize]
}

/// As it is or as JSON escapes it; longer ones first.
const LINE_ENDS: [&[u8]; 4] = [b"\\r\\n", b"\r\n", b"\\n", b"\n"];
/// Mail breaks base64 at 76 characters, and some at 64.
pub(super) const LONGEST_FIRST_LINE: usize = 60;
pub(super) const LONGEST_LINE: usize = 80;
