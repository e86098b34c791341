//! What a reader of the trail looks for, as it stands in the query string.

use std::str::FromStr;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use jiff::Timestamp;
use serde::Deserialize;

use ah5_contracts::audit::Action;
use ah5_contracts::id::AuditId;
use ah5_store::audit::scan::{Filter, Position};

use crate::error::AppError;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Params {
    pub agent_id: Option<String>,
    pub connection_id: Option<String>,
    pub action: Option<String>,
    pub date_from: Option<String>,
    pub date_to: Option<String>,
    pub cursor: Option<String>,
    pub limit: Option<String>,
    pub format: Option<String>,
}

pub struct Search {
    pub filter: Filter,
    /// The one action to show.
    pub action: Option<String>,
    pub to: Option<Timestamp>,
    pub cursor: Option<AuditId>,
}

/// # Errors
/// The query string can't be read; a name given twice is such a fault.
pub fn take(params: Result<Query<Params>, QueryRejection>) -> Result<Params, AppError> {
    let Query(params) = params.map_err(|_| AppError::bad_request("querystring must be object"))?;
    Ok(params)
}

/// Junk counts as nothing said.
pub fn limit(text: Option<&str>, default: usize, most: usize) -> usize {
    let Some(wanted) = text.and_then(|text| text.parse::<i64>().ok()) else {
        return default;
    };
    usize::try_from(wanted).unwrap_or(1).clamp(1, most)
}

// === impl Params ===

impl Params {
    pub fn search(self) -> Result<Search, AppError> {
        // Postgres' text cannot hold a NUL: no action has one.
        let action = self.action.map(|action| action.replace('\0', "\u{fffd}"));
        Ok(Search {
            filter: Filter {
                agent: parse("agentId", "uuid", self.agent_id)?,
                connection: parse("connectionId", "uuid", self.connection_id)?,
                actions: action.clone().map(stored),
                from: parse("dateFrom", "date-time", self.date_from)?,
            },
            action,
            to: parse("dateTo", "date-time", self.date_to)?,
            cursor: parse("cursor", "uuid", self.cursor)?,
        })
    }
}

// === impl Search ===

impl Search {
    /// Where to begin reading, if not behind a cursor.
    pub fn top(&self) -> Position {
        self.to.map_or_else(Position::top, Position::at)
    }
}

// The rows in which an action can be found: the intent of a call is told by its one row.
fn stored(action: String) -> Vec<String> {
    let completed = Action::ExecutionCompleted.as_str();
    if action == Action::ExecutionRequested.as_str() {
        return vec![action, completed.to_owned()];
    }
    vec![action]
}

fn parse<T: FromStr>(
    name: &str,
    format: &str,
    text: Option<String>,
) -> Result<Option<T>, AppError> {
    let Some(text) = text else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        AppError::bad_request(format!("querystring/{name} must match format \"{format}\""))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_clamped_and_junk_is_ignored() {
        for (text, taken) in [
            (None, 50),
            (Some("junk"), 50),
            (Some(""), 50),
            (Some("-5"), 1),
            (Some("0"), 1),
            (Some("7"), 7),
            (Some("201"), 200),
            (Some("99999999999999999999"), 50),
        ] {
            assert_eq!(limit(text, 50, 200), taken, "{text:?}");
        }
    }

    #[test]
    fn times_need_an_offset() {
        let search = |date_from: &str| {
            let date_from = Some(date_from.to_owned());
            Params {
                date_from,
                ..Params::default()
            }
            .search()
        };
        assert!(search("2026-01-01T00:00:00+02:00").is_ok());
        for bad in ["2026-01-01T00:00:00", "2026-01-01", "", "yesterday"] {
            let error = search(bad).err().unwrap();
            assert_eq!(
                error.text(),
                "querystring/dateFrom must match format \"date-time\"",
                "{bad}"
            );
        }
    }
}
