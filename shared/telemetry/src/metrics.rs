//! The process's metrics, in Prometheus' text format.

use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

const UPKEEP: Duration = Duration::from_secs(5);

/// Renders the metrics of this process.
#[derive(Clone)]
pub struct Renderer(PrometheusHandle);

// === impl Renderer ===

impl Renderer {
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }
}

/// Collects metrics from here on. Call once, inside the runtime.
///
/// # Panics
/// If called twice.
#[must_use]
pub fn install() -> Renderer {
    let handle = PrometheusBuilder::new()
        .install_recorder()
        .expect("called once");
    let upkeep = handle.clone();
    // Histograms grow until they are drained, whether or not anybody reads the metrics.
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            upkeep.run_upkeep();
        }
    });
    Renderer(handle)
}
