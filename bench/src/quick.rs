//! The quick bench: four tables in under three minutes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ah5_harness::cancel::Cancel;

use crate::load::pace::Pace;
use crate::load::request::Shape;
use crate::machine;
use crate::peers::proxies::Proxies;
use crate::peers::{Setting, Via};
use crate::pin::{self, Cores};
use crate::report::{self, Report};
use crate::rounds::{Bench, Plan};
use crate::upstream::{Marks, Upstream};

#[derive(clap::Args)]
pub struct Options {
    /// Rounds of each proxy that count; one more goes before them
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Length of a round at max rate, in seconds
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Connections of the load generator
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Calls a second in the fixed-rate table
    #[arg(long, default_value_t = 3000)]
    rate: u32,
    /// Only nginx and the bare proxy, without the product
    #[arg(long)]
    peers_only: bool,
    /// Also write the report here
    #[arg(long)]
    save: Option<PathBuf>,
}

/// One table of the report.
struct Table {
    title: String,
    shape: Shape,
    via: Via,
    pace: Pace,
    seconds: f64,
}

/// # Errors
/// Something doesn't start, an answer was wrong, or a call did not reach the upstream as it should.
pub async fn run(options: Options, cancel: &Cancel) -> anyhow::Result<()> {
    let cores = Cores::choose();
    // Whatever is started from here on begins on the proxy's core, so that a proxy makes as many
    // threads as suit one core.
    pin::this_thread(cores.proxy);
    let folder = tempfile::Builder::new().prefix("ah5-bench-").tempdir()?;
    let upstream = Arc::new(Upstream::start(cores.rest, MARKS).await?);
    let setting = Setting {
        folder: folder.path(),
        upstream: &upstream,
        cancel,
    };
    let proxies = Proxies::start(&setting)?;
    pin::this_thread(cores.rest);
    let bench = Bench {
        upstream: Arc::clone(&upstream),
        cores,
        postgres: None,
    };
    let mut report = Report::start(&head(cores, &options), options.save.as_deref())?;
    for table in tables(&options) {
        let peers = proxies.peers(table.via, table.shape, "/v1/proxy/0/items", "ah5t_x");
        let series = bench.compare(&peers, table.plan(&options)).await?;
        report.add(&report::table(&table.title, &series))?;
    }
    Ok(())
}

fn tables(options: &Options) -> [Table; 4] {
    let table = |title: &str, shape, via, pace, seconds| Table {
        title: title.to_owned(),
        shape,
        via,
        pace,
        seconds,
    };
    let (long, short) = (options.seconds, options.seconds / 2.0);
    let rate = options.rate;
    let fixed = format!("POST, plain upstream, {rate} calls/s");
    [
        table(
            "POST, plain upstream, max rate",
            Shape::Post,
            Via::Plain,
            Pace::Max,
            long,
        ),
        table(
            "GET, plain upstream, max rate",
            Shape::Get,
            Via::Plain,
            Pace::Max,
            long,
        ),
        table(
            "POST, TLS upstream, max rate",
            Shape::Post,
            Via::Tls,
            Pace::Max,
            short,
        ),
        table(&fixed, Shape::Post, Via::Plain, Pace::Fixed(rate), short),
    ]
}

fn head(cores: Cores, options: &Options) -> String {
    let pinned = match (cores.proxy, cores.rest) {
        (Some(proxy), Some(rest)) => format!(
            "The proxy under test alone on core {proxy}; load, upstream and Postgres on core {rest}."
        ),
        _ => {
            "NOT PINNED: there is one core only, so proxies, load and upstream share it.".to_owned()
        }
    };
    format!(
        "{}\n\n{pinned} {} connections, 1 KiB of JSON each way (GET: back only), {} rounds of each \
         proxy in turn, medians [min..max]; ratios within each round.\n",
        machine::describe(),
        options.connections,
        options.rounds
    )
}

// === impl Table ===

impl Table {
    fn plan(&self, options: &Options) -> Plan {
        Plan {
            rounds: options.rounds,
            connections: options.connections,
            warm_up: Duration::from_secs_f64(self.seconds / 5.0),
            measured: Duration::from_secs_f64(self.seconds),
            pace: self.pace,
        }
    }
}

const MARKS: Marks = Marks {
    secret: b"bench-provider-secret",
    token: b"Bearer ah5t_",
};
