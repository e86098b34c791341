//! Nonces for proofs (RFC 9449 §8, §9). A nonce says who alone can tell whether a proof with it was
//! used before, so that no proof can be used once here and once there. It is made and read with
//! keys of the ring: any process knows another's, and nothing has to be remembered.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::hash::equal;
use crate::ring::{KeyRing, mac};

/// Seconds for which a nonce is good.
pub const LIFE: i64 = 300;

/// Who remembers the proofs with a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arbiter {
    /// The control planes, who write them down in the database.
    Control,
    /// The database, for whichever data plane asks.
    Database,
    /// One data plane, in its memory, for as long as it runs.
    Replica([u8; 8]),
}

/// A nonce of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce {
    pub arbiter: Arbiter,
    /// Seconds since 1970-01-01 UTC.
    issued: i64,
}

/// Makes nonces and knows them again.
pub struct Nonces {
    /// The first one makes them.
    keys: Vec<Zeroizing<[u8; 32]>>,
}

// === impl Nonces ===

impl Nonces {
    #[must_use]
    pub fn new(ring: &KeyRing) -> Self {
        let keys = ring.digests("dpop-nonce", "");
        Self {
            keys: keys.into_iter().map(Zeroizing::new).collect(),
        }
    }

    /// `now` in seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn issue(&self, arbiter: Arbiter, now: i64) -> String {
        let said = Nonce {
            arbiter,
            issued: now,
        }
        .encode();
        let tag = self.keys.first().map(|key| tag(key, &said));
        URL_SAFE_NO_PAD.encode([&said[..], &tag.unwrap_or_default()].concat())
    }

    /// `None` for what is not ours, or too old.
    #[must_use]
    pub fn read(&self, text: &str, now: i64) -> Option<Nonce> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (said, given) = bytes.split_first_chunk::<SAID>()?;
        if !self.keys.iter().any(|key| equal(&tag(key, said), given)) {
            return None;
        }
        let nonce = Nonce::decode(said)?;
        // Clocks differ: another process' nonce may seem to be of the future.
        (-MAX_SKEW..=LIFE)
            .contains(&nonce.age(now))
            .then_some(nonce)
    }
}

// === impl Nonce ===

impl Nonce {
    /// In seconds.
    #[must_use]
    pub const fn age(&self, now: i64) -> i64 {
        now.saturating_sub(self.issued)
    }

    /// Time to give out a new one, so that the next call needs no second attempt.
    #[must_use]
    pub const fn is_ageing(&self, now: i64) -> bool {
        self.age(now) > LIFE / 2
    }

    fn encode(self) -> [u8; SAID] {
        let (kind, replica) = match self.arbiter {
            Arbiter::Control => (0, [0; 8]),
            Arbiter::Database => (1, [0; 8]),
            Arbiter::Replica(id) => (2, id),
        };
        let mut said = [kind; SAID];
        said[1..9].copy_from_slice(&self.issued.to_be_bytes());
        said[9..].copy_from_slice(&replica);
        said
    }

    fn decode(said: &[u8; SAID]) -> Option<Self> {
        let issued = i64::from_be_bytes(*said[1..].first_chunk()?);
        let arbiter = match said[0] {
            0 => Arbiter::Control,
            1 => Arbiter::Database,
            2 => Arbiter::Replica(*said[9..].first_chunk()?),
            _ => return None,
        };
        Some(Self { arbiter, issued })
    }
}

fn tag(key: &[u8; 32], said: &[u8; SAID]) -> [u8; TAG] {
    let message = [b"ah5.dpop-nonce.v1", &said[..]].concat();
    let [tag @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = mac(key, &message);
    tag
}

/// Kind, time, replica.
const SAID: usize = 1 + 8 + 8;
const TAG: usize = 16;
const MAX_SKEW: i64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn nonces(keys: &[u8]) -> Nonces {
        Nonces {
            keys: keys.iter().map(|&k| Zeroizing::new([k; 32])).collect(),
        }
    }

    const NOW: i64 = 1_790_000_000;

    #[test]
    fn a_nonce_says_who_remembers_and_ends_with_its_time() {
        let nonces = nonces(&[1]);
        for arbiter in [
            Arbiter::Control,
            Arbiter::Database,
            Arbiter::Replica(*b"replica1"),
        ] {
            let text = nonces.issue(arbiter, NOW);
            let read = |now| nonces.read(&text, now);
            assert_eq!(read(NOW).unwrap().arbiter, arbiter);
            assert!(!read(NOW + 150).unwrap().is_ageing(NOW + 150));
            assert!(read(NOW + LIFE).unwrap().is_ageing(NOW + LIFE));
            assert_eq!(read(NOW + LIFE + 1), None);
            assert!(read(NOW - MAX_SKEW).is_some() && read(NOW - MAX_SKEW - 1).is_none());
        }
    }

    #[test]
    fn a_nonce_is_known_by_every_key_of_the_ring_and_altered_by_nobody() {
        let text = nonces(&[1]).issue(Arbiter::Database, NOW);
        assert!(nonces(&[2, 1]).read(&text, NOW).is_some());
        assert!(nonces(&[2]).read(&text, NOW).is_none());
        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            let other = URL_SAFE_NO_PAD.encode(other);
            assert_eq!(nonces(&[1]).read(&other, NOW), None, "byte {at}");
        }
        for junk in ["", "x", "AAAA", &text[1..], &format!("{text}AAAA")] {
            assert_eq!(nonces(&[1]).read(junk, NOW), None, "{junk}");
        }
    }
}
