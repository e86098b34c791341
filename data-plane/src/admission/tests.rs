use ah5_contracts::id::AgentId;

use super::*;

fn admission() -> Arc<Admission> {
    Admission::new(Limits {
        connections: 2,
        calls: 8,
        bytes: 800,
        failed_auth_per_minute: 2,
    })
}

#[test]
fn seats_are_free_again_when_left() {
    let admission = admission();
    let seats = (admission.seat(), admission.seat());
    assert!(seats.0.is_some() && seats.1.is_some() && admission.seat().is_none());
    drop(seats);
    assert!(admission.seat().is_some());
}

fn agent() -> Identity {
    Identity::Agent(AgentId::random())
}

fn take(admission: &Arc<Admission>, workspace: WorkspaceId, by: Identity) -> Vec<Permit> {
    let permits = (0..100).map_while(|_| admission.permit(workspace, by).ok());
    permits.collect()
}

#[test]
fn a_greedy_workspace_leaves_room_for_others() {
    let admission = admission();
    let (greedy, modest) = (WorkspaceId::random(), WorkspaceId::random());
    let (one, other) = (agent(), agent());
    let taken = take(&admission, greedy, one);
    assert_eq!(taken.len(), 6, "three quarters");
    let others = take(&admission, modest, other);
    assert_eq!(others.len(), 2, "its share of what is left");
    assert!(admission.permit(greedy, one).is_err());
    drop((taken, others));
    assert_eq!(admission.in_use(), (0, 0));
}

#[test]
fn a_greedy_agent_leaves_room_for_its_workspace() {
    let admission = admission();
    let workspace = WorkspaceId::random();
    let (greedy, modest) = (agent(), agent());
    let taken = take(&admission, workspace, greedy);
    assert_eq!(taken.len(), 6);
    assert_eq!(take(&admission, workspace, modest).len(), 2);
    drop(taken);
    assert_eq!(take(&admission, workspace, modest).len(), 6);
    assert_eq!(admission.in_use(), (0, 0));
    let used = admission.used();
    assert!(used.callers.is_empty() && used.workspaces.is_empty());
}

#[test]
fn bytes_are_granted_by_share_and_come_back() {
    let admission = admission();
    let (greedy, modest) = (WorkspaceId::random(), WorkspaceId::random());
    let mut one = admission.permit(greedy, agent()).unwrap();
    one.reserve(600).unwrap();
    assert!(one.reserve(1).is_err(), "over its share, and most is taken");
    let mut two = admission.permit(modest, agent()).unwrap();
    two.reserve(200).unwrap();
    assert!(two.reserve(1).is_err(), "over the whole");
    drop(one);
    two.reserve(300).unwrap();
    drop(two);
    assert_eq!(admission.in_use(), (0, 0));
}

#[test]
fn bytes_of_one_agent_leave_room_for_another() {
    let admission = admission();
    let workspace = WorkspaceId::random();
    let mut greedy = admission.permit(workspace, agent()).unwrap();
    greedy.reserve(600).unwrap();
    let mut modest = admission.permit(workspace, agent()).unwrap();
    modest.reserve(200).unwrap();
    assert!(greedy.reserve(1).is_err());
}

#[test]
fn guessing_is_slowed_down_by_sender() {
    let admission = admission();
    let (client, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
    for _ in 0..2 {
        assert!(admission.check_failures(client, 10).is_ok());
        admission.count_failure(client, 10);
    }
    let refused = admission.check_failures(client, 10).unwrap_err();
    assert_eq!(
        (refused.status.as_u16(), refused.retry_after),
        (429, Some(50))
    );
    assert!(admission.check_failures(other, 10).is_ok());
    assert!(admission.check_failures(client, 60).is_ok());
}
