//! The wish to stop, shared by whoever has it and all who wait for something.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Clones speak of the same wish.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

/// What a wait ends with when it was cancelled.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

// === impl Cancel ===

impl Cancel {
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// # Errors
    /// It was cancelled.
    pub fn check(&self) -> Result<(), Interrupted> {
        if self.is_cancelled() {
            Err(Interrupted)
        } else {
            Ok(())
        }
    }
}
