//! CPU time by the scheduler's own nanosecond counters; clock ticks are too coarse for one round.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// What every thread of some processes had used at one moment.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    threads: HashMap<(u32, u32), Thread>,
    /// Children that ended and were waited for, in clock ticks: all the kernel keeps of them.
    reaped: HashMap<u32, u64>,
}

#[derive(Clone, Debug)]
struct Thread {
    /// As it calls itself, without a number at the end.
    name: String,
    used: u64,
}

// === impl Reading ===

impl Reading {
    pub fn of(processes: &[u32]) -> Self {
        let mut reading = Self::default();
        for &process in processes {
            let tasks = fs::read_dir(format!("/proc/{process}/task"));
            for task in tasks.into_iter().flatten().flatten() {
                let thread = task.file_name().to_str().and_then(|name| name.parse().ok());
                if let Some((thread, used)) = thread.zip(Thread::of(&task.path())) {
                    reading.threads.insert((process, thread), used);
                }
            }
            if let Some(stat) = Stat::of(process) {
                reading.reaped.insert(process, stat.reaped_ticks);
            }
        }
        reading
    }

    pub fn since(&self, earlier: &Self) -> Duration {
        let threads = self.threads_since(earlier).map(|(_, used)| used);
        let reaped = self.reaped.iter().map(|(process, now)| {
            now.saturating_sub(earlier.reaped.get(process).copied().unwrap_or(*now))
        });
        let ticks: u64 = reaped.sum();
        let tick = NANOS / rustix::param::clock_ticks_per_second().max(1);
        Duration::from_nanos(threads.sum::<u64>() + ticks * tick)
    }

    /// The same by the threads' names; without children that ended.
    pub fn by_name_since(&self, earlier: &Self) -> BTreeMap<String, Duration> {
        let mut names = BTreeMap::new();
        for (name, used) in self.threads_since(earlier) {
            *names.entry(name.to_owned()).or_default() += Duration::from_nanos(used);
        }
        names
    }

    fn threads_since<'a>(&'a self, earlier: &'a Self) -> impl Iterator<Item = (&'a str, u64)> {
        self.threads.iter().map(|(id, thread)| {
            let before = earlier.threads.get(id).map_or(0, |thread| thread.used);
            (thread.name.as_str(), thread.used.saturating_sub(before))
        })
    }
}

// === impl Thread ===

impl Thread {
    fn of(task: &Path) -> Option<Self> {
        let name = fs::read_to_string(task.join("comm")).ok()?;
        let name = name
            .trim()
            .trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
        Some(Self {
            name: name.to_owned(),
            used: scheduled(task)?,
        })
    }
}

/// What one of our own threads has used so far.
pub fn of_own_thread(thread: u64) -> Duration {
    let used = scheduled(Path::new(&format!("/proc/self/task/{thread}")));
    Duration::from_nanos(used.unwrap_or(0))
}

/// The calling thread.
pub fn thread_id() -> u64 {
    rustix::thread::gettid()
        .as_raw_nonzero()
        .get()
        .unsigned_abs()
        .into()
}

/// A process and everything below it.
pub fn tree(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|process| Some((process, Stat::of(process)?.parent)))
        .collect();
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() {
        let above = found[next];
        let below = parents.iter().filter(|(_, parent)| *parent == above);
        found.extend(below.map(|(process, _)| *process));
        next += 1;
    }
    found
}

/// The few fields of `/proc/PID/stat` that matter here.
struct Stat {
    parent: u32,
    reaped_ticks: u64,
}

// === impl Stat ===

impl Stat {
    fn of(process: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The program's name stands in parentheses and may hold anything.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            reaped_ticks: ticks(13)? + ticks(14)?,
        })
    }
}

fn scheduled(task: &Path) -> Option<u64> {
    let text = fs::read_to_string(task.join("schedstat")).ok()?;
    text.split_whitespace().next()?.parse().ok()
}

const NANOS: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::{Reading, of_own_thread, thread_id, tree};

    #[test]
    fn work_is_counted_and_waiting_is_not() {
        let us = [std::process::id()];
        let (before, own) = (Reading::of(&us), of_own_thread(thread_id()));
        let start = Instant::now();
        while of_own_thread(thread_id()) - own < Duration::from_millis(20) {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "no time is counted"
            );
        }
        let now = Reading::of(&us);
        assert!(now.since(&before) >= Duration::from_millis(20));
        let by_name: Duration = now.by_name_since(&before).values().sum();
        assert!(by_name >= Duration::from_millis(20));
    }

    #[test]
    fn a_tree_holds_children_of_children() {
        let mut shell = Command::new("sh")
            .args(["-c", "cat; true"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while tree(shell.id()).len() < 2 {
            assert!(Instant::now() < end, "the child never showed");
            std::thread::yield_now();
        }
        assert!(tree(std::process::id()).contains(&shell.id()));
        drop(shell.stdin.take());
        shell.wait().unwrap();
    }
}
