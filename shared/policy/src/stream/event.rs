//! Server-sent events as bytes: split from a stream, their data read and replaced. Every line end of
//! the standard counts (CRLF, LF, CR), and stays as it came.

use std::ops::Range;

/// One event, or what a stream left of one at its end.
#[derive(Clone, Debug)]
pub(super) struct Event {
    lines: Vec<Line>,
    raw: Vec<u8>,
}

/// Ranges of the event's bytes: without and with the line end.
#[derive(Clone, Debug)]
struct Line {
    content: Range<usize>,
    whole: Range<usize>,
}

/// Cuts a stream into events.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    held: Vec<u8>,
    /// Lines of the event under way, from its start.
    lines: Vec<Line>,
    /// Up to here the held bytes are searched.
    searched: usize,
    /// Where the event under way starts.
    start: usize,
}

// === impl Splitter ===

impl Splitter {
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.held.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.held.extend_from_slice(piece);
    }

    pub(super) fn held(&self) -> &[u8] {
        &self.held[self.start..]
    }

    /// The next event that is complete; at the end, what the end cut off: clients should drop it,
    /// some do not.
    pub(super) fn next(&mut self, is_end: bool) -> Option<Event> {
        while let Some(at) = memchr::memchr2(b'\n', b'\r', &self.held[self.searched..]) {
            let end = self.searched + at;
            let stop = match (self.held[end], self.held.get(end + 1)) {
                (b'\r', Some(b'\n')) => end + 2,
                // A line feed may follow.
                (b'\r', None) if !is_end => {
                    self.searched = end;
                    return None;
                }
                _ => end + 1,
            };
            self.searched = stop;
            if self.line(end, stop) {
                return Some(self.take());
            }
        }
        self.searched = self.held.len();
        if !is_end || self.held().is_empty() {
            return None;
        }
        self.line(self.searched, self.searched);
        Some(self.take())
    }

    /// An event that could not be handled is held again.
    pub(super) fn put_back(&mut self, event: &Event) {
        self.start -= event.raw.len();
        self.searched = self.start;
        self.lines.clear();
    }

    /// Notes a line; true if it is empty.
    fn line(&mut self, end: usize, stop: usize) -> bool {
        let start = self.lines.last().map_or(0, |line| line.whole.end);
        let (end, stop) = (end - self.start, stop - self.start);
        self.lines.push(Line {
            content: start..end,
            whole: start..stop,
        });
        start == end
    }

    fn take(&mut self) -> Event {
        let start = std::mem::replace(&mut self.start, self.searched);
        Event {
            lines: std::mem::take(&mut self.lines),
            raw: self.held[start..self.searched].to_vec(),
        }
    }
}

// === impl Event ===

impl Event {
    pub(super) fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The data lines, joined; `None` if there is none.
    pub(super) fn data(&self) -> Option<Vec<u8>> {
        let mut data: Option<Vec<u8>> = None;
        for value in self.lines.iter().filter_map(|line| self.data_of(line)) {
            match &mut data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => data = Some(value.to_vec()),
            }
        }
        data
    }

    /// The event with other data, its other lines as `other` makes them.
    pub(super) fn render(
        &self,
        data: Option<&[u8]>,
        other: &mut dyn FnMut(&[u8]) -> Option<Vec<u8>>,
        out: &mut Vec<u8>,
    ) {
        let is_same = self.data().as_deref() == data;
        let mut data = data;
        for line in &self.lines {
            let content = &self.raw[line.content.clone()];
            let end = &self.raw[line.content.end..line.whole.end];
            if self.data_of(line).is_none() {
                out.extend(other(content).as_deref().unwrap_or(content));
                out.extend_from_slice(end);
            } else if is_same {
                out.extend_from_slice(&self.raw[line.whole.clone()]);
            } else if let Some(data) = data.take() {
                let head: &[u8] = if content.starts_with(b"data: ") {
                    b"data: "
                } else {
                    b"data:"
                };
                for part in data.split(|byte| *byte == b'\n') {
                    out.extend_from_slice(head);
                    out.extend_from_slice(part);
                    out.extend_from_slice(end);
                }
            }
        }
    }

    /// An event of the same name and line ends with other data, on its own.
    pub(super) fn like(&self, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let end = self
            .lines
            .first()
            .map_or(0..0, |line| line.content.end..line.whole.end);
        let end = if end.is_empty() {
            b"\n"
        } else {
            &self.raw[end]
        };
        let named = self
            .lines
            .iter()
            .map(|line| &self.raw[line.content.clone()]);
        for line in named.filter(|line| line.starts_with(b"event:")) {
            out.extend_from_slice(line);
            out.extend_from_slice(end);
        }
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(data);
        out.extend_from_slice(end);
        out.extend_from_slice(end);
        out
    }

    fn data_of(&self, line: &Line) -> Option<&[u8]> {
        let content = &self.raw[line.content.clone()];
        // A byte order mark may stand before the stream's first line.
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        match content.strip_prefix(b"data")? {
            [] => Some(&[]),
            [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
            _ => None,
        }
    }
}
