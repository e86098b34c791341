//! Keeps the injected credential from travelling back: a provider may echo it, by design or by
//! mistake. Works on a stream cut anywhere, and holds back only what may be the start of a match.
//!
//! It knows a closed list of spellings (raw, base64, hex, percent, JSON escapes). A provider that
//! encodes a secret in any other way is not caught.

use ah5_contracts::connection::Auth;
use ah5_security::secret::SecretText;
use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use memchr::memmem;
use zeroize::Zeroizing;

mod spellings;

use spellings::{Spellings, components};

/// One answer's scrubber. Lives as long as the unsealed credential.
pub struct Scrubber {
    /// The end of what came so far, as far as it may be the start of a match.
    held: Zeroizing<Vec<u8>>,
    hits: u64,
    longest: usize,
    needles: Spellings,
    /// Which pairs of bytes a spelling may begin with: hardly any place in a text gets past this.
    pairs: Pairs,
    /// Short secrets are not replaced: what looks like one may be anything, so the answer is
    /// refused instead.
    refuse: bool,
}

/// The answer holds the credential and must not go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider's answer holds the credential")]
pub struct Echoed;

// === impl Scrubber ===

impl Scrubber {
    #[must_use]
    pub fn new(auth: &Auth, secret: &SecretText) -> Self {
        let needles = Spellings::of(auth, secret.expose());
        Self {
            held: Zeroizing::default(),
            hits: 0,
            longest: needles.iter().map(<[u8]>::len).max().unwrap_or(0),
            pairs: Pairs::of(&needles),
            needles,
            refuse: components(auth, secret.expose()).any(|part| part.len() < REPLACEABLE),
        }
    }

    /// The next piece of the body, less what is held back; `end` with the last (possibly empty)
    /// one. A piece without a trace of the credential is passed on without a copy.
    ///
    /// # Errors
    /// [`Echoed`] for a credential too short to replace.
    pub fn push(&mut self, piece: Bytes, end: bool) -> Result<Bytes, Echoed> {
        if self.held.is_empty() && !self.is_suspect(&piece) {
            return Ok(piece);
        }
        let mut buffer = std::mem::take(&mut self.held);
        buffer.extend_from_slice(&piece);
        let mut from = 0;
        let stop = loop {
            let rest = &buffer[from..];
            let open = rest.len() - if end { 0 } else { self.open_end(rest) };
            // Clean text has been ruled out; one pass over what is left costs the same however often
            // the credential is in it.
            match self.next(rest) {
                Some(_) if self.refuse => return Err(Echoed),
                // Where a longer spelling may be under way, how it ends decides.
                Some((at, length)) if at < open => {
                    buffer[from + at..from + at + length].fill(MASK);
                    from += at + length;
                    self.hits += 1;
                }
                _ => break from + open,
            }
        };
        self.held.extend_from_slice(&buffer[stop..]);
        Ok(Bytes::copy_from_slice(&buffer[..stop]))
    }

    /// Takes headers out that hold the credential; one that describes the body as it was goes with
    /// them.
    ///
    /// # Errors
    /// [`Echoed`] for a credential too short to be sure of.
    pub fn scrub_headers(&mut self, headers: &mut HeaderMap) -> Result<(), Echoed> {
        let holding: Vec<HeaderName> = headers
            .iter()
            .filter(|(name, value)| {
                self.is_spelled_in(value.as_bytes()) || self.is_in(name.as_ref())
            })
            .map(|(name, _)| name.clone())
            .collect();
        if self.refuse && !holding.is_empty() {
            return Err(Echoed);
        }
        for name in holding {
            headers.remove(name);
            self.hits += 1;
        }
        Ok(())
    }

    /// A header value or another short text, whole.
    #[must_use]
    pub fn is_in(&self, text: &[u8]) -> bool {
        self.find(text).is_some()
    }

    /// As [`Self::is_in`], and also where only some bytes are percent-encoded, as a URL may have it.
    fn is_spelled_in(&self, value: &[u8]) -> bool {
        self.is_in(value)
            || (value.contains(&b'%') && self.is_in(&Zeroizing::new(percent_decoded(value))))
    }

    /// Whether the end of what came so far waits for what comes next.
    #[must_use]
    pub fn holds_back(&self) -> bool {
        !self.held.is_empty()
    }

    /// How often the credential was found so far.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits
    }

    fn is_suspect(&self, piece: &[u8]) -> bool {
        self.find(piece).is_some() || self.open_end(piece) > 0
    }

    /// The first match; of several at one place the longest, so that no tail of a spelling stays.
    fn find(&self, text: &[u8]) -> Option<(usize, usize)> {
        if text.len() > SHORT {
            self.find_in_much(text)
        } else {
            self.next(text)
        }
    }

    fn next(&self, text: &[u8]) -> Option<(usize, usize)> {
        let places = text.windows(2).enumerate();
        let mut likely = places.filter(|(_, pair)| self.pairs.hold(pair[0], pair[1]));
        likely.find_map(|(at, _)| {
            let here = self.needles.iter().filter(|n| text[at..].starts_with(n));
            Some((at, here.map(<[u8]>::len).max()?))
        })
    }

    /// One fast search for each spelling costs less than a slow one for all, if the text is long.
    fn find_in_much(&self, text: &[u8]) -> Option<(usize, usize)> {
        let mut first: Option<(usize, usize)> = None;
        for needle in self.needles.iter() {
            let upto = first.map_or(text.len(), |(at, _)| (at + needle.len()).min(text.len()));
            if let Some(at) = memmem::find(&text[..upto], needle) {
                let better = |(best, length): (usize, usize)| {
                    at < best || (at == best && needle.len() > length)
                };
                if first.is_none_or(better) {
                    first = Some((at, needle.len()));
                }
            }
        }
        first
    }

    /// How many bytes at the end of `text` may be the start of a match.
    fn open_end(&self, text: &[u8]) -> usize {
        let longest = self.longest.saturating_sub(1).min(text.len());
        let tail = &text[text.len() - longest..];
        let may_begin = |at: usize| {
            let rest = &tail[at..];
            self.pairs.may_begin(rest)
                && self
                    .needles
                    .iter()
                    .any(|n| n.len() > rest.len() && n.starts_with(rest))
        };
        (0..longest)
            .find(|&at| may_begin(at))
            .map_or(0, |at| longest - at)
    }
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let escape = || u8::try_from(digit(at + 1)? * 16 + digit(at + 2)?).ok();
        match escape().filter(|_| text[at] == b'%') {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(text[at]);
                at += 1;
            }
        }
    }
    decoded
}

/// A set of pairs of bytes that also holds some others.
struct Pairs([u64; PAIR_WORDS]);

// === impl Pairs ===

impl Pairs {
    fn of(needles: &Spellings) -> Self {
        let mut pairs = Self([0; PAIR_WORDS]);
        for needle in needles.iter() {
            // Secrets have eight bytes at least; should one be shorter, everything is likely.
            match needle {
                [one, two, ..] => pairs.add(*one, *two),
                _ => pairs.0 = [u64::MAX; PAIR_WORDS],
            }
        }
        pairs
    }

    const fn place(one: u8, two: u8) -> (usize, u64) {
        let hash = (one as usize).wrapping_mul(0x9d) ^ (two as usize).wrapping_mul(0x1f5);
        (hash / 64 % PAIR_WORDS, 1 << (hash % 64))
    }

    const fn add(&mut self, one: u8, two: u8) {
        let (word, bit) = Self::place(one, two);
        self.0[word] |= bit;
    }

    const fn hold(&self, one: u8, two: u8) -> bool {
        let (word, bit) = Self::place(one, two);
        self.0[word] & bit != 0
    }

    fn may_begin(&self, text: &[u8]) -> bool {
        match text {
            [one, two, ..] => self.hold(*one, *two),
            [_] => true,
            [] => false,
        }
    }
}

/// Bytes up to which a text is searched for all spellings at once.
const SHORT: usize = 4096;
const PAIR_WORDS: usize = 32;
/// Secrets of fewer bytes are too short to replace.
pub const REPLACEABLE: usize = 12;
/// Stands for each byte of a match: legal in a JSON string, and lengths stay as they were declared.
const MASK: u8 = b'*';

#[cfg(test)]
mod tests;
