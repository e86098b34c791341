//! When the next request is due. A fixed rate needs a finer clock than tokio's milliseconds, and
//! counts a late request from when it was due, so that a stall isn't hidden by sending less.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

/// How fast requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As soon as the last one is answered.
    Max,
    /// So many a second over all connections.
    Fixed(u32),
}

/// The due times of one connection.
pub struct Schedule {
    end: Instant,
    clock: Option<Clock>,
}

struct Clock {
    due: Instant,
    interval: Duration,
    timer: AsyncFd<OwnedFd>,
}

// === impl Pace ===

impl Pace {
    /// # Errors
    /// The kernel gives no timer.
    pub fn schedule(
        self,
        start: Instant,
        duration: Duration,
        number: usize,
        of: usize,
    ) -> std::io::Result<Schedule> {
        let end = start + duration;
        let Self::Fixed(rate) = self else {
            return Ok(Schedule { end, clock: None });
        };
        let between = Duration::from_secs(1) / rate.max(1);
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe; a timer of ours stays open here"
        )]
        let timer = AsyncFd::new(timer)?;
        let clock = Clock {
            due: start + between * count(number),
            interval: between * count(of),
            timer,
        };
        Ok(Schedule {
            end,
            clock: Some(clock),
        })
    }
}

// === impl Schedule ===

impl Schedule {
    /// Waits until a request is due and says since when; nothing once the time is over.
    pub async fn next(&mut self) -> Option<Instant> {
        let due = match &mut self.clock {
            None => Instant::now(),
            Some(clock) => clock.next(self.end).await?,
        };
        (due < self.end).then_some(due)
    }
}

// === impl Clock ===

impl Clock {
    async fn next(&mut self, end: Instant) -> Option<Instant> {
        let due = self.due;
        if due >= end {
            return None;
        }
        self.due += self.interval;
        let wait = due.saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            self.sleep(wait).await.ok()?;
        }
        Some(due)
    }

    async fn sleep(&self, wait: Duration) -> std::io::Result<()> {
        let value = Timespec::try_from(wait).map_err(std::io::Error::other)?;
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: value,
        };
        timerfd_settime(self.timer.as_fd(), TimerfdTimerFlags::empty(), &once)?;
        let read = |timer: &OwnedFd| Ok(rustix::io::read(timer, &mut [0; 8])?);
        self.timer
            .async_io(tokio::io::Interest::READABLE, read)
            .await
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Pace;

    #[tokio::test]
    async fn a_fixed_rate_gives_each_connection_its_share() {
        let (start, second) = (Instant::now(), Duration::from_millis(100));
        let mut due = Vec::new();
        for number in 0..4 {
            let mut schedule = Pace::Fixed(200).schedule(start, second, number, 4).unwrap();
            while let Some(at) = schedule.next().await {
                assert!(Instant::now() >= at);
                due.push(at - start);
            }
        }
        due.sort();
        let expected: Vec<Duration> = (0..20).map(|n| Duration::from_millis(5 * n)).collect();
        assert_eq!(due, expected);
    }

    #[tokio::test]
    async fn max_rate_is_due_at_once_until_the_end() {
        let long = Duration::from_secs(60);
        let mut open = Pace::Max.schedule(Instant::now(), long, 0, 1).unwrap();
        assert!(open.next().await.is_some());
        let mut over = Pace::Max
            .schedule(Instant::now(), Duration::ZERO, 0, 1)
            .unwrap();
        assert_eq!(over.next().await, None);
    }
}
