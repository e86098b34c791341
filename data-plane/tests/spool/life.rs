//! A process that records until it is killed: this test binary, running one ignored test of it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use ah5_contracts::id::AuditId;

use super::fixture::Fixture;

/// Tells the process that it is one, and where to record.
pub const PLACE: &str = "AH5_TEST_SPOOL_LIFE";
/// What it prints before the id of an event that is durable.
pub const PROMISED: &str = "promised ";

/// Killed on drop.
pub struct Life {
    child: Child,
    said: std::io::Lines<BufReader<ChildStdout>>,
}

// === impl Life ===

impl Life {
    pub fn begin(fixture: &Fixture) -> Self {
        let place = [
            fixture.folder().display().to_string(),
            fixture.ring_file().display().to_string(),
            fixture.url(),
        ];
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_life_that_is_killed",
                "--ignored",
                "--nocapture",
            ])
            .env(PLACE, place.join("|"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, said }
    }

    pub fn promised(&mut self) -> AuditId {
        let mut said = (&mut self.said).map_while(Result::ok);
        said.find_map(|line| promise_in(&line))
            .expect("the child lives")
    }

    /// What it had said before it died.
    pub fn kill(mut self) -> Vec<AuditId> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let said = (&mut self.said).map_while(Result::ok);
        said.filter_map(|line| promise_in(&line)).collect()
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn promise_in(line: &str) -> Option<AuditId> {
    let (_, id) = line.split_once(PROMISED)?;
    id.parse().ok()
}
