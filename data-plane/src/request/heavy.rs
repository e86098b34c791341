//! Work on large bodies, off the threads that serve everybody: a rule takes some milliseconds for a
//! megabyte, in which such a thread would answer nobody.

use std::num::NonZero;
use std::sync::LazyLock;

use tokio::sync::Semaphore;
use tokio::task::block_in_place;

/// Runs `work` on a body of so many bytes.
pub async fn run<T>(size: usize, work: impl FnOnce() -> T) -> T {
    if size < LARGE {
        return work();
    }
    // As many at a time as there are processors: the rest waits without a thread. It is never
    // closed.
    let _permit = AT_ONCE.acquire().await;
    block_in_place(work)
}

/// Below this the move costs more than it saves.
const LARGE: usize = 256 * 1024;
static AT_ONCE: LazyLock<Semaphore> = LazyLock::new(|| {
    let processors = std::thread::available_parallelism().map_or(2, NonZero::get);
    Semaphore::new(processors)
});

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn who_waits_beside_a_large_body_is_served() {
        let (done, mut wait) = tokio::sync::mpsc::channel(1);
        let (seen, saw) = std::sync::mpsc::channel();
        let served = tokio::spawn(async move {
            wait.recv().await;
            seen.send(()).is_ok()
        });
        let heavy = tokio::spawn(run(LARGE, move || {
            done.try_send(()).is_ok() && saw.recv_timeout(Duration::from_secs(10)).is_ok()
        }));
        assert!(heavy.await.unwrap(), "the only worker was held");
        assert!(served.await.unwrap());
    }
}
