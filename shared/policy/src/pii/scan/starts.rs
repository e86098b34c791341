//! What is tried at the start of a word, at a `+`, an `@`, a colon.

use super::Scan;
use crate::pii::kind::Kind;
use crate::pii::probe::{Probe, is_word};
use crate::pii::shape::{INDEX, MAX_LEAD, Shape};
use crate::pii::verdict::{Verdict, judge};
use crate::pii::words::Candidate;
use crate::pii::{email, iban, phone, secret, words};

impl Scan<'_, '_> {
    /// Tries what may start with a word at `start`.
    pub(super) fn start(&mut self, start: usize) {
        if self.wanted.kinds.is_empty() {
            // Only links are wanted, and no other word may hold up a stream.
            self.url_if_any(start);
            return self.settle(start);
        }
        let digits = self.probe.run(start, MAX_LEAD + 1, u8::is_ascii_digit) - start;
        if digits > 0 {
            self.digits(start, digits);
        } else {
            self.letters(start);
        }
        self.settle(start);
    }

    fn digits(&mut self, start: usize, lead: usize) {
        let next = self.probe.at(start + lead);
        for shape in INDEX.digits(lead) {
            if shape.goes_on(lead, next) {
                self.shape(start, shape);
            }
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
        self.url_if_any(start);
        self.attempt(Kind::SecretCode, start, secret::labelled);
    }

    fn url_if_any(&mut self, start: usize) {
        if self.probe.is(start, |byte| matches!(byte, b'h' | b'H')) {
            self.url(start);
        }
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
    pub(super) fn network(&mut self, start: usize) {
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

    pub(super) fn phone(&mut self, plus: usize) {
        if !self.probe.before(plus).is_ascii_digit() {
            self.attempt(Kind::Phone, plus, |probe, at| {
                phone::number(probe, at + 1, true)
            });
        }
        self.settle(plus);
    }

    pub(super) fn email(&mut self, at: usize) {
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
}
