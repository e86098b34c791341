//! Time windows: weekdays and hours in a zone of the IANA database that the binary carries.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde_json::Value;

use crate::compile::CompileError;
use crate::stored::Stored;

/// Compiled windows; none at all is always open.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    windows: Box<[Window]>,
}

#[derive(Clone, Debug)]
struct Window {
    day: Weekday,
    start: i8,
    end: i8,
    zone: TimeZone,
    /// As it was written, for the refusal.
    name: Box<str>,
}

// === impl Windows ===

impl Windows {
    pub(crate) fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// # Errors
    /// Names the first field at fault.
    pub fn compile(stored: &Value) -> Result<Self, CompileError> {
        let list = match stored {
            Value::Null => return Ok(Self::default()),
            Value::Array(list) if list.len() <= MAX_WINDOWS => list,
            Value::Array(_) => {
                let why = format!("must NOT have more than {MAX_WINDOWS} items");
                return Err(CompileError::new("timeWindows", why));
            }
            _ => return Err(CompileError::new("timeWindows", "must be array")),
        };
        let windows = list
            .iter()
            .enumerate()
            .map(|(i, window)| Window::compile(window, &format!("timeWindows/{i}")))
            .collect::<Result<_, _>>()?;
        Ok(Self { windows })
    }

    /// # Errors
    /// The refusal to show, if no window is open.
    pub fn check(&self, now_unix: i64) -> Result<(), String> {
        if self.windows.is_empty() {
            return Ok(());
        }
        let now = Timestamp::from_second(now_unix);
        if now.is_ok_and(|now| self.windows.iter().any(|window| window.is_open(now))) {
            return Ok(());
        }
        let name = &self.windows[0].name;
        let same = self.windows.iter().all(|window| window.name == *name);
        let zone = if same { name } else { "configured timezones" };
        Err(format!(
            "Execution blocked: current time is outside allowed time windows ({zone})"
        ))
    }
}

// === impl Window ===

impl Window {
    fn compile(stored: &Value, at: &str) -> Result<Self, CompileError> {
        let known = ["dayOfWeek", "startHour", "endHour", "timezone"];
        let stored = Stored::object(stored, at, &known)?;
        let number = |name: &str, most: i8| {
            let value = stored.required(name)?.as_i64();
            let value = value.ok_or_else(|| stored.error(name, "must be integer"))?;
            match i8::try_from(value) {
                Ok(value) if (0..=most).contains(&value) => Ok(value),
                _ => Err(stored.error(name, format!("must be >= 0 and <= {most}"))),
            }
        };
        let day = Weekday::from_sunday_zero_offset(number("dayOfWeek", 6)?);
        let name = stored.text("timezone")?.unwrap_or_default();
        if name.is_empty() {
            let why = "timezone is required and must be a non-empty string \
                       (e.g., 'America/New_York')";
            return Err(stored.error("timezone", why));
        }
        let zone = ZONES.get(name);
        Ok(Self {
            day: day.map_err(|_| stored.error("dayOfWeek", "must be >= 0 and <= 6"))?,
            start: number("startHour", 23)?,
            end: number("endHour", 24)?,
            zone: zone
                .map_err(|_| stored.error("timezone", format!("Invalid timezone: {name}")))?,
            name: name.into(),
        })
    }

    /// The end is exclusive. A window over midnight is open on its day's early hours, as it always
    /// was, and on the next day's, as it reads.
    fn is_open(&self, now: Timestamp) -> bool {
        let now = now.to_zoned(self.zone.clone());
        let (day, hour) = (now.weekday(), now.hour());
        if self.start <= self.end {
            return day == self.day && self.start <= hour && hour < self.end;
        }
        let today = day == self.day && (hour >= self.start || hour < self.end);
        today || (day.previous() == self.day && hour < self.end)
    }
}

// What a machine has in its own zone files must not change a decision.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);
const MAX_WINDOWS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn open(windows: &Value, now: &str) -> Result<(), String> {
        let now: Timestamp = now.parse().unwrap();
        Windows::compile(windows).unwrap().check(now.as_second())
    }

    #[test]
    fn a_window_is_open_in_its_own_zone_whatever_the_season() {
        let monday = json!([{"dayOfWeek": 1, "startHour": 9, "endHour": 10,
                             "timezone": "America/New_York"}]);
        assert!(open(&monday, "2026-07-06T13:30:00Z").is_ok());
        assert!(open(&monday, "2026-01-05T13:30:00Z").is_err());
        assert!(open(&monday, "2026-01-05T14:30:00Z").is_ok());
        assert!(open(&monday, "2026-01-05T15:00:00Z").is_err());
        let late = json!([{"dayOfWeek": 0, "startHour": 20, "endHour": 23,
                           "timezone": "america/new_york"}]);
        assert!(open(&late, "2026-03-02T02:00:00Z").is_ok());
    }

    #[test]
    fn a_window_over_midnight_reaches_the_next_morning() {
        let night = json!([{"dayOfWeek": 1, "startHour": 22, "endHour": 6, "timezone": "UTC"}]);
        for (now, is_open) in [
            ("2026-03-02T03:00:00Z", true),
            ("2026-03-02T21:00:00Z", false),
            ("2026-03-02T23:00:00Z", true),
            ("2026-03-03T03:00:00Z", true),
            ("2026-03-03T06:00:00Z", false),
            ("2026-03-03T23:00:00Z", false),
        ] {
            assert_eq!(open(&night, now).is_ok(), is_open, "{now}");
        }
    }

    #[test]
    fn a_whole_day_can_be_said() {
        let day = json!([{"dayOfWeek": 1, "startHour": 0, "endHour": 24, "timezone": "UTC"}]);
        assert!(open(&day, "2026-03-02T23:59:59Z").is_ok());
        let equal = json!([{"dayOfWeek": 1, "startHour": 9, "endHour": 9, "timezone": "UTC"}]);
        assert!(open(&equal, "2026-03-02T09:00:00Z").is_err());
    }

    #[test]
    fn the_refusal_names_the_zone_if_there_is_one() {
        let window =
            |zone: &str| json!({"dayOfWeek": 1, "startHour": 9, "endHour": 9, "timezone": zone});
        let one = open(
            &json!([window("UTC"), window("UTC")]),
            "2026-03-02T09:00:00Z",
        );
        assert!(one.unwrap_err().ends_with("time windows (UTC)"));
        let two = open(
            &json!([window("UTC"), window("Europe/Rome")]),
            "2026-03-02T09:00:00Z",
        );
        assert!(two.unwrap_err().ends_with("(configured timezones)"));
    }

    #[test]
    fn faults_are_named_by_field() {
        for (window, path) in [
            (
                json!({"dayOfWeek": 7, "startHour": 0, "endHour": 1, "timezone": "UTC"}),
                "dayOfWeek",
            ),
            (
                json!({"dayOfWeek": 1, "startHour": 24, "endHour": 1, "timezone": "UTC"}),
                "startHour",
            ),
            (
                json!({"dayOfWeek": 1, "startHour": 0, "endHour": 25, "timezone": "UTC"}),
                "endHour",
            ),
            (
                json!({"dayOfWeek": 1, "startHour": 0, "endHour": 1, "timezone": "+02:00"}),
                "timezone",
            ),
            (
                json!({"dayOfWeek": 1, "startHour": 0, "endHour": 1, "timezone": "Mars/X"}),
                "timezone",
            ),
            (
                json!({"dayOfWeek": 1, "startHour": 0, "endHour": 1}),
                "timezone",
            ),
            (
                json!({"dayOfWeek": 1, "endHour": 1, "timezone": "UTC"}),
                "startHour",
            ),
            (
                json!({"dayOfWeek": 1.5, "startHour": 0, "endHour": 1, "timezone": "UTC"}),
                "dayOfWeek",
            ),
            (json!({"day": 1}), "day"),
        ] {
            let error = Windows::compile(&json!([window])).unwrap_err();
            assert_eq!(error.path, format!("timeWindows/0/{path}"));
        }
    }
}
