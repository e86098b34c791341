//! The data planes, seen from their admin listeners.

use anyhow::ensure;

use super::run_file::Part;
use crate::client::{Call, Http};

/// How many calls each has brought to a provider, in the order of the run file.
///
/// # Errors
/// One does not answer.
pub(super) async fn served(planes: &[Part]) -> anyhow::Result<Vec<f64>> {
    let mut served = Vec::with_capacity(planes.len());
    for plane in planes {
        let admin = Http::new(format!("http://{}", plane.admin));
        let answer = admin.send(Call::get("/metrics")).await?;
        ensure!(answer.status == 200, "{} has no metrics", admin.base());
        served.push(total(&answer.text(), CALLS));
    }
    Ok(served)
}

/// The sum of a metric over its labels, in Prometheus' text format.
fn total(text: &str, name: &str) -> f64 {
    let samples = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.strip_prefix('{') {
            Some(labelled) => labelled.rsplit_once("} ")?.1,
            None => rest.strip_prefix(' ')?,
        };
        value.split(' ').next()?.parse::<f64>().ok()
    });
    samples.sum()
}

const CALLS: &str = "ah5_calls_total";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_sums_over_labels_and_over_nothing_else() {
        let text = "# TYPE a counter\na{x=\"1\"} 2\na{x=\"}\"} 3\na 4\nab 100\na_b{x=\"1\"} 100\n";
        assert!((total(text, "a") - 9.0).abs() < f64::EPSILON);
        assert!(total(text, "c").abs() < f64::EPSILON);
    }
}
