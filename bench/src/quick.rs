//! The quick bench: four tables in under three minutes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ah5_harness::cancel::Cancel;
use anyhow::Context as _;
use tempfile::TempDir;

use crate::load::pace::Pace;
use crate::load::request::Shape;
use crate::machine;
use crate::peers::product::Product;
use crate::peers::proxies::Proxies;
use crate::peers::{Peer, Setting, Via};
use crate::pin::{self, Cores};
use crate::report::{self, Report};
use crate::rounds::{Bench, Plan};
use crate::upstream::{TOKEN_START, Upstream};

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
    /// Agents that call, each with a token of its own
    #[arg(long, default_value_t = 1)]
    agents: usize,
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

/// Everything that runs; stopped on drop, the last first.
struct Cast {
    product: Option<Product>,
    proxies: Proxies,
    upstream: Arc<Upstream>,
    cores: Cores,
    _folder: TempDir,
}

/// # Errors
/// Something doesn't start, an answer was wrong, or a call did not reach the upstream as it should.
pub async fn run(options: Options, cancel: &Cancel) -> anyhow::Result<()> {
    let cast = Cast::start(&options, cancel).await?;
    let mut report = Report::start(&head(cast.cores, &options), options.save.as_deref())?;
    for table in tables(&options) {
        eprintln!("measuring: {}", table.title);
        let peers = cast.peers(&table);
        let series = cast
            .bench()
            .compare(&peers, table.plan(&options))
            .await
            .with_context(|| table.title.clone())?;
        cast.settle().await?;
        report.add(&report::table(&table.title, &series))?;
        report.add(&report::product(&series).unwrap_or_default())?;
    }
    Ok(())
}

// === impl Cast ===

impl Cast {
    async fn start(options: &Options, cancel: &Cancel) -> anyhow::Result<Self> {
        let cores = Cores::choose();
        // Whatever is started from here on begins on the proxy's core, so that a proxy makes as
        // many threads as suit one core.
        pin::this_thread(cores.proxy);
        let folder = tempfile::Builder::new().prefix("ah5-bench-").tempdir()?;
        let upstream = Arc::new(Upstream::start(cores.rest).await?);
        let setting = Setting {
            folder: folder.path(),
            upstream: &upstream,
            cancel,
        };
        let proxies = Proxies::start(&setting)?;
        let product = match options.peers_only {
            false => Some(Product::start(&setting, cores, options.agents).await?),
            true => None,
        };
        pin::this_thread(cores.rest);
        Ok(Self {
            product,
            proxies,
            upstream,
            cores,
            _folder: folder,
        })
    }

    fn bench(&self) -> Bench {
        Bench {
            upstream: Arc::clone(&self.upstream),
            cores: self.cores,
            postgres: self.product.as_ref().and_then(Product::postgres),
        }
    }

    fn peers(&self, table: &Table) -> Vec<Arc<Peer>> {
        let (via, shape) = (table.via, table.shape);
        let Some(product) = &self.product else {
            let token = format!("{TOKEN_START}{}", "x".repeat(600));
            return self.proxies.peers(via, shape, "/items/1", &token);
        };
        let (path, token) = product.sample(via);
        let mut peers = self.proxies.peers(via, shape, &path, &token);
        peers.push(product.peer(via, shape));
        peers
    }

    // What one table left to be written must not burden the next.
    async fn settle(&self) -> anyhow::Result<()> {
        match &self.product {
            Some(product) => product.settle().await,
            None => Ok(()),
        }
    }
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
