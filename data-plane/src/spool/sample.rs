//! An event for the tests of this module.

use ah5_contracts::audit::{ActorKind, AuditEvent, Verdict};
use ah5_contracts::id::{AuditId, WorkspaceId};

pub(super) fn event() -> AuditEvent {
    AuditEvent {
        audit_id: AuditId::now(),
        ts: 1_790_000_000_000_000,
        workspace: WorkspaceId::random(),
        actor_kind: ActorKind::Agent,
        actor_id: "a".into(),
        agent: None,
        connection: None,
        policy: None,
        policy_version: Some(3),
        rule: None,
        action: "execution_completed".into(),
        decision: Verdict::Allowed,
        method: Some("GET".into()),
        host: Some("api.example.com".into()),
        path_digest: Some(vec![7; 32]),
        upstream_status: Some(200),
        bytes_in: Some(0),
        bytes_out: Some(9),
        timings: vec![1, 2],
        details: r#"{ "b": 1, "a": [true, null, "x"] }"#.into(),
    }
}
