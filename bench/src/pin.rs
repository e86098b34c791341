//! Which core a thread or process may use: the proxy has one for itself, all else shares another.

use std::fs;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Where things run. Without a second core nothing is pinned, which the report says.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    /// Only the proxy that is being measured.
    pub proxy: Option<usize>,
    /// Load generator, upstream, control plane, Postgres.
    pub rest: Option<usize>,
}

// === impl Cores ===

impl Cores {
    pub fn choose() -> Self {
        let allowed = sched_getaffinity(None).ok();
        let usable = |core: &usize| allowed.is_some_and(|set| set.is_set(*core));
        let mut usable = (0..CpuSet::MAX_CPU).filter(usable);
        match (usable.next(), usable.next()) {
            (Some(rest), Some(proxy)) => Self {
                proxy: Some(proxy),
                rest: Some(rest),
            },
            _ => Self {
                proxy: None,
                rest: None,
            },
        }
    }
}

/// The calling thread, and whatever it starts from now on.
pub fn this_thread(core: Option<usize>) {
    pin(None, core);
}

/// A running process with all its threads.
pub fn process(pid: u32, core: Option<usize>) {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    for task in tasks.into_iter().flatten().flatten() {
        let id = task.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(id) = id.and_then(Pid::from_raw) {
            pin(Some(id), core);
        }
    }
}

// A machine that doesn't let us pin still gives a table; the cores' own figures show what happened.
fn pin(task: Option<Pid>, core: Option<usize>) {
    let Some(core) = core else { return };
    let mut set = CpuSet::new();
    set.set(core);
    if let Err(error) = sched_setaffinity(task, &set) {
        eprintln!("could not pin to core {core}: {error}");
    }
}

#[cfg(test)]
mod tests {
    use rustix::thread::sched_getaffinity;

    use super::{Cores, this_thread};

    #[test]
    fn a_pinned_thread_may_use_its_core_only() {
        std::thread::spawn(|| {
            let cores = Cores::choose();
            let before = sched_getaffinity(None).unwrap().count();
            this_thread(cores.proxy);
            let after = sched_getaffinity(None).unwrap().count();
            assert_eq!(after, if cores.proxy.is_some() { 1 } else { before });
        })
        .join()
        .unwrap();
    }
}
