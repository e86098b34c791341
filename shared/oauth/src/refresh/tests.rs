use ah5_contracts::id::WorkspaceId;
use ah5_store::refreshes::Seen;

use super::journal::Handed;
use super::*;

fn handed(version: i64) -> Handed {
    let of = Seen {
        workspace: WorkspaceId::random(),
        connection: ConnectionId::random(),
        version,
    };
    Handed::new(of, vec![2, 1], vec![2, 2])
}

#[tokio::test]
async fn what_was_handed_out_is_found_again_until_it_is_settled() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("a/b");
    let journal = Journal::new(&folder);
    journal.open().unwrap();
    let path = journal.write(&handed(7)).await.unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // A later life, beside what a killed one left half done and what somebody damaged.
    std::fs::write(folder.join("x.partial"), "{").unwrap();
    std::fs::write(folder.join("y.handed"), "{").unwrap();
    let journal = Journal::new(&folder);
    let found = journal.entries().unwrap();
    assert_eq!(found.len(), 1);
    let renewal = found[0].1.renewal();
    assert_eq!(
        (renewal.of.version, renewal.sealed_refresh),
        (7, &[2, 2][..])
    );
    assert!(folder.join("y.damaged").exists());
    journal.remove(&found[0].0);
    journal.remove(&found[0].0);
    assert!(journal.entries().unwrap().is_empty());
}

#[test]
fn a_folder_that_others_may_write_to_is_none() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = tempfile::tempdir().unwrap();
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(place.path(), open).unwrap();
    assert!(Journal::new(place.path()).open().is_err());
}
