//! The private cluster.

use ah5_harness::postgres::Cluster;

#[test]
fn leaves_neither_process_nor_folder_behind() {
    let cluster = Cluster::start_temporary().unwrap();
    cluster.create_database("one").unwrap();
    assert!(cluster.create_database("one").is_err());
    let url = cluster.url("one");
    let folder = url
        .strip_prefix("host=")
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .to_owned();
    let pid = std::fs::read_to_string(format!("{folder}/data/postmaster.pid")).unwrap();
    let process = format!("/proc/{}/stat", pid.lines().next().unwrap());
    // An ended process that nobody has waited for yet has ended all the same.
    let lives = || std::fs::read_to_string(&process).is_ok_and(|stat| !stat.contains(") Z "));
    assert!(lives());
    drop(cluster);
    assert!(!lives());
    assert!(!std::path::Path::new(&folder).exists());
}
