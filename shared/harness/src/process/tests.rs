use super::*;

fn shell(folder: &Path, script: &str) -> Process {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    let env = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
    let spec = Spec {
        name: "shell".into(),
        command,
        env: &env,
        log: folder.join("log"),
        stop: Signal::TERM,
        patience: Duration::from_millis(300),
        orphan: "KILL",
    };
    Process::start(spec).unwrap()
}

#[test]
fn an_early_end_is_told_with_the_end_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = shell(folder.path(), "echo out of luck; exit 3");
    let waited = process.wait_for(LONG, &Cancel::default(), || Ok(None::<()>));
    let said = waited.unwrap_err().to_string();
    assert!(
        said.contains("out of luck") && said.contains("exit status: 3"),
        "{said}"
    );
}

#[test]
fn a_log_tail_is_of_this_process_only() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("log"), "from before\n").unwrap();
    let mut process = shell(folder.path(), "echo now; exit 1");
    let waited = process.wait_for(LONG, &Cancel::default(), || Ok(None::<()>));
    let said = waited.unwrap_err().to_string();
    assert!(
        said.contains("now") && !said.contains("from before"),
        "{said}"
    );
}

#[test]
fn the_environment_is_the_given_one_only() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = shell(folder.path(), "env; exit 1");
    let waited = process.wait_for(LONG, &Cancel::default(), || Ok(None::<()>));
    let said = waited.unwrap_err().to_string();
    assert!(
        said.contains("PATH=/usr/bin:/bin") && !said.contains("CARGO"),
        "{said}"
    );
}

#[test]
fn a_stubborn_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = shell(
        folder.path(),
        "trap '' TERM; echo armed; while :; do sleep 1; done",
    );
    let log = folder.path().join("log");
    let armed = || {
        Ok(std::fs::read_to_string(&log)?
            .contains("armed")
            .then_some(()))
    };
    process.wait_for(LONG, &Cancel::default(), armed).unwrap();
    let said = process.stop().unwrap_err().to_string();
    assert!(said.contains("was killed"), "{said}");
    assert!(process.ended().is_some());
}

#[test]
fn a_wait_ends_when_it_is_cancelled_and_when_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = shell(folder.path(), "exec sleep 60");
    let cancel = Cancel::default();
    let waited = process.wait_for(Duration::ZERO, &cancel, || Ok(None::<()>));
    assert!(waited.unwrap_err().to_string().contains("not ready"));
    cancel.cancel();
    let waited = process.wait_for(LONG, &cancel, || Ok(None::<()>));
    assert_eq!(waited.unwrap_err().to_string(), "interrupted");
    process.stop().unwrap();
}

const LONG: Duration = Duration::from_secs(60);
