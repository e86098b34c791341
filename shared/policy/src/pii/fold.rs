//! A second look at a text, as a reader would see it: invisible characters gone, digits and dashes
//! of any script plain, escapes (`%40`, `&#64;`, `\u0040`) resolved. Keeps the way back to the
//! bytes it came from.

mod unit;

use unit::{Unit, read};

/// The folded text and its map.
pub(crate) struct Folded {
    pub(crate) text: Vec<u8>,
    pieces: Vec<Piece>,
    raw_len: usize,
}

/// A stretch of folded text: copied byte by byte (`width` 0), or one byte (or none) that stands for
/// `width` raw ones.
struct Piece {
    folded: usize,
    raw: usize,
    width: usize,
}

/// What folding says about a text.
pub(crate) struct Fold {
    /// `None` if the text is its own folded form.
    pub(crate) folded: Option<Folded>,
    /// Where an escape starts that the end cut off, in a text that goes on.
    pub(crate) open: Option<usize>,
}

/// Folds `text`. `is_quoted_printable` also resolves `=40` and soft line breaks.
pub(crate) fn fold(text: &[u8], is_end: bool, is_quoted_printable: bool) -> Fold {
    let mut folded: Option<Folded> = None;
    let (mut copied, mut at) = (0, 0);
    while let Some(byte) = text.get(at) {
        if !may_start_unit(*byte, is_quoted_printable) {
            at += 1;
            continue;
        }
        match read(&text[at..], is_quoted_printable) {
            Unit::Cut if !is_end => return Fold::until(folded, &text[..at], copied),
            Unit::Cut | Unit::Plain => at += 1,
            Unit::Stands { byte, width } => {
                let folded = folded.get_or_insert_with(Folded::new);
                folded.copy(text, copied, at);
                folded.stand(byte, at, width);
                at += width;
                copied = at;
            }
            Unit::Nothing { width } => {
                let folded = folded.get_or_insert_with(Folded::new);
                folded.copy(text, copied, at);
                folded.skip(at, width);
                at += width;
                copied = at;
            }
        }
    }
    Fold {
        folded: folded.map(|folded| folded.finish(text, copied)),
        open: None,
    }
}

// === impl Folded ===

impl Folded {
    fn new() -> Self {
        Self {
            text: Vec::new(),
            pieces: Vec::new(),
            raw_len: 0,
        }
    }

    /// Where the raw bytes of the folded byte at `i` start.
    pub(crate) fn raw_start(&self, i: usize) -> usize {
        if i >= self.text.len() {
            return self.raw_len;
        }
        let piece = self.piece(i);
        if piece.width == 0 {
            piece.raw + (i - piece.folded)
        } else {
            piece.raw
        }
    }

    /// Where the raw bytes of the folded byte before `i` end.
    pub(crate) fn raw_end(&self, i: usize) -> usize {
        let Some(last) = i.checked_sub(1) else {
            return 0;
        };
        let piece = self.piece(last);
        if piece.width == 0 {
            piece.raw + (last - piece.folded) + 1
        } else {
            piece.raw + piece.width
        }
    }

    /// The first folded byte that stands for raw bytes at or after `raw`.
    pub(super) fn at(&self, raw: usize) -> usize {
        let after = self.pieces.partition_point(|piece| piece.raw < raw);
        let Some(piece) = after.checked_sub(1).map(|i| &self.pieces[i]) else {
            return 0;
        };
        let end = self
            .pieces
            .get(after)
            .map_or(self.text.len(), |next| next.folded);
        let inside = if piece.width == 0 { raw - piece.raw } else { 1 };
        (piece.folded + inside).min(end)
    }

    /// `raw`, or the start of the escape that it falls into: a text can be cut there.
    pub(super) fn floor(&self, raw: usize) -> usize {
        let at = self.pieces.partition_point(|piece| piece.raw < raw);
        match at.checked_sub(1).map(|i| &self.pieces[i]) {
            Some(piece) if raw < piece.raw + piece.width => piece.raw,
            _ => raw,
        }
    }

    fn piece(&self, i: usize) -> &Piece {
        let after = self.pieces.partition_point(|piece| piece.folded <= i);
        &self.pieces[after - 1]
    }

    fn copy(&mut self, text: &[u8], from: usize, to: usize) {
        if from < to {
            self.pieces.push(Piece {
                folded: self.text.len(),
                raw: from,
                width: 0,
            });
            self.text.extend_from_slice(&text[from..to]);
        }
    }

    fn stand(&mut self, byte: u8, raw: usize, width: usize) {
        self.skip(raw, width);
        self.text.push(byte);
    }

    fn skip(&mut self, raw: usize, width: usize) {
        self.pieces.push(Piece {
            folded: self.text.len(),
            raw,
            width,
        });
    }

    fn finish(mut self, text: &[u8], copied: usize) -> Self {
        self.copy(text, copied, text.len());
        self.raw_len = text.len();
        self
    }
}

// === impl Fold ===

impl Fold {
    /// The fold of a text whose end is an escape cut short: it ends before that, and so must be
    /// looked at even if nothing else is folded.
    fn until(folded: Option<Folded>, text: &[u8], copied: usize) -> Self {
        let folded = folded.unwrap_or_else(Folded::new);
        Self {
            folded: Some(folded.finish(text, copied)),
            open: Some(text.len()),
        }
    }
}

/// A quick no for most bytes. Letters with accents (C3 to D8) are never folded.
fn may_start_unit(byte: u8, is_quoted_printable: bool) -> bool {
    match byte {
        b'%' | b'&' | b'<' | b'\\' | 0xc2 | 0xd9.. => true,
        b'=' => is_quoted_printable,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> String {
        let fold = fold(text.as_bytes(), true, false);
        fold.folded.map_or_else(
            || text.to_owned(),
            |folded| String::from_utf8(folded.text).unwrap(),
        )
    }

    #[test]
    fn escapes_and_look_alikes_become_plain() {
        assert_eq!(folded("a%40b.io"), "a@b.io");
        assert_eq!(folded("a&#64;b&#x2e;io&commat;"), "a@b.io@");
        assert_eq!(folded("a\\u0040b\\n"), "a@b\n");
        assert_eq!(
            folded("exam<wbr>ple<WBR />s&shy;t\u{200b}u\u{ad}v"),
            "examplestuv"
        );
        assert_eq!(folded("１２３‑４५٦\u{a0}𝟕"), "123-456 7");
        assert_eq!(folded("100% & <b> \\x é “q”"), "100% & <b> \\x é “q”");
    }

    #[test]
    fn places_map_back_to_the_bytes_they_came_from() {
        let text = "x<wbr>a%40b.io y";
        let folded = fold(text.as_bytes(), true, false).folded.unwrap();
        assert_eq!(folded.text, b"xa@b.io y");
        assert_eq!(&text[folded.raw_start(1)..folded.raw_end(7)], "a%40b.io");
        for raw in 0..=text.len() {
            let at = folded.at(raw);
            assert!(folded.raw_start(at) >= raw, "{raw} {at}");
            assert!(at == 0 || folded.raw_start(at - 1) < raw, "{raw} {at}");
        }
    }

    #[test]
    fn an_escape_cut_by_the_end_is_open_only_while_more_may_come() {
        for cut in ["a%", "a%4", "a&#6", "a\\u00", "a<wb", "a\\"] {
            assert_eq!(fold(cut.as_bytes(), false, false).open, Some(1), "{cut}");
            assert_eq!(fold(cut.as_bytes(), true, false).open, None, "{cut}");
        }
        assert_eq!(fold(b"a &bogus entity", false, false).open, None);
    }
}
