//! Remembers tokens that verified, so that a signature is checked once in a token's life here and
//! not at every call. It remembers who a token speaks for, never that it still may: the agent's
//! state is read from the snapshot at every call.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, PoisonError};

use ah5_contracts::id::{AgentId, WorkspaceId};
use ah5_security::hash::sha256_of;
use ah5_security::random;

/// What a verified agent token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    pub agent: AgentId,
    pub workspace: WorkspaceId,
    pub epoch: i64,
    /// The thumbprint of the key without which the token is worth nothing.
    pub bound_to: Option<[u8; 32]>,
    /// Seconds since 1970-01-01 UTC.
    pub expires: i64,
    /// The set of verification keys under which it verified, and which of them it was.
    pub key_set: u64,
    pub key: u64,
}

/// A token's keyed hash. Whoever reads this memory learns no token from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

/// Bounded: when the younger half is full it becomes the older one, and the older one goes.
pub struct Memory {
    key: [u8; 32],
    shards: [Mutex<Halves>; SHARDS],
}

#[derive(Default)]
struct Halves {
    younger: Half,
    older: Half,
}

type Half = HashMap<Fingerprint, Remembered, BuildHasherDefault<FirstBytes>>;

// === impl Memory ===

impl Memory {
    #[must_use]
    pub fn new() -> Self {
        Self {
            key: random::bytes(),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }

    #[must_use]
    pub fn fingerprint(&self, token: &str) -> Fingerprint {
        Fingerprint(sha256_of(&[&self.key, token.as_bytes()]))
    }

    /// `None` also for what has expired by `now` or was verified under other keys.
    #[must_use]
    pub fn recall(&self, token: &Fingerprint, key_set: u64, now: i64) -> Option<Remembered> {
        let mut halves = self
            .shard(token)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let found = match halves.younger.get(token) {
            Some(found) => *found,
            None => {
                let found = halves.older.remove(token)?;
                halves.add(*token, found);
                found
            }
        };
        (found.key_set == key_set && found.expires > now).then_some(found)
    }

    pub fn remember(&self, token: Fingerprint, verified: Remembered) {
        let mut halves = self
            .shard(&token)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        halves.add(token, verified);
    }

    fn shard(&self, token: &Fingerprint) -> &Mutex<Halves> {
        &self.shards[usize::from(token.0[31]) % SHARDS]
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

// === impl Halves ===

impl Halves {
    fn add(&mut self, token: Fingerprint, verified: Remembered) {
        if self.younger.len() >= HALF {
            self.older = std::mem::take(&mut self.younger);
        }
        self.younger.insert(token, verified);
    }
}

/// A fingerprint is a hash already: its first bytes will do.
#[derive(Default)]
struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn write_usize(&mut self, _length: usize) {}
}

const SHARDS: usize = 16;
/// Tokens a half of a shard; 128 bytes or so each.
const HALF: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn verified(expires: i64) -> Remembered {
        Remembered {
            agent: AgentId::random(),
            workspace: WorkspaceId::random(),
            epoch: 1,
            bound_to: None,
            expires,
            key_set: 7,
            key: 1,
        }
    }

    #[test]
    fn a_memory_ends_with_the_token_and_with_the_keys() {
        let memory = Memory::new();
        let token = memory.fingerprint("a-token");
        assert_eq!(memory.recall(&token, 7, 0), None);
        let known = verified(100);
        memory.remember(token, known);
        assert_eq!(memory.recall(&token, 7, 99), Some(known));
        assert_eq!(memory.recall(&token, 7, 100), None);
        assert_eq!(memory.recall(&token, 8, 99), None);
        assert_eq!(memory.recall(&memory.fingerprint("a-tokem"), 7, 0), None);
        assert!(Memory::new().fingerprint("a-token") != token, "another key");
    }

    #[test]
    fn it_stays_bounded_and_keeps_what_is_used() {
        let memory = Memory::new();
        let hot = memory.fingerprint("hot");
        memory.remember(hot, verified(100));
        for i in 0..3 * SHARDS * HALF {
            memory.remember(memory.fingerprint(&i.to_string()), verified(100));
            if i % 1000 == 0 {
                assert!(memory.recall(&hot, 7, 0).is_some());
            }
        }
        let held = |shard: &Mutex<Halves>| {
            let halves = shard.lock().unwrap();
            halves.younger.len() + halves.older.len()
        };
        assert!(memory.shards.iter().map(held).sum::<usize>() <= 2 * SHARDS * HALF);
    }
}
