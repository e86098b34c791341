//! Counts the instructions of single operations: this very program runs again under valgrind, which
//! writes one profile after each. Counts do not depend on what else the machine does.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::{fs, io};

/// An operation, ready to run. It runs once before it is counted, so that what is built at first
/// use is not.
pub struct Counted {
    pub name: String,
    pub run: Box<dyn FnMut()>,
}

// === impl Counted ===

impl Counted {
    pub fn new<T>(name: impl Into<String>, mut run: impl FnMut() -> T + 'static) -> Self {
        Self {
            name: name.into(),
            run: Box::new(move || {
                black_box(run());
            }),
        }
    }
}

/// Names and counts; `None` where valgrind is not installed.
pub fn counts(mut operations: Vec<Counted>) -> Option<Vec<(String, u64)>> {
    if std::env::args().any(|argument| argument == UNDER_VALGRIND) {
        for operation in &mut operations {
            (operation.run)();
            counted_operation(&mut operation.run);
        }
        std::process::exit(0);
    }
    let valgrind = Command::new("valgrind").arg("--version").output();
    if matches!(valgrind, Err(error) if error.kind() == io::ErrorKind::NotFound) {
        return None;
    }
    let folder = tempfile::tempdir().expect("a folder for the profiles");
    let ran = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no"])
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(format!("--dump-after={COUNTED}"))
        .arg(format!(
            "--callgrind-out-file={}/out",
            folder.path().display()
        ))
        .arg(std::env::current_exe().expect("this program"))
        .arg(UNDER_VALGRIND)
        .output()
        .expect("valgrind starts");
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let names = operations.into_iter().map(|operation| operation.name);
    let counted = |(i, name)| (name, total(&folder.path().join(format!("out.{}", i + 1))));
    Some(names.enumerate().map(counted).collect())
}

/// Valgrind finds it by its name.
#[inline(never)]
fn counted_operation(run: &mut dyn FnMut()) {
    run();
}

fn total(profile: &Path) -> u64 {
    let text = fs::read_to_string(profile).expect("a profile");
    let totals = text.lines().find_map(|line| line.strip_prefix("totals: "));
    totals
        .and_then(|count| count.trim().parse().ok())
        .expect("a total")
}

const COUNTED: &str = concat!(module_path!(), "::counted_operation");
const UNDER_VALGRIND: &str = "--under-valgrind";

pub const MISSING: &str = "INSTRUCTION COUNTS ARE MISSING: valgrind is not installed";
