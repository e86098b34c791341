//! The strings of a JSON text: where each stands, and on which path. Work and memory are bounded by
//! what a stream's event can sensibly hold.

use std::borrow::Cow;

use crate::response::{Malformed, Reader, unquote};

/// One string value.
#[derive(Debug)]
pub(super) struct Leaf<'a> {
    /// Where its token starts.
    pub(super) at: usize,
    pub(super) path: Vec<Step<'a>>,
    pub(super) text: Cow<'a, str>,
}

/// One step down a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step<'a> {
    Item(usize),
    Member(Cow<'a, str>),
}

/// The string values of `text`, in order; those on very long paths are left out.
///
/// # Errors
/// Text that is not JSON or not of a stream's event: too deep, too many strings.
pub(super) fn leaves(text: &[u8]) -> Result<Vec<Leaf<'_>>, Malformed> {
    let mut walk = Walk {
        found: Vec::new(),
        path: Vec::new(),
        reader: Reader::new(text)?,
        text,
    };
    walk.reader.skip_blanks();
    walk.run()?;
    Ok(walk.found)
}

struct Walk<'a> {
    found: Vec<Leaf<'a>>,
    path: Vec<Step<'a>>,
    reader: Reader<'a>,
    text: &'a [u8],
}

// === impl Walk ===

impl<'a> Walk<'a> {
    fn run(&mut self) -> Result<(), Malformed> {
        let mut levels: Vec<bool> = Vec::new();
        loop {
            match self.reader.next() {
                Some(open @ (b'{' | b'[')) if levels.len() < MOST_LEVELS => {
                    self.reader.at += 1;
                    let is_object = open == b'{';
                    if self.reader.next() == Some(open + 2) {
                        self.reader.at += 1;
                    } else {
                        levels.push(is_object);
                        let step = self.first_step(is_object)?;
                        self.path.push(step);
                        continue;
                    }
                }
                Some(b'"') => {
                    let (at, text) = self.string()?;
                    if self.found.len() == MOST_LEAVES {
                        return Err(self.reader.malformed());
                    }
                    if self.is_short() {
                        let path = self.path.clone();
                        self.found.push(Leaf { at, path, text });
                    }
                }
                _ => self.reader.scalar()?,
            }
            if !self.advance(&mut levels)? {
                return Ok(());
            }
        }
    }

    /// After a value: on to the next one. False at the end.
    fn advance(&mut self, levels: &mut Vec<bool>) -> Result<bool, Malformed> {
        while let Some(is_object) = levels.last().copied() {
            let last = self.path.pop();
            match self.reader.next() {
                Some(b',') => {
                    self.reader.at += 1;
                    let step = match last {
                        Some(Step::Item(i)) => Step::Item(i + 1),
                        _ => self.first_step(is_object)?,
                    };
                    self.path.push(step);
                    return Ok(true);
                }
                Some(b'}') if is_object => self.reader.at += 1,
                Some(b']') if !is_object => self.reader.at += 1,
                _ => return Err(self.reader.malformed()),
            }
            levels.pop();
        }
        Ok(false)
    }

    fn is_short(&self) -> bool {
        let length = |step: &Step<'_>| match step {
            Step::Item(_) => 0,
            Step::Member(name) => name.len(),
        };
        self.path.len() <= MOST_STEPS && self.path.iter().map(length).sum::<usize>() <= LONGEST_PATH
    }

    fn first_step(&mut self, is_object: bool) -> Result<Step<'a>, Malformed> {
        if !is_object {
            return Ok(Step::Item(0));
        }
        let (_, name) = self.string()?;
        self.reader.expect(b':')?;
        Ok(Step::Member(name))
    }

    fn string(&mut self) -> Result<(usize, Cow<'a, str>), Malformed> {
        self.reader.skip_blanks();
        let at = self.reader.at;
        self.reader.string()?;
        let token = std::str::from_utf8(&self.text[at..self.reader.at]).unwrap_or("\"\"");
        Ok((at, unquote(token)))
    }
}

const LONGEST_PATH: usize = 512;
const MOST_LEAVES: usize = 20_000;
const MOST_LEVELS: usize = 128;
const MOST_STEPS: usize = 16;
