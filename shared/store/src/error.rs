//! What can go wrong with the database, as far as a caller can act on it.

use tokio_postgres::error::SqlState;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A statement that should work doesn't: ours to mend.
    #[error("the database refused a statement: {0}")]
    Bug(String),
    /// A constraint of this name stands in the way.
    #[error("conflict with {0}")]
    Conflict(String),
    /// Not reachable, too busy, shutting down or in recovery. Trying later may help.
    #[error("the database is not available: {0}")]
    Unavailable(String),
}

// === impl StoreError ===

impl StoreError {
    /// Whether the constraint of this name was violated.
    #[must_use]
    pub fn is_conflict_with(&self, constraint: &str) -> bool {
        matches!(self, Self::Conflict(name) if name == constraint)
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else {
            return if error.is_closed()
                || std::error::Error::source(&error).is_some_and(|s| s.is::<std::io::Error>())
            {
                Self::Unavailable(describe(&error))
            } else {
                Self::Bug(describe(&error))
            };
        };
        let code = db.code();
        match code.code().get(..2) {
            Some("23") => Self::Conflict(db.constraint().unwrap_or_default().to_owned()),
            Some("08" | "40" | "53" | "57" | "25") if *code != SqlState::UNDEFINED_TABLE => {
                Self::Unavailable(db.message().to_owned())
            }
            _ => Self::Bug(format!("{} ({})", db.message(), code.code())),
        }
    }
}

impl From<deadpool_postgres::PoolError> for StoreError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(error) => Self::from(error),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

fn describe(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
