//! Character classes, spelled out as ranges: nothing in one can mean more than its characters.

use std::fmt::Write as _;

use super::translate::{Escape, Refused, Translator};

#[derive(Clone, Debug, Default)]
pub(super) struct Class {
    negated: bool,
    ranges: Vec<(char, char)>,
}

/// One end of a range.
enum Item {
    Char(char),
    Class(Class),
    Half,
}

// === impl Class ===

impl Class {
    pub(super) fn of(c: char) -> Self {
        Self {
            negated: false,
            ranges: vec![(c, c)],
        }
    }

    /// `\d`, `\w`, `\s` and their opposites.
    pub(super) fn named(name: char) -> Self {
        let ranges: &[(char, char)] = match name.to_ascii_lowercase() {
            'd' => &[('0', '9')],
            'w' => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
            _ => &SPACES,
        };
        Self {
            negated: name.is_ascii_uppercase(),
            ranges: ranges.to_vec(),
        }
    }

    /// What follows the opening bracket, the closing one included.
    pub(super) fn parse(from: &mut Translator<'_>) -> Result<Self, Refused> {
        let mut class = Self {
            negated: from.take('^'),
            ranges: Vec::new(),
        };
        while !from.take(']') {
            let first = item(from)?;
            let mut dash = false;
            if from.peek() == Some('-') {
                from.take('-');
                dash = true;
            }
            if !dash {
                class.add(first);
            } else if from.peek() == Some(']') {
                class.add(first);
                class.add(Item::Char('-'));
            } else {
                let last = item(from)?;
                class.add_range(first, last)?;
            }
        }
        Ok(class)
    }

    /// Appends the class in the syntax of the `regex` crate.
    pub(super) fn write(mut self, out: &mut String, fold: bool) {
        if fold {
            self.fold();
        }
        if self.ranges.is_empty() {
            out.push_str(if self.negated { "(?s:.)" } else { "[a&&b]" });
            return;
        }
        if let [(c, last)] = self.ranges[..]
            && c == last
            && !self.negated
        {
            return super::translate::push_escaped(out, c);
        }
        out.push('[');
        if self.negated {
            out.push('^');
        }
        for (first, last) in self.ranges {
            let _ = match first == last {
                true => write!(out, "\\x{{{:x}}}", u32::from(first)),
                false => write!(
                    out,
                    "\\x{{{:x}}}-\\x{{{:x}}}",
                    u32::from(first),
                    u32::from(last)
                ),
            };
        }
        out.push(']');
    }

    fn add(&mut self, item: Item) {
        match item {
            Item::Char(c) => self.ranges.push((c, c)),
            Item::Class(class) => self.ranges.extend(class.positive()),
            // Half of a pair stands for the characters that pairs spell.
            Item::Half => self.ranges.push(ASTRAL),
        }
    }

    fn add_range(&mut self, first: Item, last: Item) -> Result<(), Refused> {
        match (first, last) {
            (Item::Char(first), Item::Char(last)) if first <= last => {
                self.ranges.push((first, last));
            }
            (Item::Char(_), Item::Char(_)) => return Err(Refused::Class),
            (Item::Half, Item::Half) => self.ranges.push(ASTRAL),
            (Item::Half, Item::Char(last)) if last >= '\u{e000}' => {
                self.ranges.extend([('\u{e000}', last), ASTRAL]);
            }
            (Item::Char(first), Item::Half) if first <= '\u{d7ff}' => {
                self.ranges.extend([(first, '\u{d7ff}'), ASTRAL]);
            }
            (Item::Half, Item::Char(_)) | (Item::Char(_), Item::Half) => {
                return Err(Refused::Class);
            }
            // Beside a class the dash is a character.
            (first, last) => {
                self.add(first);
                self.add(Item::Char('-'));
                self.add(last);
            }
        }
        Ok(())
    }

    /// The ranges, for use within another class.
    fn positive(self) -> Vec<(char, char)> {
        if !self.negated {
            return self.ranges;
        }
        let mut ranges = self.ranges;
        ranges.sort_unstable();
        let mut gaps = Vec::new();
        let mut next = Some('\0');
        for (first, last) in ranges {
            if let Some(from) = next.filter(|&from| from < first) {
                gaps.extend(before(first).map(|to| (from, to)));
            }
            next = match after(last) {
                Some(after) => next.max(Some(after)),
                None => return gaps,
            };
        }
        gaps.extend(next.map(|from| (from, char::MAX)));
        gaps
    }

    /// Adds the other case of each letter. ASCII letters only ever have ASCII counterparts.
    fn fold(&mut self) {
        let mut more = Vec::new();
        for &(first, last) in &self.ranges {
            let ascii = [('a', 'z', 'A'), ('A', 'Z', 'a')];
            for (from, to, other) in ascii {
                let (low, high) = (first.max(from), last.min(to));
                if low <= high {
                    let shift = |c: char| char::from((c as u8) - (from as u8) + (other as u8));
                    more.push((shift(low), shift(high)));
                }
            }
            let wide = u32::from(last) - u32::from(first) > MAX_FOLDED;
            if last > '\u{7f}' && !wide {
                more.extend((first..=last).filter(|c| !c.is_ascii()).flat_map(cases));
            }
        }
        self.ranges.extend(more);
    }
}

fn item(from: &mut Translator<'_>) -> Result<Item, Refused> {
    match from.next().ok_or(Refused::Class)? {
        '\\' if from.take('b') => Ok(Item::Char('\u{8}')),
        '\\' => Ok(match from.escape()? {
            Escape::Char(c) => Item::Char(c),
            Escape::Class(class) => Item::Class(class),
            Escape::Half => Item::Half,
        }),
        c => Ok(Item::Char(c)),
    }
}

/// The single-character case variants outside ASCII.
fn cases(c: char) -> Vec<(char, char)> {
    let lower: Vec<char> = c.to_lowercase().collect();
    let upper: Vec<char> = c.to_uppercase().collect();
    [lower, upper]
        .into_iter()
        .filter(|v| v.len() == 1 && !v[0].is_ascii())
        .map(|v| (v[0], v[0]))
        .collect()
}

fn before(c: char) -> Option<char> {
    ('\0'..c).next_back()
}

fn after(c: char) -> Option<char> {
    (c..=char::MAX).nth(1)
}

const SPACES: [(char, char); 10] = [
    ('\t', '\r'),
    (' ', ' '),
    ('\u{a0}', '\u{a0}'),
    ('\u{1680}', '\u{1680}'),
    ('\u{2000}', '\u{200a}'),
    ('\u{2028}', '\u{2029}'),
    ('\u{202f}', '\u{202f}'),
    ('\u{205f}', '\u{205f}'),
    ('\u{3000}', '\u{3000}'),
    ('\u{feff}', '\u{feff}'),
];
const ASTRAL: (char, char) = ('\u{10000}', char::MAX);
const MAX_FOLDED: u32 = 2000;
