//! What the run happened on, and how busy each core was with whom: a shared machine's figures mean
//! nothing without it.

use std::collections::HashMap;
use std::fs;
use std::process::Command;

/// Ticks of each core since the machine started.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    cores: HashMap<usize, Ticks>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Ticks {
    busy: u64,
    stolen: u64,
    all: u64,
}

/// Shares of one core's time between two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shares {
    pub busy: f64,
    /// Taken by other virtual machines.
    pub stolen: f64,
}

// === impl Usage ===

impl Usage {
    pub fn now() -> Self {
        Self::parse(&fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        let cores = text.lines().filter_map(|line| {
            let mut fields = line.strip_prefix("cpu")?.split_whitespace();
            let core = fields.next()?.parse().ok()?;
            let ticks: Vec<u64> = fields.filter_map(|field| field.parse().ok()).collect();
            // user nice system idle iowait irq softirq steal; guest time is part of user.
            let all = ticks.iter().take(8).sum();
            let idle: u64 = ticks.iter().skip(3).take(2).sum();
            let stolen = ticks.get(7).copied().unwrap_or(0);
            let busy = all - idle - stolen;
            Some((core, Ticks { busy, stolen, all }))
        });
        Self {
            cores: cores.collect(),
        }
    }

    /// Nothing for a core that isn't known.
    pub fn since(&self, earlier: &Self, core: Option<usize>) -> Option<Shares> {
        let (now, then) = (self.cores.get(&core?)?, earlier.cores.get(&core?)?);
        let all = now.all.saturating_sub(then.all).max(1) as f64;
        Some(Shares {
            busy: now.busy.saturating_sub(then.busy) as f64 / all,
            stolen: now.stolen.saturating_sub(then.stolen) as f64 / all,
        })
    }
}

/// One line for the head of a report.
pub fn describe() -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models = processors
        .lines()
        .filter(|line| line.starts_with("model name"));
    let models: Vec<&str> = models
        .filter_map(|line| Some(line.split_once(':')?.1.trim()))
        .collect();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{} x {}, Linux {}, load average at start {}, commit {}",
        models.len(),
        models.first().unwrap_or(&"unknown processor"),
        kernel.trim(),
        load.split_whitespace().next().unwrap_or("unknown"),
        commit(),
    )
}

fn commit() -> String {
    let output = Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .output();
    output
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Shares, Usage};

    #[test]
    fn busy_and_stolen_are_told_apart() {
        let then = Usage::parse("cpu  9 9 9 9\ncpu0 100 0 100 800 0 0 0 0 0 0\nintr 1\n");
        let now = Usage::parse("cpu  9 9 9 9\ncpu0 130 0 110 830 10 0 0 20 5 0\nintr 1\n");
        let expected = Shares {
            busy: 0.4,
            stolen: 0.2,
        };
        assert_eq!(now.since(&then, Some(0)), Some(expected));
        assert_eq!(now.since(&then, Some(1)), None);
        assert_eq!(now.since(&then, None), None);
    }
}
