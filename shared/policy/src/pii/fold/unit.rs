//! One escape, look-alike or invisible character at the start of a text.

/// What the text starts with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// The text ends before this can be told.
    Cut,
    /// Nothing to see for so many bytes.
    Nothing { width: usize },
    /// What it is: itself.
    Plain,
    /// So many bytes that are read as one.
    Stands { byte: u8, width: usize },
}

/// `text` starts with a byte that may start a unit.
pub(super) fn read(text: &[u8], is_quoted_printable: bool) -> Unit {
    match text[0] {
        b'%' => hex_pair(text),
        b'&' => entity(text),
        b'<' => tag(text),
        b'=' if is_quoted_printable => quoted_printable(text),
        b'\\' => backslash(text),
        _ => character(text),
    }
}

/// `%40`, `=40`. Only what becomes printable ASCII.
fn hex_pair(text: &[u8]) -> Unit {
    match text[1..]
        .iter()
        .take(2)
        .position(|byte| !byte.is_ascii_hexdigit())
    {
        Some(_) => Unit::Plain,
        None if text.len() < 3 => Unit::Cut,
        None => match hex(&text[1..3]) {
            value @ 0x20..0x7f => stands(value, 3),
            _ => Unit::Plain,
        },
    }
}

fn quoted_printable(text: &[u8]) -> Unit {
    match &text[1..] {
        [b'\n', ..] => Unit::Nothing { width: 2 },
        [b'\r', b'\n', ..] => Unit::Nothing { width: 3 },
        // In a mail that JSON holds.
        [b'\\', b'n', ..] => Unit::Nothing { width: 3 },
        [b'\\', b'r', b'\\', b'n', ..] => Unit::Nothing { width: 5 },
        [b'\r'] | [b'\\'] | [b'\\', b'r'] | [b'\\', b'r', b'\\'] => Unit::Cut,
        _ => hex_pair(text),
    }
}

fn backslash(text: &[u8]) -> Unit {
    match text.get(1) {
        None => Unit::Cut,
        Some(b'n' | b'r' | b't') => stands(u32::from(b'\n'), 2),
        Some(byte @ (b'"' | b'/' | b'\\')) => stands(u32::from(*byte), 2),
        Some(b'u') => {
            let digits = text[2..]
                .iter()
                .take(4)
                .take_while(|byte| byte.is_ascii_hexdigit());
            match digits.count() {
                4 => code(hex(&text[2..6]), 6),
                count if count + 2 == text.len() => Unit::Cut,
                _ => Unit::Plain,
            }
        }
        Some(_) => Unit::Plain,
    }
}

/// `<wbr>` in its spellings.
fn tag(text: &[u8]) -> Unit {
    spelled(text, &[b"<wbr>", b"<wbr/>", b"<wbr />"], |_, width| {
        Unit::Nothing { width }
    })
}

fn entity(text: &[u8]) -> Unit {
    if text.get(1) == Some(&b'#') {
        return numeric(text);
    }
    spelled(text, NAMED, |place, width| match NAMED_FOR[place] {
        0 => Unit::Nothing { width },
        byte => stands(u32::from(byte), width),
    })
}

/// `&#64;` and `&#x40;`, up to seven digits.
fn numeric(text: &[u8]) -> Unit {
    let is_hex = matches!(text.get(2), Some(b'x' | b'X'));
    let from = 2 + usize::from(is_hex);
    let radix = if is_hex { 16 } else { 10 };
    let digits = text[from.min(text.len())..]
        .iter()
        .take(7)
        .take_while(|byte| char::from(**byte).is_digit(radix))
        .count();
    match text.get(from + digits) {
        None => Unit::Cut,
        Some(b';') if digits > 0 => {
            let value = text[from..from + digits].iter().fold(0, |n, byte| {
                n * radix + char::from(*byte).to_digit(radix).unwrap_or(0)
            });
            code(value, from + digits + 1)
        }
        Some(_) => Unit::Plain,
    }
}

/// A character beyond ASCII.
fn character(text: &[u8]) -> Unit {
    let width = match text[0] {
        0xf0.. => 4,
        0xe0.. => 3,
        _ => 2,
    };
    let Some(bytes) = text.get(..width) else {
        return Unit::Cut;
    };
    match std::str::from_utf8(bytes)
        .ok()
        .and_then(|s| s.chars().next())
    {
        Some(c) => code(u32::from(c), width),
        None => Unit::Plain,
    }
}

fn code(value: u32, width: usize) -> Unit {
    match plain(value) {
        Some(0) => Unit::Nothing { width },
        Some(byte) => stands(u32::from(byte), width),
        None => Unit::Plain,
    }
}

/// The ASCII byte that a character is read as; 0 for one that is not seen.
fn plain(value: u32) -> Option<u8> {
    let ascii = match value {
        0x20..0x7f => value,
        0xad | 0x200b..=0x200f | 0x2060..=0x2064 | 0xfeff => 0,
        0x9 | 0xa | 0xd | 0xa0 | 0x2000..=0x200a | 0x2028 | 0x2029 | 0x202f | 0x205f | 0x3000 => {
            0x20
        }
        0x2010..=0x2015 | 0x2212 | 0xfe58 | 0xfe63 => u32::from(b'-'),
        0x2024 | 0x3002 | 0xff61 => u32::from(b'.'),
        0xfe6b => u32::from(b'@'),
        0xff01..=0xff5e => value - 0xff01 + 0x21,
        0x1d7ce..=0x1d7ff => u32::from(b'0') + (value - 0x1d7ce) % 10,
        _ => {
            let zero = ZEROS
                .iter()
                .find(|zero| (**zero..**zero + 10).contains(&value))?;
            u32::from(b'0') + value - zero
        }
    };
    u8::try_from(ascii).ok()
}

/// Compares with each spelling, ignoring case; the end may cut one.
fn spelled(text: &[u8], spellings: &[&[u8]], is: impl Fn(usize, usize) -> Unit) -> Unit {
    let mut is_cut = false;
    for (place, spelling) in spellings.iter().enumerate() {
        let common = text.len().min(spelling.len());
        if text[..common].eq_ignore_ascii_case(&spelling[..common]) {
            if common == spelling.len() {
                return is(place, common);
            }
            is_cut = true;
        }
    }
    if is_cut { Unit::Cut } else { Unit::Plain }
}

fn stands(value: u32, width: usize) -> Unit {
    match u8::try_from(value) {
        Ok(byte) => Unit::Stands { byte, width },
        Err(_) => Unit::Plain,
    }
}

fn hex(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |n, byte| {
        n * 16 + char::from(*byte).to_digit(16).unwrap_or(0)
    })
}

const NAMED: &[&[u8]] = &[
    b"&shy;",
    b"&zwj;",
    b"&zwnj;",
    b"&nbsp;",
    b"&commat;",
    b"&period;",
];
/// What each stands for; 0 is nothing.
const NAMED_FOR: [u8; 6] = [0, 0, 0, b' ', b'@', b'.'];

/// The noughts of scripts with digits of their own: Arabic, the scripts of India, Thai, Lao, …
const ZEROS: [u32; 18] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xe50,
    0xed0, 0xf20, 0x1040, 0x17e0, 0x1810,
];
