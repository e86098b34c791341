//! Policy cases: one JSON object a line, each a policy, a request and the right answer. Runs them
//! through the real engine, and those that take a running product through a real one.

mod case;
mod compare;
mod on_purpose;
mod play;
mod pure;
#[cfg(test)]
mod tests;

pub use case::Case;
pub use compare::Mismatch;
pub use play::Player;

/// Runs the cases that take a running product.
pub trait Stack {
    /// # Errors
    /// What differs from [`Case::right_answer`].
    fn run(&mut self, case: &Case) -> Result<(), Mismatch>;

    /// Nobody waits for the rest.
    fn interrupted(&self) -> bool {
        false
    }
}

/// Stands in where nothing is running: those cases fail, they are not left out.
pub struct NoStack;

/// What became of a file.
#[derive(Debug, Default)]
pub struct Report {
    pub passed: usize,
    /// The case's name, or the line's number where it has none, and what was wrong.
    pub failed: Vec<(String, Mismatch)>,
}

// === impl NoStack ===

impl Stack for NoStack {
    fn run(&mut self, _case: &Case) -> Result<(), Mismatch> {
        Err(Mismatch::new("needs the running stack"))
    }
}

// === impl Report ===

impl Report {
    pub fn of(text: &str, stack: &mut dyn Stack) -> Self {
        let mut report = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            if stack.interrupted() {
                break;
            }
            if line.trim().is_empty() {
                continue;
            }
            let (name, result) = match serde_json::from_str::<Case>(line) {
                Ok(case) => (case.name.clone(), run(&case, stack)),
                Err(error) => (format!("line {number}"), Err(Mismatch::new(error))),
            };
            match result {
                Ok(()) => report.passed += 1,
                Err(mismatch) => report.failed.push((name, mismatch)),
            }
        }
        report
    }

    /// Those that failed and are to pass.
    pub fn faults(&self) -> impl Iterator<Item = (&str, &Mismatch)> {
        let failed = self.failed.iter().map(|(name, why)| (name.as_str(), why));
        failed.filter(|(name, _)| on_purpose::reason(name).is_none())
    }

    /// Those that failed because the right answer is another one here, with the reason.
    #[must_use]
    pub fn on_purpose(&self) -> Vec<(&str, &'static str)> {
        let failed = self.failed.iter();
        let otherwise = failed.map(|(name, _)| Some((name.as_str(), on_purpose::reason(name)?)));
        otherwise.flatten().collect()
    }
}

fn run(case: &Case, stack: &mut dyn Stack) -> Result<(), Mismatch> {
    match case.level.as_str() {
        "decision" | "redeem" => stack.run(case),
        _ => pure::run(case),
    }
}
