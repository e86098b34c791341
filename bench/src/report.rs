//! The tables: Markdown, so that what is printed can be kept as it is.

use std::collections::BTreeSet;
use std::path::Path;

use crate::rounds::{Round, Series};
use crate::statistics::Spread;

/// Printed as it grows, and kept in a file where one is wanted.
pub struct Report<'a> {
    text: String,
    file: Option<&'a Path>,
}

// === impl Report ===

impl<'a> Report<'a> {
    /// # Errors
    /// The file can't be written.
    pub fn start(head: &str, file: Option<&'a Path>) -> anyhow::Result<Self> {
        let text = String::new();
        let mut report = Self { text, file };
        report.add(head)?;
        Ok(report)
    }

    /// # Errors
    /// The file can't be written.
    pub fn add(&mut self, part: &str) -> anyhow::Result<()> {
        print!("{part}");
        self.text.push_str(part);
        if let Some(file) = self.file {
            std::fs::write(file, &self.text)?;
        }
        Ok(())
    }
}

/// One comparison as a table. The ratios are taken within each round and then their median, so that
/// slow drifts of the machine cancel out.
pub fn table(title: &str, all: &[Series]) -> String {
    let mut text = format!(
        "\n### {title}\n\n{}\n{}\n",
        row(&HEAD),
        row(&["---"; HEAD.len()])
    );
    for series in all {
        let cells = [
            series.name.to_owned(),
            spread(series, 1, |round| round.cpu),
            ratio(series, find(all, NGINX)),
            ratio(series, find(all, BARE_HYPER)),
            spread(series, 0, |round| round.per_second),
            median(series, 0, |round| round.p50),
            median(series, 0, |round| round.p99),
            format!(
                "{} + {}",
                median(series, 1, |round| round.cpu_load),
                median(series, 1, |round| round.cpu_upstream)
            ),
            percent(series, |round| round.others),
            percent(series, |round| round.rest_busy),
            percent(series, |round| round.stolen),
        ];
        text.push_str(&row(&cells));
        text.push('\n');
    }
    text
}

/// Where the product's CPU time went, and what Postgres used apart from it.
pub fn product(all: &[Series]) -> Option<String> {
    let series = find(all, PRODUCT)?;
    let rounds = series.rounds.iter();
    let names: BTreeSet<&String> = rounds
        .flat_map(|round| round.cpu_by_thread.keys())
        .collect();
    let used = |round: &Round, name| round.cpu_by_thread.get(name).copied().unwrap_or(0.0);
    let threads = names.into_iter();
    let threads = threads.map(|name| format!("{name} {}", median(series, 1, |it| used(it, name))));
    let threads: Vec<String> = threads.collect();
    let postgres = spread(series, 1, |round| round.cpu_postgres);
    Some(format!(
        "\nThe {PRODUCT}'s µs a call by thread: {}.\n\n\
         Postgres, all its processes: {postgres} µs a call of the {PRODUCT}.\n",
        threads.join(", ")
    ))
}

fn find<'a>(all: &'a [Series], name: &str) -> Option<&'a Series> {
    all.iter().find(|series| series.name == name)
}

fn spread(series: &Series, digits: usize, of: impl Fn(&Round) -> f64) -> String {
    format(Spread::of(series.rounds.iter().map(of)), digits)
}

fn ratio(series: &Series, to: Option<&Series>) -> String {
    let pairs = to.map(|to| series.rounds.iter().zip(&to.rounds));
    let ratios = pairs.map(|pairs| pairs.map(|(ours, theirs)| ours.cpu / theirs.cpu));
    format(ratios.and_then(Spread::of), 2)
}

fn format(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or_else(
        || "-".to_owned(),
        |Spread { median, min, max }| format!("{median:.digits$} [{min:.digits$}..{max:.digits$}]"),
    )
}

fn median(series: &Series, digits: usize, of: impl Fn(&Round) -> f64) -> String {
    let spread = Spread::of(series.rounds.iter().map(of));
    spread.map_or_else(
        || "-".to_owned(),
        |spread| format!("{:.digits$}", spread.median),
    )
}

fn percent(series: &Series, of: impl Fn(&Round) -> f64) -> String {
    median(series, 0, |round| of(round) * 100.0) + " %"
}

fn row(cells: &[impl AsRef<str>]) -> String {
    let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
    format!("| {} |", cells.join(" | "))
}

pub const NGINX: &str = "nginx";
pub const BARE_HYPER: &str = "bare hyper";
pub const PRODUCT: &str = "data plane";

const HEAD: [&str; 11] = [
    "proxy",
    "CPU µs/call",
    "x nginx",
    "x bare hyper",
    "calls/s",
    "p50 µs",
    "p99 µs",
    "load + upstream µs/call",
    "others on its core",
    "other core busy",
    "stolen",
];

#[cfg(test)]
mod tests {
    use super::{BARE_HYPER, NGINX, PRODUCT, product, table};
    use crate::rounds::{Round, Series};

    fn series(name: &'static str, cpu: [f64; 3]) -> Series {
        let rounds = cpu.map(|cpu| Round {
            cpu,
            cpu_by_thread: [("worker".to_owned(), cpu - 1.0)].into(),
            cpu_postgres: cpu / 10.0,
            ..Round::default()
        });
        Series {
            name,
            rounds: rounds.to_vec(),
        }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // Each round's machine is slower than the last; the ratio stays.
        let all = [
            series(NGINX, [10.0, 20.0, 40.0]),
            series(BARE_HYPER, [20.0, 40.0, 80.0]),
            series(PRODUCT, [30.0, 60.0, 120.0]),
        ];
        let text = table("Title", &all);
        let line = text.lines().find(|line| line.contains(PRODUCT)).unwrap();
        let expected =
            "| data plane | 60.0 [30.0..120.0] | 3.00 [3.00..3.00] | 1.50 [1.50..1.50] |";
        assert!(line.starts_with(expected), "{line}");
        let text = product(&all).unwrap();
        assert!(text.contains("by thread: worker 59.0."), "{text}");
        assert!(text.contains("6.0 [3.0..12.0] µs a call"), "{text}");
    }

    #[test]
    fn a_missing_peer_leaves_its_ratio_out() {
        let text = table("Title", &[series(PRODUCT, [1.0, 2.0, 3.0])]);
        assert!(
            text.contains("| data plane | 2.0 [1.0..3.0] | - | - |"),
            "{text}"
        );
        assert_eq!(product(&[series(NGINX, [1.0; 3])]), None);
    }
}
