//! The end: what the owner can read of it all afterwards.

use std::time::{Duration, Instant};

use anyhow::bail;
use serde_json::Value;

use super::cast::Cast;
use super::print::Printer;
use crate::simulator::Entry;

/// One line of the trail, as far as the demo shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    action: String,
    decision: String,
    what: String,
}

/// Data planes write behind their answers, so the trail is complete a little later.
pub(super) async fn read(cast: &Cast, out: &mut Printer) -> anyhow::Result<()> {
    out.step("The owner reads the audit trail");
    // Whoever else uses the simulator meanwhile does not know our secret.
    let journal = cast.provider.journal().await?;
    let ours = |entry: &&Entry| entry.contains(&cast.provider.secret);
    let calls = journal.iter().filter(ours).count();
    let begun = Instant::now();
    let mut events = loop {
        let events = cast.owner.audit("").await?;
        let Some(missing) = missing(&events, calls) else {
            break events;
        };
        if begun.elapsed() > PATIENCE {
            bail!("after {PATIENCE:?} the trail still lacks {missing}");
        }
        tokio::time::sleep(PAUSE).await;
    };
    events.reverse();
    show(&events, out);
    out.line(format_args!(
        "each of the {calls} calls that the provider got has its line"
    ));
    Ok(())
}

/// What the trail should have and has not.
fn missing(events: &[Value], calls: usize) -> Option<String> {
    let count = |action: &str| events.iter().filter(|e| e["action"] == action).count();
    let done = count(COMPLETED);
    if done != calls {
        return Some(format!("calls: it has {done} of {calls}"));
    }
    let absent = EXPECTED.into_iter().find(|action| count(action) == 0);
    absent.map(str::to_owned)
}

/// Oldest first; equal lines one after the other are shown as one.
fn show(events: &[Value], out: &Printer) {
    let mut lines: Vec<(Line, String, usize)> = Vec::new();
    for event in events {
        let line = Line::of(event);
        match lines.last_mut() {
            Some((last, _, times)) if *last == line => *times += 1,
            _ => lines.push((line, text(&event["timestamp"]), 1)),
        }
    }
    for (line, time, times) in lines {
        let Line {
            action,
            decision,
            what,
        } = line;
        let times = match times {
            1 => String::new(),
            n => format!(" ({n} times)"),
        };
        let time = time.split('T').nth(1).unwrap_or(&time);
        out.line(format_args!(
            "{time:13} {action:20} {decision:8} {what}{times}"
        ));
    }
}

// === impl Line ===

impl Line {
    fn of(event: &Value) -> Self {
        let facts = ["method", "host", "responseStatus", "reason"].map(|name| {
            let fact = &event["metadata"][name];
            fact.as_str().map_or_else(
                || fact.as_i64().map(|n| n.to_string()).unwrap_or_default(),
                str::to_owned,
            )
        });
        let facts: Vec<String> = facts.into_iter().filter(|fact| !fact.is_empty()).collect();
        Self {
            action: text(&event["action"]),
            decision: text(&event["decision"]),
            what: facts.join(" "),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

const COMPLETED: &str = "execution_completed";
const EXPECTED: [&str; 11] = [
    "user_signed_up",
    "user_signed_in",
    "agent_created",
    "agent_bootstrapped",
    "agent_token_issued",
    "connection_created",
    "policy_created",
    "execution_denied",
    "policy_updated",
    "agent_disabled",
    "agent_token_denied",
];
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(200);
