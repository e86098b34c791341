//! One page of events. A page may be short, even empty, and yet have a successor: what one request
//! reads of the log is bounded, also where the filter finds next to nothing.

use ah5_contracts::id::AuditId;
use ah5_store::audit::scan;
use ah5_store::tenant::Tenant;

use super::event::Event;
use super::search::Search;
use crate::error::AppError;

pub struct Page {
    pub events: Vec<Event>,
    /// The cursor of the page that follows.
    pub next: Option<AuditId>,
}

pub async fn read(tenant: &Tenant<'_>, search: Search, limit: usize) -> Result<Page, AppError> {
    let mut start = start(tenant, &search).await?;
    let mut events = Vec::new();
    for _ in 0..MOST_STEPS {
        // The row of the cursor may come again, and one more tells whether there is a next page.
        let step = scan::step(tenant, &search.filter, start, limit + 2, STEP).await?;
        let found = step.rows.iter();
        let found = found.flat_map(|row| Event::of(row, search.action.as_deref()));
        events.extend(found.filter(|event| Some(event.audit_id) != search.cursor));
        if events.len() > limit {
            events.truncate(limit);
            let next = events.last().map(|event| event.audit_id);
            return Ok(Page { events, next });
        }
        match step.next {
            Some(next) => start = next,
            None => return Ok(Page { events, next: None }),
        }
    }
    let next = Some(start.row());
    Ok(Page { events, next })
}

// Between the two events of a call the same row is read again. An unknown cursor is ignored, as
// clients expect.
async fn start(tenant: &Tenant<'_>, search: &Search) -> Result<scan::Position, AppError> {
    let Some(cursor) = search.cursor else {
        return Ok(search.top());
    };
    let row = cursor.of_row();
    let Some(found) = scan::find(tenant, row).await? else {
        return Ok(search.top());
    };
    let start = if cursor == row {
        found.before_its_row()
    } else {
        found
    };
    Ok(start.min(search.top()))
}

/// Rows that one statement reads at most.
const STEP: usize = 5000;
const MOST_STEPS: usize = 20;
