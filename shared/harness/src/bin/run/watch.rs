//! Keeps the stack up. A data plane that dies is started again, as its work goes on at the others;
//! without any other part there is nothing to keep up.

use std::path::Path;
use std::time::{Duration, Instant};

use ah5_harness::cancel::Cancel;
use ah5_harness::stack::{Part, Stack};

use crate::report::Report;

/// A data plane that is to be started again.
struct Restart {
    number: usize,
    at: Instant,
}

/// How often each data plane fell lately.
struct Falls(Vec<(u32, Instant)>);

/// Returns when told to stop.
///
/// # Errors
/// A part that everything needs ended by itself.
pub fn until_stopped(
    stack: &mut Stack,
    cancel: &Cancel,
    report: &Report,
    file: &Path,
) -> anyhow::Result<()> {
    let mut falls = Falls(vec![(0, Instant::now()); stack.data_planes().count()]);
    let mut restarts: Vec<Restart> = Vec::new();
    while !cancel.is_cancelled() {
        for (part, died) in stack.fallen() {
            let Part::DataPlane(number) = part else {
                return Err(died.into());
            };
            report.warning(&died);
            let pause = falls.pause(number);
            report.step(&format!("starting it again in {} s", pause.as_secs()));
            let at = Instant::now() + pause;
            restarts.push(Restart { number, at });
        }
        let (due, later) = restarts.into_iter().partition(|it| it.at <= Instant::now());
        restarts = later;
        for Restart { number, .. } in due {
            if let Some(again) = restart(stack, number, report, file, &mut falls) {
                restarts.push(again);
            }
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

fn restart(
    stack: &mut Stack,
    number: usize,
    report: &Report,
    file: &Path,
    falls: &mut Falls,
) -> Option<Restart> {
    let result = stack.restart_data_plane(number);
    if let Err(error) = result.and_then(|()| report.write(stack, file)) {
        let pause = falls.pause(number);
        report.failure(&error);
        let at = Instant::now() + pause;
        return Some(Restart { number, at });
    }
    report.step(&format!("data plane {number} is back"));
    None
}

// === impl Falls ===

impl Falls {
    /// Longer with every fall, from the start again after a good while.
    fn pause(&mut self, number: usize) -> Duration {
        let (times, last) = &mut self.0[number];
        if last.elapsed() > GOOD_WHILE {
            *times = 0;
        }
        *last = Instant::now();
        let pause = Duration::from_secs(1 << (*times).min(5));
        *times += 1;
        pause
    }
}

const POLL: Duration = Duration::from_millis(100);
const GOOD_WHILE: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound() {
        let mut falls = Falls(vec![(0, Instant::now())]);
        let pauses: Vec<u64> = (0..8).map(|_| falls.pause(0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 32, 32]);
    }
}
