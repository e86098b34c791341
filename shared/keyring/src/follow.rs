//! Follows the ring's file: what is put in its place is in force within a second or two. A file that
//! won't do, or lacks a key that is held, changes nothing but the alarm.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use ah5_security::ring::KeyRing;
use ah5_security::ring::held::Held;
use tokio::time::sleep;

use crate::source::{OpenError, Source};

/// Runs for as long as the process.
pub async fn follow(source: Source, held: Held) {
    // Not what the file is like now: it may have changed since it was opened.
    let mut known = None;
    let mut is_first = true;
    loop {
        let found = Stamp::of(source.path());
        if found != known {
            match source.open().await.and_then(|ring| later(&held, ring)) {
                Ok(ring) => {
                    tell(0.0);
                    known = found;
                    if !(is_first && is_same(&held, &ring)) {
                        tracing::info!(?ring, "the key ring has changed");
                        held.replace(ring);
                    }
                    is_first = false;
                }
                Err(error) => {
                    tracing::error!(%error, "the key ring's file won't do; the ring stays as it was");
                    tell(1.0);
                    // A service may be back in a moment; a file stays as it is.
                    if !matches!(error, OpenError::Kms(_)) {
                        known = found;
                    }
                    sleep(AFTER_FAILURE).await;
                }
            }
        }
        sleep(EVERY).await;
    }
}

/// Tells one file from another in its place.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    changed: (i64, i64),
    size: u64,
    mode: u32,
}

// === impl Stamp ===

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let at = std::fs::metadata(path).ok()?;
        Some(Self {
            file: (at.dev(), at.ino()),
            changed: (at.ctime(), at.ctime_nsec()),
            size: at.size(),
            mode: at.mode(),
        })
    }
}

/// The ring, if nothing that is sealed now would be lost by it. A readable file may be another
/// installation's, or older than a key that seals already.
fn later(held: &Held, ring: KeyRing) -> Result<KeyRing, OpenError> {
    match held.now().lost_by(&ring) {
        Some(id) => Err(OpenError::Foreign(id.to_owned())),
        None => Ok(ring),
    }
}

fn is_same(held: &Held, ring: &KeyRing) -> bool {
    let now = held.now();
    now.current() == ring.current() && now.ids().eq(ring.ids()) && now.retired().eq(ring.retired())
}

fn tell(refused: f64) {
    metrics::gauge!("ah5_key_ring_refused").set(refused);
}

const EVERY: Duration = Duration::from_secs(1);
const AFTER_FAILURE: Duration = Duration::from_secs(4);
