//! Reads a text for the recognisers, and notices when one of them looked beyond its end: in a
//! stream that answer is not final yet.

/// Texts end for good, or more may come.
pub(super) struct Probe<'t> {
    is_end: bool,
    /// Bytes looked at, so that a test can hold the work to a line.
    #[cfg(test)]
    pub(super) steps: usize,
    text: &'t [u8],
    touched: bool,
}

// === impl Probe ===

impl<'t> Probe<'t> {
    pub(super) fn new(text: &'t [u8], is_end: bool) -> Self {
        Self {
            is_end,
            #[cfg(test)]
            steps: 0,
            text,
            touched: false,
        }
    }

    #[inline]
    pub(super) fn at(&mut self, i: usize) -> Option<u8> {
        #[cfg(test)]
        {
            self.steps += 1;
        }
        let byte = self.text.get(i).copied();
        self.touched |= byte.is_none() && !self.is_end;
        byte
    }

    #[inline]
    pub(super) fn is(&mut self, i: usize, class: impl Fn(&u8) -> bool) -> bool {
        self.at(i).is_some_and(|byte| class(&byte))
    }

    /// Whether the text goes on with `literal` at `i`, ignoring ASCII case.
    pub(super) fn goes_on(&mut self, i: usize, literal: &[u8]) -> bool {
        literal.iter().enumerate().all(|(n, wanted)| {
            let byte = self.at(i + n);
            byte.is_some_and(|byte| byte.eq_ignore_ascii_case(wanted))
        })
    }

    /// The end of the run of `class` bytes from `i` on, at most `most` long.
    #[inline]
    pub(super) fn run(&mut self, mut i: usize, most: usize, class: impl Fn(&u8) -> bool) -> usize {
        let stop = i + most;
        while i < stop && self.is(i, &class) {
            i += 1;
        }
        i
    }

    /// Whether a word may end before `i`: what follows is no word byte, or a new word glued on.
    pub(super) fn ends_word(&mut self, i: usize) -> bool {
        !self.is(i, is_word) || self.is_glued(i)
    }

    /// Whether a digit stands before `i` and a word with an upper-case start at it, as in
    /// `5678Tel`: texts pulled out of tables and HTML look like that.
    pub(super) fn is_glued(&mut self, i: usize) -> bool {
        i > 0
            && self.text[i - 1].is_ascii_digit()
            && self.is(i, u8::is_ascii_uppercase)
            && (self.is(i + 1, u8::is_ascii_uppercase)
                || (self.is(i + 1, u8::is_ascii_lowercase)
                    && self.is(i + 2, u8::is_ascii_lowercase)))
    }

    /// What precedes `i`; a text's start counts as a blank.
    pub(super) fn before(&self, i: usize) -> u8 {
        i.checked_sub(1).map_or(b' ', |i| self.text[i])
    }

    pub(super) fn text(&self) -> &'t [u8] {
        self.text
    }

    pub(super) fn is_end(&self) -> bool {
        self.is_end
    }

    /// Whether anything since the last call depended on what comes after the text.
    pub(super) fn take_touched(&mut self) -> bool {
        std::mem::take(&mut self.touched)
    }
}

/// What `\w` means in the rules: ASCII only.
#[inline]
pub(super) fn is_word(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || *byte == b'_'
}
