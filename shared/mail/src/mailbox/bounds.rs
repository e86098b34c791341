//! What a letter may ask of the parser. It holds all headers and parts of a letter at once, goes as deep
//! as letters lie in letters, decoded ones too, and takes all of that apart by recursion: so it is shown
//! no letters in a letter, and no more headers and parts than there is memory for.

use super::answer::Answer;

/// Makes the letter one that can be parsed, and says how much memory that takes. A letter in it becomes
/// a file like any other; [`restore`] undoes what was done to words for that.
///
/// # Errors
/// The answer for a letter of too many pieces.
pub fn tame(letter: &mut [u8]) -> Result<usize, Answer> {
    let Pieces {
        lines,
        marks,
        stars,
    } = Pieces::of(letter);
    let multiparts = hide(letter);
    // The end of each multipart is looked for through the whole letter, and a parameter in several
    // pieces among all parameters.
    let work = multiparts.saturating_mul(letter.len());
    let work = work.saturating_add(stars.saturating_mul(marks));
    if lines > MOST_LINES || marks > MOST_MARKS || work > MOST_WORK {
        return Err(Answer::error(422, TOO_MANY));
    }
    Ok(2 * letter.len() + LINE * lines + MARK * marks)
}

/// In whatever was taken out of a letter: its bytes are as they were sent.
pub fn restore(bytes: &mut [u8]) {
    for at in HEAD..bytes.len() {
        let Some((seen, _)) = LAST.iter().find(|(_, hidden)| *hidden == bytes[at]) else {
            continue;
        };
        let head = &bytes[at - HEAD..at];
        if HIDDEN
            .iter()
            .any(|word| head.eq_ignore_ascii_case(&word[..HEAD]))
        {
            bytes[at] = *seen;
        }
    }
}

pub fn restored(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    restore(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// At least as many as the letter can have.
#[derive(Default)]
struct Pieces {
    /// Headers and parts.
    lines: usize,
    /// Addresses, parameters and words in headers.
    marks: usize,
    /// Pieces of parameters.
    stars: usize,
}

// === impl Pieces ===

impl Pieces {
    fn of(letter: &[u8]) -> Self {
        let mut pieces = Self::default();
        for line in letter.split(|byte| *byte == b'\n') {
            let has_dashes = line.windows(2).any(|pair| pair == b"--");
            // A header has its colon, a part its boundary, and one line can hold one of each.
            pieces.lines += usize::from(line.contains(&b':')) + usize::from(has_dashes);
            for byte in line {
                pieces.marks += usize::from(MARKS.contains(byte));
                pieces.stars += usize::from(*byte == b'*');
            }
        }
        pieces
    }
}

/// In everything that the parser could take for a `Content-Type`, wherever it is: hides what makes it a
/// letter's. How many of them may be of multiparts.
fn hide(letter: &mut [u8]) -> usize {
    let (mut at, mut matched, mut multiparts) = (0, 0, 0);
    while let Some(&byte) = letter.get(at) {
        at += 1;
        matched = match byte {
            b'\n' => 0,
            // Blanks within a header's name are passed over by the parser.
            _ if byte.is_ascii_whitespace() => matched,
            _ if byte.to_ascii_lowercase() == NAME[matched] => matched + 1,
            _ => usize::from(byte.eq_ignore_ascii_case(&NAME[0])),
        };
        if matched == NAME.len() {
            let end = at + value(&letter[at..]);
            multiparts += usize::from(hide_in(&mut letter[at..end]));
            (at, matched) = (end, 0);
        }
    }
    multiparts
}

/// Where a header's value ends: at a line after which no blank comes.
fn value(rest: &[u8]) -> usize {
    let ends = |pair: &[u8]| pair[0] == b'\n' && !matches!(pair[1], b' ' | b'\t');
    rest.windows(2).position(ends).unwrap_or(rest.len())
}

fn hide_in(value: &mut [u8]) -> bool {
    let is_multipart = places(value, b"multipart").next().is_some();
    if is_multipart || places(value, b"message").next().is_some() {
        for word in HIDDEN {
            let found: Vec<usize> = places(value, word).collect();
            for at in found {
                let last = &mut value[at + HEAD];
                let hidden = LAST.iter().find(|(seen, _)| seen == last);
                *last = hidden.map_or(*last, |(_, hidden)| *hidden);
            }
        }
    }
    is_multipart
}

fn places<'a>(text: &'a [u8], word: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let windows = text.windows(word.len()).enumerate();
    windows.filter_map(|(at, it)| it.eq_ignore_ascii_case(word).then_some(at))
}

const NAME: &[u8] = b"content-type:";
/// Subtypes of letters, and of a multipart whose parts are letters unless they say something else.
const HIDDEN: [&[u8; HEAD + 1]; 3] = [b"rfc822", b"global", b"digest"];
/// What is left of each.
const HEAD: usize = 5;
/// The last byte of each, and what stands for it: no text has that.
const LAST: [(u8, u8); 5] = [(b'2', 1), (b'l', 2), (b'L', 3), (b't', 4), (b'T', 5)];
/// What parts addresses, parameters and words.
const MARKS: &[u8] = b",;<>=\"'(\\";
const MOST_LINES: usize = 500_000;
const MOST_MARKS: usize = 2_000_000;
/// Bytes looked at, or parameters: some seconds.
const MOST_WORK: usize = 8 * 1024 * 1024 * 1024;
/// What the parser keeps of a header or a part, while its list grows.
const LINE: usize = 300;
const MARK: usize = 64;
const TOO_MANY: &str = "The message has too many headers or parts to be read";

#[cfg(test)]
mod tests;
