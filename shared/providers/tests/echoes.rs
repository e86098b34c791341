//! Ten thousand providers that send the credential back: a random secret in a random slot, spelled in a
//! random way of the closed list, at a random place of an answer that is cut at random. The spellings
//! are made here anew, and not by the code that looks for them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::{SystemTime, UNIX_EPOCH};

use ah5_contracts::connection::Auth;
use ah5_providers::scrub::{REPLACEABLE, Scrubber};
use ah5_security::secret::SecretText;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

const RUNS: u64 = 10_000;

#[test]
fn of_ten_thousand_echoes_none_gets_through() {
    for seed in seeds(RUNS) {
        let mut random = Random(seed);
        let secret = random.secret(REPLACEABLE, 80);
        let (auth, parts) = random.slot(&secret);
        let mut scrubber = Scrubber::new(&auth, &SecretText::new(secret.clone()));
        let part = random.pick(&parts).clone();
        let echo = random.spell(&auth, &part);
        if random.below(5) == 0 {
            in_a_header(&mut random, &mut scrubber, &echo, seed);
        } else {
            in_a_body(&mut random, &mut scrubber, &echo, seed);
        }
    }
}

#[test]
fn of_a_thousand_echoes_of_a_short_secret_every_one_is_refused() {
    for seed in seeds(RUNS / 10) {
        let mut random = Random(seed);
        let secret = random.secret(8, REPLACEABLE);
        let mut scrubber = Scrubber::new(&Auth::Bearer, &SecretText::new(secret.clone()));
        let echo = random.spell(&Auth::Bearer, &secret);
        let text = random.around(&echo.whole);
        let mut refused = false;
        for (piece, end) in random.cut(&text) {
            refused |= scrubber.push(piece, end).is_err();
        }
        assert!(refused, "seed {seed}: {echo:?} of {secret:?}");
    }
}

fn in_a_body(random: &mut Random, scrubber: &mut Scrubber, echo: &Echo, seed: u64) {
    let text = random.around(&echo.whole);
    let mut out = Vec::new();
    for (piece, end) in random.cut(&text) {
        out.extend_from_slice(&scrubber.push(piece, end).unwrap());
    }
    assert!(
        !holds(&out, &echo.core),
        "seed {seed}: {echo:?} got through"
    );
    assert_eq!(
        out.len(),
        text.len(),
        "seed {seed}: {echo:?} changed lengths"
    );
    // Nothing but the secret is taken out.
    let rest = text.len() - echo.whole.len();
    let kept = out.iter().filter(|byte| **byte != b'*').count();
    assert!(kept >= rest, "seed {seed}: {echo:?} took more with it");
    assert!(scrubber.hits() > 0, "seed {seed}");
}

fn in_a_header(random: &mut Random, scrubber: &mut Scrubber, echo: &Echo, seed: u64) {
    let mut value = random.filler(10);
    value.extend_from_slice(&echo.whole);
    value.extend(random.filler(10));
    let Ok(value) = HeaderValue::from_bytes(&value) else {
        return in_a_body(random, scrubber, echo, seed);
    };
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static("etag"), "\"1\"".parse().unwrap());
    headers.append(HeaderName::from_static("link"), value);
    scrubber.scrub_headers(&mut headers).unwrap();
    let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(left, ["etag"], "seed {seed}: {echo:?} got through");
}

/// What a provider sends back.
#[derive(Debug)]
#[allow(dead_code, reason = "the names are for the message of a failure")]
struct Echo {
    whole: Vec<u8>,
    /// What depends on the secret alone: the neighbours of a coded secret share its first and last
    /// characters.
    core: Vec<u8>,
    how: &'static str,
}

/// The same numbers for the same seed.
struct Random(u64);

// === impl Random ===

impl Random {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Of at least and less than so many bytes, in one of several alphabets.
    fn secret(&mut self, least: usize, most: usize) -> String {
        let alphabet = *self.pick(&[
            "abcdefghijklmnopqrstuvwxyz0123456789",
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
            "ab",
            "AZaz09+/=",
            "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ aZ",
        ]);
        let alphabet: Vec<char> = alphabet.chars().collect();
        let length = least + self.below(most - least);
        // Spaces at the ends don't survive as header values: no credential has them.
        let inner: String = (0..length).map(|_| *self.pick(&alphabet)).collect();
        inner
            .char_indices()
            .map(|(at, c)| match c {
                ' ' if at == 0 || at + 1 == length => 'x',
                c => c,
            })
            .collect()
    }

    /// A slot, and what of the secret stands in it by itself.
    fn slot(&mut self, secret: &str) -> (Auth, Vec<String>) {
        let auth = match self.below(6) {
            0 => Auth::Bearer,
            1 => Auth::Header {
                name: "x-api-key".into(),
            },
            2 => Auth::Query { name: "key".into() },
            3 => Auth::Path {
                prefix: "bot".into(),
            },
            _ => Auth::Basic {
                username: "user".repeat(1 + self.below(3)),
            },
        };
        (auth, vec![secret.to_owned()])
    }

    fn spell(&mut self, auth: &Auth, secret: &str) -> Echo {
        if let Auth::Basic { username } = auth
            && self.below(3) == 0
        {
            let whole = STANDARD.encode(format!("{username}:{secret}"));
            let core = whole.trim_end_matches('=').as_bytes().to_vec();
            let whole = format!("Basic {whole}").into_bytes();
            return Echo {
                whole,
                core,
                how: "basic",
            };
        }
        let same = |how, text: String| Echo {
            core: text.clone().into_bytes(),
            whole: text.into_bytes(),
            how,
        };
        match self.below(9) {
            0 => same("raw", secret.to_owned()),
            1 => same("hex", each(secret, |b| format!("{b:02x}"))),
            2 => same("hex upper", each(secret, |b| format!("{b:02X}"))),
            3 => same("percent", each(secret, |b| format!("%{b:02X}"))),
            4 => same("percent lower", each(secret, |b| format!("%{b:02x}"))),
            5 => {
                let upper = self.below(2) == 0;
                let must = |b: u8| match b {
                    b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => {
                        char::from(b).to_string()
                    }
                    b if upper => format!("%{b:02X}"),
                    b => format!("%{b:02x}"),
                };
                same("percent where it must be", each(secret, must))
            }
            6 => {
                let unit = |c: u16| match self.0 % 2 {
                    0 => format!("\\u{c:04x}"),
                    _ => format!("\\u{c:04X}"),
                };
                same("json", secret.encode_utf16().map(unit).collect())
            }
            7 => {
                let must = |b: u8| match b {
                    b'"' | b'\\' => format!("\\{}", char::from(b)),
                    b => char::from(b).to_string(),
                };
                same("json where it must be", each(secret, must))
            }
            _ => self.base64(secret),
        }
    }

    fn base64(&mut self, secret: &str) -> Echo {
        let before = self.below(8);
        let after = self.below(8);
        let mut plain = self.filler(before);
        plain.extend_from_slice(secret.as_bytes());
        plain.extend(self.filler(after));
        let engines = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD];
        let whole = self.pick(&engines).encode(&plain).into_bytes();
        let (start, end) = (before, before + secret.len());
        let core = whole[(start * 8).div_ceil(6)..end * 8 / 6].to_vec();
        Echo {
            whole,
            core,
            how: "base64",
        }
    }

    fn filler(&mut self, length: usize) -> Vec<u8> {
        (0..length)
            .map(|_| *self.pick(b"abcXYZ019 .,%u_-+/"))
            .collect()
    }

    /// An answer with this in it: sometimes much of it, sometimes nothing else.
    fn around(&mut self, echo: &[u8]) -> Vec<u8> {
        let length = self.length();
        let mut text = self.filler(length);
        text.extend_from_slice(echo);
        let length = self.length();
        text.extend(self.filler(length));
        text
    }

    /// Seldom as long as texts that are searched in another way.
    fn length(&mut self) -> usize {
        match self.below(40) {
            0 => 5000,
            _ => *self.pick(&[0, 1, 7, 100, 300]),
        }
    }

    fn cut(&mut self, text: &[u8]) -> Vec<(Bytes, bool)> {
        let most = *self.pick(&[1, 3, 16, 200, usize::MAX]);
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let length = (1 + self.below(most.min(rest.len()))).min(rest.len());
            let (piece, after) = rest.split_at(length);
            pieces.push((Bytes::copy_from_slice(piece), false));
            rest = after;
        }
        // The end comes with the last piece, or by itself.
        match pieces.last_mut() {
            Some(last) if self.below(2) == 0 => last.1 = true,
            _ => pieces.push((Bytes::new(), true)),
        }
        pieces
    }
}

/// Others at every run; one of a failure with `ECHO_SEED=…`.
#[allow(
    clippy::disallowed_methods,
    reason = "a seed is no setting of the product"
)]
fn seeds(runs: u64) -> Vec<u64> {
    if let Ok(seed) = std::env::var("ECHO_SEED") {
        return vec![seed.parse().unwrap()];
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut first = Random(now.as_secs() ^ (u64::from(now.subsec_nanos()) << 32));
    (0..runs).map(|_| first.next()).collect()
}

fn each(text: &str, spell: impl FnMut(u8) -> String) -> String {
    text.bytes().map(spell).collect()
}

fn holds(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len()).any(|window| window == needle)
}
