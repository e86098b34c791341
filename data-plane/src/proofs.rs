//! Used proofs of possession, each remembered in one place only: here, for nonces that name this
//! replica; in the database, for nonces that name none. The nonce of another replica is taken
//! nowhere else: a thief who repeats a proof elsewhere is sent away for a new one, which takes the key.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ah5_edge::dpop::Fault;
use ah5_security::dpop::Proof;
use ah5_security::dpop::nonce::Arbiter;
use ah5_security::random;
use ah5_security::ring::held::Held;
use ah5_store::dpop_proofs;
use deadpool_postgres::Pool;
use http::HeaderValue;
use tokio::time::timeout;

use crate::request::{Kind, Refusal};

pub struct Proofs {
    ring: Held,
    /// Another at every start: what was remembered before is not known any more.
    replica: [u8; 8],
    memory: [Mutex<Shard>; SHARDS],
    pool: Pool,
}

/// Where all proofs of one key are, so that whoever floods it has only a part of it.
#[derive(Default)]
struct Shard {
    /// First half of a proof's id, and the last second at which it is good.
    used: HashMap<[u8; 16], i64>,
    swept: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spent {
    Again,
    First,
    Full,
}

// === impl Proofs ===

impl Proofs {
    #[must_use]
    pub fn new(ring: Held, pool: Pool) -> Self {
        Self {
            ring,
            replica: random::bytes(),
            memory: std::array::from_fn(|_| Mutex::default()),
            pool,
        }
    }

    /// Uses the proof up. Gives the nonce for the caller's next one when that of this one is ageing.
    /// `now` in seconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// 401 for a nonce that won't do and for a proof that was used; 503 where that can't be told.
    pub async fn spend(&self, proof: &Proof, now: i64) -> Result<Option<HeaderValue>, Refusal> {
        let given = proof.nonce.as_deref();
        let nonce = given.and_then(|nonce| self.ring.now().nonces.read(nonce, now));
        let mine = Arbiter::Replica(self.replica);
        let nonce = match nonce {
            Some(nonce) if nonce.arbiter == mine => {
                self.remember(proof, now)?;
                nonce
            }
            Some(nonce) if nonce.arbiter == Arbiter::Database => {
                self.write_down(proof).await?;
                nonce
            }
            // The caller comes by changing ways: one that every replica takes spares it a second
            // attempt at each change.
            Some(nonce) if matches!(nonce.arbiter, Arbiter::Replica(_)) => {
                return Err(self.ask_again(Arbiter::Database, now));
            }
            _ => return Err(self.ask_again(mine, now)),
        };
        let next = nonce
            .is_ageing(now)
            .then(|| self.ring.now().nonces.issue(mine, now));
        Ok(next.and_then(|next| HeaderValue::try_from(next).ok()))
    }

    fn ask_again(&self, arbiter: Arbiter, now: i64) -> Refusal {
        Fault::Nonce(self.ring.now().nonces.issue(arbiter, now)).into()
    }

    fn remember(&self, proof: &Proof, now: i64) -> Result<(), Refusal> {
        let shard = &self.memory[usize::from(proof.thumbprint[0]) % SHARDS];
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        match shard.spend(&proof.id, proof.expires, now) {
            Spent::First => Ok(()),
            Spent::Again => Err(Fault::used().into()),
            // Whoever floods it is no reason to refuse others: the database has room.
            Spent::Full => Err(self.ask_again(Arbiter::Database, now)),
        }
    }

    async fn write_down(&self, proof: &Proof) -> Result<(), Refusal> {
        let spent = async {
            let client = self.pool.get().await?;
            dpop_proofs::spend(&client, &proof.id, proof.expires).await
        };
        match timeout(DEADLINE, spent).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(Fault::used().into()),
            Ok(Err(error)) => {
                tracing::warn!(%error, "no answer on a proof");
                Err(busy())
            }
            Err(_) => Err(busy()),
        }
    }
}

// === impl Shard ===

impl Shard {
    fn spend(&mut self, id: &[u8; 32], expires: i64, now: i64) -> Spent {
        let is_due = now >= self.swept + SWEEP_EVERY;
        if is_due || (self.used.len() >= SHARD && now > self.swept) {
            self.used.retain(|_, expires| *expires >= now);
            self.swept = now;
        }
        // What was used and swept away must not seem new to a call that began before the sweep.
        if expires < self.swept {
            return Spent::Again;
        }
        let mut key = [0; 16];
        key.copy_from_slice(&id[..16]);
        if self.used.contains_key(&key) {
            Spent::Again
        } else if self.used.len() >= SHARD {
            Spent::Full
        } else {
            self.used.insert(key, expires);
            Spent::First
        }
    }
}

fn busy() -> Refusal {
    let text = "Whether the DPoP proof was used before cannot be told now";
    Refusal::unavailable(Kind::Overload, text).hint("Try again in a moment, with a new proof.")
}

const DEADLINE: Duration = Duration::from_secs(2);
const SHARDS: usize = 16;
/// Proofs in one: a thousand a second of one key, each kept for a minute or two.
const SHARD: usize = 65_536;
const SWEEP_EVERY: i64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> [u8; 32] {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_be_bytes());
        id
    }

    #[test]
    fn a_proof_is_used_once_for_as_long_as_it_is_good() {
        let mut shard = Shard::default();
        assert_eq!(shard.spend(&id(1), 160, 100), Spent::First);
        assert_eq!(shard.spend(&id(2), 160, 100), Spent::First);
        for now in [100, 111, 160] {
            assert_eq!(shard.spend(&id(1), 160, now), Spent::Again, "{now}");
        }
        assert_eq!(shard.spend(&id(3), 230, 171), Spent::First);
        assert_eq!(shard.used.len(), 1, "what is good no more is gone");
        assert_eq!(shard.spend(&id(1), 160, 160), Spent::Again, "a late call");
    }

    #[test]
    fn a_full_memory_refuses_and_forgets_nothing() {
        let mut shard = Shard::default();
        for i in 0..SHARD {
            assert_eq!(shard.spend(&id(i), 160, 100), Spent::First);
        }
        assert_eq!(shard.spend(&id(SHARD), 160, 101), Spent::Full);
        assert_eq!(shard.spend(&id(0), 160, 101), Spent::Again);
        assert_eq!(shard.spend(&id(SHARD), 221, 161), Spent::First);
    }
}
