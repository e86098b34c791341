//! One pass over a text that tries every recogniser where it may start. Whether something is found
//! at a place depends on that place's neighbourhood only, never on earlier finds: so a stream can
//! go on from any place, and work stays linear.

use super::context;
use super::kind::{Kind, Kinds};
use super::links::Links;
use super::probe::{Probe, is_word};
use super::shape::{INDEX, MAX_LEAD, Shape};
use super::verdict::{Verdict, judge};
use super::words::Candidate;
use super::{email, iban, phone, secret, words};

/// A built-in kind found between two bytes of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: Kind,
    pub(super) score: u8,
}

/// What is looked for, and what is known about the text from outside it.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'k> {
    pub(super) kinds: Kinds,
    pub(super) links: Option<&'k Links>,
    /// The member whose value the text is.
    pub(super) name: Option<&'k str>,
}

/// Looks at every place from `from` on. Answers the first place whose outcome may change when more
/// text comes (the text's end, if none).
pub(super) fn scan(
    text: &[u8],
    from: usize,
    is_end: bool,
    wanted: Wanted<'_>,
    floor: &dyn Fn(usize) -> usize,
    hits: &mut Vec<Hit>,
) -> usize {
    let mut scan = Scan::new(text, is_end, wanted, floor, hits);
    scan.run(from);
    scan.close();
    scan.open
}

struct Scan<'s, 't> {
    /// Where context for a place may start.
    floor: &'s dyn Fn(usize) -> usize,
    hits: &'s mut Vec<Hit>,
    open: usize,
    probe: Probe<'t>,
    /// The kinds in the context of a place, once asked for.
    spoken: Option<(usize, Kinds)>,
    /// The last run of bytes of web addresses.
    url_run: (usize, usize),
    wanted: Wanted<'s>,
}

// === impl Scan ===

impl<'s, 't> Scan<'s, 't> {
    fn new(
        text: &'t [u8],
        is_end: bool,
        wanted: Wanted<'s>,
        floor: &'s dyn Fn(usize) -> usize,
        hits: &'s mut Vec<Hit>,
    ) -> Self {
        Self {
            floor,
            hits,
            open: text.len(),
            probe: Probe::new(text, is_end),
            spoken: None,
            url_run: (0, 0),
            wanted,
        }
    }

    fn run(&mut self, from: usize) {
        let text = self.probe.text();
        let mut at = from;
        while let Some(byte) = text.get(at) {
            if is_word(byte) {
                at = self.word(at);
            } else {
                match byte {
                    b'@' => self.email(at),
                    b'+' => self.phone(at),
                    b':' => {
                        self.network(at);
                        self.settle(at);
                    }
                    _ => {}
                }
                at += 1;
            }
        }
    }

    /// A word, or the rest of one: its start and every place where another is glued on.
    fn word(&mut self, start: usize) -> usize {
        let text = self.probe.text();
        if !is_word(&self.probe.before(start)) || self.is_glued(start) {
            self.start(start);
        }
        let mut at = start + 1;
        let mut is_digit = text[start].is_ascii_digit();
        while let Some(byte) = text.get(at).filter(|byte| is_word(byte)) {
            if is_digit && byte.is_ascii_uppercase() && self.is_glued(at) {
                self.start(at);
            }
            is_digit = byte.is_ascii_digit();
            at += 1;
        }
        at
    }

    fn is_glued(&mut self, at: usize) -> bool {
        let is_glued = self.probe.is_glued(at);
        self.settle(at);
        is_glued
    }

    /// Tries what may start with a word at `start`.
    fn start(&mut self, start: usize) {
        let digits = self.probe.run(start, MAX_LEAD + 1, u8::is_ascii_digit) - start;
        if digits > 0 {
            self.digits(start, digits);
        } else {
            self.letters(start);
        }
        self.settle(start);
    }

    fn digits(&mut self, start: usize, lead: usize) {
        for shape in INDEX.digits(lead) {
            self.shape(start, shape);
        }
        if lead <= 3 {
            self.attempt(Kind::IpAddress, start, words::ipv4);
        }
        self.network(start);
        if matches!(self.probe.at(start), Some(b'0' | b'1' | b'3')) {
            self.attempt(Kind::CryptoWallet, start, words::wallet);
        }
        if lead >= 3 && self.probe.goes_on(start, b"00") {
            self.attempt(Kind::Phone, start, |probe, at| {
                phone::number(probe, at + 2, false)
            });
        }
    }

    /// Most words are letters only and leave after a few looks.
    fn letters(&mut self, start: usize) {
        let lead = self.probe.run(start, MAX_LEAD + 1, u8::is_ascii_alphabetic) - start;
        match self.probe.at(start + lead) {
            Some(b'0'..=b'9') => self.letters_and_digits(start, lead),
            // One shape has blanks inside.
            Some(b' ') if lead == 2 => self.shapes_of_letters(start, lead),
            _ => {}
        }
        self.network(start);
        if self.probe.is(start, |byte| matches!(byte, b'h' | b'H')) {
            self.url(start);
        }
        self.attempt(Kind::SecretCode, start, secret::labelled);
    }

    fn url(&mut self, start: usize) {
        let is_wanted = self.wanted.kinds.has(Kind::Url) || self.wanted.links.is_some();
        let Some(from) = words::url_head(&mut self.probe, start).filter(|_| is_wanted) else {
            return;
        };
        let end = self.url_end(from).min(from + words::MOST_URL);
        let link = &self.probe.text()[start..end];
        let is_ours = self.wanted.links.is_some_and(|links| links.has(link));
        if end > from && (is_ours || self.wanted.kinds.has(Kind::Url)) {
            self.record(start, words::found(Kind::Url, end, 50), Verdict::Possible);
        }
    }

    /// Where the bytes of a web address end that run from `from`. Addresses in one another share
    /// their end, which is looked for once.
    fn url_end(&mut self, from: usize) -> usize {
        let text = self.probe.text();
        if !(self.url_run.0..self.url_run.1).contains(&from) {
            let rest = &text[from.min(text.len())..];
            let stop = rest.iter().position(|byte| !words::is_url_byte(byte));
            self.url_run = (from, from + stop.unwrap_or(rest.len()));
        }
        if self.url_run.1 == text.len() && text.len() < from + words::MOST_URL {
            // It may go on.
            self.probe.at(text.len());
        }
        self.url_run.1
    }

    fn letters_and_digits(&mut self, start: usize, lead: usize) {
        self.shapes_of_letters(start, lead);
        if lead <= 2 {
            self.attempt(Kind::UsDriverLicense, start, words::driver_license);
            self.attempt(Kind::CryptoWallet, start, words::wallet);
        }
        if lead == 2 {
            self.attempt(Kind::Iban, start, iban::account);
        }
    }

    fn shapes_of_letters(&mut self, start: usize, lead: usize) {
        for shape in INDEX.letters(lead) {
            self.shape(start, shape);
        }
    }

    /// Up to four hex digits and a colon, or two and a dash.
    fn network(&mut self, start: usize) {
        let end = self.probe.run(start, 4, u8::is_ascii_hexdigit);
        let is_group = match self.probe.at(end) {
            Some(b':') => true,
            Some(b'-') => end == start + 2,
            _ => false,
        };
        if is_group && !is_word(&self.probe.before(start)) {
            self.attempt(Kind::IpAddress, start, words::ipv6);
            self.attempt(Kind::MacAddress, start, words::mac);
        }
    }

    fn phone(&mut self, plus: usize) {
        if !self.probe.before(plus).is_ascii_digit() {
            self.attempt(Kind::Phone, plus, |probe, at| {
                phone::number(probe, at + 1, true)
            });
        }
        self.settle(plus);
    }

    fn email(&mut self, at: usize) {
        if !self.wanted.kinds.has(Kind::Email) {
            return;
        }
        let start = email::local_start(self.probe.text(), at);
        if let Some((start, candidate)) = email::around(&mut self.probe, at) {
            self.record(start, candidate, Verdict::Possible);
        }
        self.settle(start);
    }

    fn shape(&mut self, start: usize, shape: &Shape) {
        if !self.wanted.kinds.has(shape.kind) {
            return;
        }
        let Some(end) = shape.end(&mut self.probe, start) else {
            return;
        };
        let verdict = judge(shape.kind, &self.probe.text()[start..end]);
        self.record(start, words::found(shape.kind, end, shape.score), verdict);
    }

    fn attempt(
        &mut self,
        kind: Kind,
        start: usize,
        find: impl FnOnce(&mut Probe<'_>, usize) -> Option<Candidate>,
    ) {
        if !self.wanted.kinds.has(kind) {
            return;
        }
        if let Some(candidate) = find(&mut self.probe, start) {
            self.record(start, candidate, Verdict::Possible);
        }
    }

    fn record(&mut self, start: usize, candidate: Candidate, verdict: Verdict) {
        let score = match verdict {
            Verdict::Impossible => return,
            Verdict::Possible => candidate.score,
            Verdict::Proven => PROVEN,
        };
        let score = if score < THRESHOLD && self.is_spoken_of(start, candidate.kind) {
            (score + CONTEXT).max(THRESHOLD)
        } else {
            score
        };
        if score >= THRESHOLD {
            let mut end = candidate.end;
            // A run that was cut at its bound may have been cut inside a character.
            while self.probe.is(end, |byte| byte & 0xc0 == 0x80) {
                end += 1;
            }
            self.hits.push(Hit {
                start,
                end,
                kind: candidate.kind,
                score,
            });
        }
    }

    fn is_spoken_of(&mut self, start: usize, kind: Kind) -> bool {
        let spoken = match self.spoken {
            Some((at, spoken)) if at == start => spoken,
            _ => {
                let before = &self.probe.text()[(self.floor)(start)..start];
                let named = self.wanted.name.map_or(Kinds::NONE, context::named_by);
                let spoken = context::spoken_of(before).union(named);
                self.spoken = Some((start, spoken));
                spoken
            }
        };
        spoken.has(kind)
    }

    /// Keeps `at` open if anything since the last call looked beyond the text.
    fn settle(&mut self, at: usize) {
        if self.probe.take_touched() {
            self.open = self.open.min(at);
        }
    }

    /// The end of a text that goes on may be the local part of an address.
    fn close(&mut self) {
        let text = self.probe.text();
        if !self.probe.is_end() && self.wanted.kinds.has(Kind::Email) {
            self.open = self.open.min(email::local_start(text, text.len()));
        }
    }
}

const CONTEXT: u8 = 35;
const PROVEN: u8 = 100;
const THRESHOLD: u8 = 40;

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes looked at, those of contexts and local parts included.
    fn steps(text: &str) -> usize {
        let mut hits = Vec::new();
        let wanted = Wanted {
            kinds: Kinds::of_word("all_pii").unwrap(),
            links: None,
            name: None,
        };
        let floor = |at: usize| at.saturating_sub(context::BACK);
        let mut scan = Scan::new(text.as_bytes(), true, wanted, &floor, &mut hits);
        scan.run(0);
        scan.probe.steps + text.matches('@').count() * 254 + hits.len() * context::BACK
    }

    #[test]
    fn work_grows_with_the_text_and_no_faster() {
        for bit in [
            "a",
            "1",
            "@",
            "a@",
            "a.",
            "1.",
            "1 ",
            "1:",
            "::",
            "f:",
            "+1",
            "+1 ",
            "00",
            "https://",
            "password:",
            "password: ",
            "token=x ",
            "bc1q",
            "0x",
            "GB29 ",
            "GB29A",
            "1234 ",
            "12-",
            "1Aa",
            "1AA",
            "12345678 ",
            "a-",
            "ü",
            "联",
            " ",
            "mot de ",
            "aa:",
            "4111 1111 ",
        ] {
            let (few, many) = (bit.repeat(2_000), bit.repeat(10_000));
            let (small, large) = (steps(&few), steps(&many));
            assert!(large <= small * 6, "{bit:?}: {small} steps, then {large}");
            assert!(large < many.len() * 300, "{bit:?}: {large} steps");
        }
    }
}
