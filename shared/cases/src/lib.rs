//! Policy cases: one JSON object a line, each a policy, a request and the right answer. Runs them
//! through the real engine; those that take a running data plane go to whoever has one.

mod case;
mod compare;
mod pure;
#[cfg(test)]
mod tests;

pub use case::Case;
pub use compare::Mismatch;

/// Runs the cases that take a running stack.
pub trait Stack {
    /// # Errors
    /// What differs from [`Case::right_answer`].
    fn run(&mut self, case: &Case) -> Result<(), Mismatch>;
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
}

fn run(case: &Case, stack: &mut dyn Stack) -> Result<(), Mismatch> {
    match case.level.as_str() {
        "decision" | "redeem" => stack.run(case),
        _ => pure::run(case),
    }
}
