//! The readers of notifications that this process serves, a room for those of each workspace. What is
//! new is read from the database once for a room ([`follow`]); each reader's own task passes it on
//! ([`super::feed`]). A reader whom a room's memory does not reach back to reads the rest himself, so
//! nobody is ever waited for and nothing is kept for him.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot, watch};

use ah5_contracts::id::WorkspaceId;
use ah5_store::listen::{Channel, Hint};
use ah5_store::notifications::Reader;
use ah5_store::snapshot::GLOBAL;

use super::frame::Told;
use crate::app::App;

pub mod follow;

#[derive(Default)]
pub struct Hub {
    state: Mutex<State>,
    news: Notify,
}

/// A reader's place. It ends with the right to it, and gives itself up when it is dropped.
pub struct Seat {
    app: App,
    number: u64,
    pub reader: Reader,
    pub recent: watch::Receiver<Option<Arc<Recent>>>,
    /// Ends when the reader's right does.
    pub end: oneshot::Receiver<()>,
}

/// Everything that came after a number, up to the newest that was read.
#[derive(Debug)]
pub struct Recent {
    after: i64,
    told: Vec<Arc<Told>>,
}

/// There are as many readers as there may be.
pub struct Full;

#[derive(Default)]
struct State {
    rooms: HashMap<WorkspaceId, Room>,
    readers: usize,
    last_number: u64,
    wanted: HashSet<WorkspaceId>,
    doubted: HashSet<WorkspaceId>,
    closed: bool,
}

struct Room {
    recent: watch::Sender<Option<Arc<Recent>>>,
    readers: HashMap<u64, Entry>,
}

/// To drop it ends the seat.
struct Entry {
    reader: Reader,
    _end: oneshot::Sender<()>,
}

// === impl Hub ===

impl Hub {
    /// From now on nothing that is new is missed, but it may be a little before one is awake.
    pub fn join(&self, app: &App, reader: Reader) -> Result<Seat, Full> {
        let state = &mut *self.state();
        let (ending, end) = oneshot::channel();
        state.last_number += 1;
        let number = state.last_number;
        if state.closed {
            // Ends at once, so that the reader comes back elsewhere.
            let (_, recent) = watch::channel(None);
            return Ok(Seat::new(app, number, reader, recent, end));
        }
        if state.readers >= MOST_READERS {
            return Err(Full);
        }
        // In whatever workspace.
        let all = state.rooms.values().flat_map(|room| room.readers.values());
        let own = all.filter(|it| it.reader.user == reader.user).count();
        let room = state.rooms.entry(reader.workspace);
        let room = room.or_insert_with(Room::new);
        if room.readers.len() >= MOST_IN_ROOM || own >= MOST_OF_PERSON {
            // Nobody is in a room that was just made, so it isn't left empty.
            return Err(Full);
        }
        let entry = Entry {
            reader,
            _end: ending,
        };
        room.readers.insert(number, entry);
        let recent = room.recent.subscribe();
        if recent.borrow().is_none() {
            state.wanted.insert(reader.workspace);
            self.news.notify_one();
        }
        state.readers += 1;
        Ok(Seat::new(app, number, reader, recent, end))
    }

    /// Something may be new, or somebody's right may have ended.
    fn hint(&self, hint: Hint) {
        let mut state = self.state();
        match hint.channel {
            // People and sessions belong to no workspace.
            Channel::Changed if hint.workspace == GLOBAL => state.doubt_all(),
            _ if !state.rooms.contains_key(&hint.workspace) => return,
            Channel::Changed => {
                state.doubted.insert(hint.workspace);
            }
            Channel::Notices => {
                state.wanted.insert(hint.workspace);
            }
        }
        self.news.notify_one();
    }

    /// All streams end, and so does each that is begun from now on.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.end_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that panics leaves it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn doubt_all(&mut self) {
        self.doubted = self.rooms.keys().copied().collect();
    }

    fn end_all(&mut self) {
        self.rooms.clear();
        self.readers = 0;
    }

    fn leave(&mut self, workspace: WorkspaceId, number: u64) {
        let Some(room) = self.rooms.get_mut(&workspace) else {
            return;
        };
        if room.readers.remove(&number).is_some() {
            self.readers -= 1;
        }
        if room.readers.is_empty() {
            self.rooms.remove(&workspace);
        }
    }
}

// === impl Room ===

impl Room {
    fn new() -> Self {
        Self {
            recent: watch::channel(None).0,
            readers: HashMap::new(),
        }
    }
}

// === impl Recent ===

impl Recent {
    const fn from(after: i64) -> Self {
        Self {
            after,
            told: Vec::new(),
        }
    }

    fn last(&self) -> i64 {
        self.told.last().map_or(self.after, |told| told.seq)
    }

    /// With what follows; the oldest are forgotten.
    fn with(&self, more: impl Iterator<Item = Told>) -> Self {
        let mut told: Vec<_> = self
            .told
            .iter()
            .cloned()
            .chain(more.map(Arc::new))
            .collect();
        let forgotten = told.len().saturating_sub(MOST_RECENT);
        let after = match told.drain(..forgotten).next_back() {
            Some(last) => last.seq,
            None => self.after,
        };
        Self { after, told }
    }

    /// What came after this number; `None` if not all of it is known any more.
    pub fn after(&self, seq: i64) -> Option<Vec<Arc<Told>>> {
        let newer = |told: &&Arc<Told>| told.seq > seq;
        (seq >= self.after).then(|| self.told.iter().filter(newer).cloned().collect())
    }
}

// === impl Seat ===

impl Seat {
    fn new(
        app: &App,
        number: u64,
        reader: Reader,
        recent: watch::Receiver<Option<Arc<Recent>>>,
        end: oneshot::Receiver<()>,
    ) -> Self {
        Self {
            app: app.clone(),
            number,
            reader,
            recent,
            end,
        }
    }

    pub fn is_ended(&mut self) -> bool {
        self.end.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.app.hub.state();
        state.leave(self.reader.workspace, self.number);
    }
}

/// Of one process.
const MOST_READERS: usize = 1000;
const MOST_IN_ROOM: usize = 200;
/// Tabs of one person, in one workspace.
const MOST_OF_PERSON: usize = 10;
/// Remembered for readers who are up to date.
const MOST_RECENT: usize = 32;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn told(seq: i64) -> Told {
        Told {
            seq,
            to: None,
            frame: Bytes::new(),
        }
    }

    fn numbers(recent: &Recent, seq: i64) -> Option<Vec<i64>> {
        let after = recent.after(seq)?;
        Some(after.iter().map(|told| told.seq).collect())
    }

    #[test]
    fn what_a_room_forgot_it_does_not_pretend_to_know() {
        let recent = Recent::from(5);
        assert_eq!(
            (numbers(&recent, 5), numbers(&recent, 4)),
            (Some(vec![]), None)
        );
        let recent = recent.with([told(6), told(7)].into_iter());
        assert_eq!(numbers(&recent, 5), Some(vec![6, 7]));
        assert_eq!(numbers(&recent, 6), Some(vec![7]));
        let most = i64::try_from(MOST_RECENT).unwrap();
        let recent = recent.with((8..8 + most).map(told));
        assert_eq!(numbers(&recent, 6), None);
        assert_eq!(numbers(&recent, 7).unwrap().len(), MOST_RECENT);
        assert_eq!(recent.last(), 7 + most);
        assert_eq!(numbers(&recent, 99), Some(vec![]));
    }
}
