//! Counts events by sender in fixed windows, in bounded memory. It slows guessing down; what must
//! hold exactly is not counted here.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use crate::client::network;

/// More senders than this are not told apart: whoever can send from so many must not be able to
/// grow the map, nor to wipe out the counts of others.
const MAX_SENDERS: usize = 100_000;

/// `K` is what is counted.
pub struct Counter<K> {
    counts: Mutex<HashMap<(K, IpAddr), (i64, u32)>>,
}

// === impl Counter ===

impl<K: Copy + Eq + Hash> Counter<K> {
    #[must_use]
    pub fn new() -> Self {
        Self {
            counts: Mutex::default(),
        }
    }

    /// Counts one and returns how many there are in this window. `window` is its number.
    pub fn add(&self, what: K, client: IpAddr, window: i64) -> u32 {
        let client = network(client);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MAX_SENDERS {
            counts.retain(|_, (counted, _)| *counted == window);
        }
        let known = counts.contains_key(&(what, client));
        let client = if known || counts.len() < MAX_SENDERS {
            client
        } else {
            IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        };
        let entry = counts.entry((what, client)).or_insert((window, 0));
        if entry.0 != window {
            *entry = (window, 0);
        }
        entry.1 = entry.1.saturating_add(1);
        entry.1
    }

    /// How many were counted in this window so far.
    pub fn so_far(&self, what: K, client: IpAddr, window: i64) -> u32 {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = counts.get(&(what, network(client)));
        counted.map_or(0, |(at, count)| if *at == window { *count } else { 0 })
    }
}

impl<K: Copy + Eq + Hash> Default for Counter<K> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_household_and_window() {
        let counter = Counter::new();
        let add = |text: &str, window| counter.add('x', text.parse().unwrap(), window);
        assert_eq!((add("192.0.2.1", 1), add("192.0.2.1", 1)), (1, 2));
        assert_eq!((add("192.0.2.1", 2), add("192.0.2.2", 2)), (1, 1));
        assert_eq!((add("2001:db8::1", 2), add("2001:db8::2", 2)), (1, 2));
        assert_eq!(add("2001:db8:0:1::1", 2), 1);
        let so_far = |window| counter.so_far('x', "192.0.2.1".parse().unwrap(), window);
        assert_eq!((so_far(2), so_far(3)), (1, 0));
        assert_eq!(counter.so_far('y', "192.0.2.1".parse().unwrap(), 2), 0);
    }

    #[test]
    fn many_senders_share_one_count_and_wipe_out_nobodys() {
        let counter = Counter::new();
        for i in 0..u32::try_from(MAX_SENDERS).unwrap() {
            counter.add((), IpAddr::V4(i.into()), 1);
        }
        let (one, two) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        assert_eq!((counter.add((), one, 1), counter.add((), two, 1)), (1, 2));
        assert_eq!(counter.add((), IpAddr::V4(7.into()), 1), 2);
    }
}
