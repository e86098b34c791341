//! Notices that an agent behaves unlike itself, and tells people. It is judged by counters that data
//! planes keep as they deliver audit rows, here and not on any call's way: an alarm stops nothing.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval};

use ah5_store::StoreError;
use ah5_store::alarms::{self, Busy, Most};
use ah5_store::tenant::Tenant;

use crate::app::App;
use crate::notices::text::{plain, quoted};
use crate::notices::{ACTIVITY_PAGE, Notice, To, kind, notify};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Burst,
    DataVolume,
    DenialRate,
}

/// Runs for as long as the process.
pub async fn run(app: App) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rolled: Option<Instant> = None;
    loop {
        ticks.tick().await;
        let roll = rolled.is_none_or(|rolled| rolled.elapsed() >= ROLL_EVERY);
        match judge(&app, roll).await {
            Ok(()) if roll => rolled = Some(Instant::now()),
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(%error, "agents could not be watched; it is tried again soon");
            }
        }
    }
}

async fn judge(app: &App, roll: bool) -> Result<(), StoreError> {
    let mut db = app.db().await?;
    let lock = db.transaction().await?;
    // Two at once would do no harm, only the same.
    if !alarms::lock(&lock).await? {
        return Ok(());
    }
    for busy in alarms::busy(&lock, LEAST).await? {
        for rule in tripped(&busy) {
            match sound(app, &busy, rule).await {
                // The agent has been deleted meanwhile.
                Err(StoreError::Conflict(_)) => {}
                sounded => sounded?,
            }
        }
    }
    if roll {
        alarms::roll_up(&lock).await?;
    }
    Ok(lock.commit().await?)
}

async fn sound(app: &App, busy: &Busy, rule: Rule) -> Result<(), StoreError> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, busy.workspace).await?;
    if !alarms::sound(&tenant, busy.agent, rule.as_str(), rule.quiet_minutes()).await? {
        return Ok(());
    }
    notify(&tenant, &alert(busy, rule)).await?;
    tenant.commit().await?;
    metrics::counter!("ah5_alarms_total", "rule" => rule.as_str()).increment(1);
    tracing::warn!(agent = %busy.agent, rule = rule.as_str(), "an agent behaves unlike itself");
    Ok(())
}

fn alert(busy: &Busy, rule: Rule) -> Notice {
    let (agent, name) = (quoted(&busy.agent_name), plain(&busy.agent_name, 60));
    let (what, body) = match rule {
        Rule::Burst => (
            "Unusually many calls",
            format!("{agent} made {} calls within 5 minutes.", busy.completed),
        ),
        Rule::DataVolume => (
            "Unusually much data",
            format!(
                "{agent} was sent {} MiB within 10 minutes.",
                busy.bytes >> 20
            ),
        ),
        Rule::DenialRate => (
            "Many denied calls",
            format!(
                "{} calls of {agent} were denied within 5 minutes.",
                busy.denied
            ),
        ),
    };
    Notice {
        kind: kind::SECURITY_ALERT,
        title: format!("⚠️ {what}: {name}"),
        body,
        link: Some(ACTIVITY_PAGE.to_owned()),
        metadata: json!({
            "agentId": busy.agent, "connectionId": busy.connection, "ruleId": rule.as_str(),
        }),
        to: To::Everyone,
    }
}

/// The rules that sound for what the agent did, but for those that have not long ago.
fn tripped(busy: &Busy) -> Vec<Rule> {
    // Who comes at an hour at which he never did is looked at more closely.
    let usual = |most: i64| if busy.off_hours { most / 2 } else { most };
    let rules = [
        (Rule::Burst, busy.completed > usual(MOST_COMPLETED)),
        (Rule::DataVolume, busy.bytes > MOST_BYTES),
        (Rule::DenialRate, busy.denied > usual(MOST_DENIED)),
    ];
    let sounds = |(rule, over): (Rule, bool)| over.then_some(rule);
    let rules = rules.into_iter().filter_map(sounds);
    rules
        .filter(|rule| !busy.quiet.iter().any(|quiet| quiet == rule.as_str()))
        .collect()
}

// === impl Rule ===

impl Rule {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Burst => "burst",
            Self::DataVolume => "data_volume",
            Self::DenialRate => "denial_rate",
        }
    }

    const fn quiet_minutes(self) -> i32 {
        match self {
            Self::Burst | Self::DenialRate => 15,
            Self::DataVolume => 30,
        }
    }
}

/// Calls that went to a provider, in 5 minutes.
const MOST_COMPLETED: i64 = 300;
/// In 5 minutes.
const MOST_DENIED: i64 = 10;
/// In 10 minutes.
const MOST_BYTES: i64 = 50 << 20;
/// Below this nothing sounds at any hour.
const LEAST: Most = Most {
    completed: MOST_COMPLETED / 2,
    denied: MOST_DENIED / 2,
    bytes: MOST_BYTES,
};
const EVERY: Duration = Duration::from_secs(5);
const ROLL_EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use ah5_contracts::id::{AgentId, WorkspaceId};

    use super::*;

    fn busy(completed: i64, denied: i64, bytes: i64, off_hours: bool) -> Busy {
        Busy {
            workspace: WorkspaceId::random(),
            agent: AgentId::random(),
            agent_name: "bot".into(),
            connection: None,
            completed,
            denied,
            bytes,
            off_hours,
            quiet: Vec::new(),
        }
    }

    #[test]
    fn a_rule_sounds_above_its_number_and_not_at_it() {
        let of = |completed, denied, bytes| tripped(&busy(completed, denied, bytes, false));
        assert_eq!(of(300, 10, 52_428_800), []);
        assert_eq!(of(301, 10, 52_428_800), [Rule::Burst]);
        assert_eq!(of(300, 11, 52_428_800), [Rule::DenialRate]);
        assert_eq!(of(300, 10, 52_428_801), [Rule::DataVolume]);
    }

    #[test]
    fn off_hours_halve_calls_and_denials_but_not_bytes() {
        let of = |completed, denied, bytes| tripped(&busy(completed, denied, bytes, true));
        assert_eq!(of(150, 5, 52_428_800), []);
        assert_eq!(of(151, 6, 52_428_800), [Rule::Burst, Rule::DenialRate]);
    }

    #[test]
    fn what_has_sounded_is_quiet() {
        let quiet = Busy {
            quiet: vec!["burst".into()],
            ..busy(999, 99, 0, false)
        };
        assert_eq!(tripped(&quiet), [Rule::DenialRate]);
    }
}
