//! Secrets by their label: `pin 1234`, `password: …`, `api key = …`. The label is part of the
//! match, so that what is left says nothing about the secret's kind.

use super::kind::Kind;
use super::probe::Probe;
use super::words::{Candidate, found};

/// What may follow a label.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Three to eight digits; a separator may stand between.
    Code,
    /// A separator and one word.
    Key,
    /// A separator and up to four words.
    Password,
}

pub(super) fn labelled(probe: &mut Probe<'_>, start: usize) -> Option<Candidate> {
    let first = letter(probe.at(start)?)?;
    let second = letter(probe.at(start + 1)?)?;
    if SECONDS[first] & (1 << second) == 0 {
        return None;
    }
    // Longer labels stand first, and a shorter one is tried where a longer one led nowhere.
    let (from, to) = FIRSTS[first];
    LABELS[from..to].iter().find_map(|(label, form)| {
        let at = label_end(probe, start, label.as_bytes())?;
        value_end(probe, at, *form)
    })
}

/// A letter's place in the alphabet.
const fn letter(byte: u8) -> Option<usize> {
    match byte {
        b'a'..=b'z' => Some((byte - b'a') as usize),
        b'A'..=b'Z' => Some((byte - b'A') as usize),
        _ => None,
    }
}

/// A blank in a label stands for blanks, a dash or an underscore.
fn label_end(probe: &mut Probe<'_>, start: usize, label: &[u8]) -> Option<usize> {
    let mut at = start;
    for mark in label {
        if *mark == b' ' {
            let end = probe.run(at, MOST_BLANKS, |b| matches!(b, b' ' | b'\t' | b'_' | b'-'));
            (end > at).then_some(())?;
            at = end;
        } else {
            probe.at(at)?.eq_ignore_ascii_case(mark).then_some(())?;
            at += 1;
        }
    }
    Some(at)
}

fn value_end(probe: &mut Probe<'_>, label_end: usize, form: Form) -> Option<Candidate> {
    let at = skip_blanks(probe, label_end);
    let separator = separator_end(probe, at, form);
    if separator.is_none() && form != Form::Code {
        return None;
    }
    let value = skip_blanks(probe, separator.unwrap_or(at));
    let (end, score) = match form {
        Form::Code => (code_end(probe, value)?, 90),
        Form::Key => (word_end(probe, value)?, 70),
        Form::Password => (words_end(probe, value)?, 90),
    };
    Some(found(Kind::SecretCode, end, score))
}

fn separator_end(probe: &mut Probe<'_>, at: usize, form: Form) -> Option<usize> {
    let words: &[&str] = match form {
        Form::Code => &[":", "=", "-", "–", "—", "is", "was", "est", "è"],
        Form::Key | Form::Password => &[":", "=", "-", "–", "—"],
    };
    let word = words
        .iter()
        .find(|word| probe.goes_on(at, word.as_bytes()))?;
    Some(at + word.len())
}

fn code_end(probe: &mut Probe<'_>, at: usize) -> Option<usize> {
    let end = probe.run(at, 9, u8::is_ascii_digit);
    ((3..=8).contains(&(end - at)) && probe.ends_word(end)).then_some(end)
}

fn word_end(probe: &mut Probe<'_>, at: usize) -> Option<usize> {
    let end = probe.run(at, MOST_WORD, |byte| !byte.is_ascii_whitespace());
    (end > at).then_some(end)
}

fn words_end(probe: &mut Probe<'_>, at: usize) -> Option<usize> {
    let mut end = word_end(probe, at)?;
    for _ in 1..4 {
        let next = probe.run(end, MOST_BLANKS, |byte| matches!(byte, b' ' | b'\t'));
        match word_end(probe, next) {
            Some(word) if next > end => end = word,
            _ => break,
        }
    }
    Some(end)
}

fn skip_blanks(probe: &mut Probe<'_>, at: usize) -> usize {
    probe.run(at, MOST_BLANKS, u8::is_ascii_whitespace)
}

const MOST_BLANKS: usize = 8;
/// A longer word is found in this much of it.
const MOST_WORD: usize = 256;

/// For each first letter the second letters of labels, a bit each: most words end there.
const SECONDS: [u32; 26] = {
    let mut seconds = [0; 26];
    let mut i = 0;
    while i < LABELS.len() {
        let label = LABELS[i].0.as_bytes();
        if let (Some(first), Some(second)) = (letter(label[0]), letter(label[1])) {
            seconds[first] |= 1 << second;
        }
        i += 1;
    }
    seconds
};

/// For each first letter the range of its labels.
const FIRSTS: [(usize, usize); 26] = {
    let mut ranges = [(0, 0); 26];
    let mut i = LABELS.len();
    while i > 0 {
        i -= 1;
        if let Some(first) = letter(LABELS[i].0.as_bytes()[0]) {
            let (_, to) = ranges[first];
            ranges[first] = (i, if to == 0 { i + 1 } else { to });
        }
    }
    ranges
};

/// By first letter.
const LABELS: &[(&str, Form)] = &[
    ("access code", Form::Code),
    ("alarm code", Form::Code),
    ("api key", Form::Key),
    ("apikey", Form::Key),
    ("chiave", Form::Key),
    ("clave", Form::Key),
    ("codice", Form::Code),
    ("codigo", Form::Code),
    ("contraseña", Form::Password),
    ("cvc2", Form::Code),
    ("cvc", Form::Code),
    ("cvv2", Form::Code),
    ("cvv", Form::Code),
    ("mot de passe", Form::Password),
    ("otp", Form::Code),
    ("parola", Form::Password),
    ("passphrase", Form::Password),
    ("passcode", Form::Code),
    ("password", Form::Password),
    ("passwort", Form::Password),
    ("passwd", Form::Password),
    ("pass", Form::Password),
    ("pin1", Form::Code),
    ("pin2", Form::Code),
    ("pin", Form::Code),
    ("puk1", Form::Code),
    ("puk2", Form::Code),
    ("puk", Form::Code),
    ("pwd", Form::Password),
    ("safe code", Form::Code),
    ("secret key", Form::Key),
    ("secret", Form::Key),
    ("security code", Form::Code),
    ("token", Form::Key),
    ("unlock code", Form::Code),
    ("wachtwoord", Form::Password),
];
