//! The audit chain: each row's hash covers its content and the hash before it, and a MAC under a
//! key that is not in the database covers the hash. Whoever edits, drops or inserts a stored row
//! breaks the chain; whoever recomputes it lacks the key.

use zeroize::Zeroizing;

use ah5_contracts::audit::{AuditEvent, AuditRow, ChainLink};
use ah5_contracts::id::SpoolId;

use crate::encode::Fields;
use crate::hash;
use crate::ring::mac;

mod sanitise;

/// Authenticates audit rows.
pub struct AuditKey(Zeroizing<[u8; 32]>);

/// One workspace's rows from one writer, in order.
#[derive(Clone, Debug)]
pub struct Chain {
    spool: SpoolId,
    seq: i64,
    head: [u8; 32],
}

// === impl AuditKey ===

impl AuditKey {
    pub(crate) fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    /// Whether the row is what was once appended after `prev_hash`.
    #[must_use]
    pub fn verify(&self, row: &AuditRow) -> bool {
        let hash = digest(
            &row.event,
            row.link.spool,
            row.link.seq,
            &row.link.prev_hash,
        );
        hash == row.link.hash && hash::equal(&mac(&self.0, &hash), &row.link.mac)
    }
}

impl std::fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuditKey")
    }
}

// === impl Chain ===

impl Chain {
    #[must_use]
    pub fn start(spool: SpoolId) -> Self {
        Self::resume(spool, 0, [0; 32])
    }

    #[must_use]
    pub fn resume(spool: SpoolId, seq: i64, head: [u8; 32]) -> Self {
        Self { spool, seq, head }
    }

    /// The event comes back as it is to be stored, which may be less than was given: only what the
    /// database keeps unchanged can be verified later.
    pub fn append(&mut self, key: &AuditKey, mut event: AuditEvent) -> AuditRow {
        sanitise::make_safe(&mut event);
        let (seq, prev_hash) = (self.seq + 1, self.head);
        let hash = digest(&event, self.spool, seq, &prev_hash);
        let mac = mac(&key.0, &hash);
        (self.seq, self.head) = (seq, hash);
        AuditRow {
            event,
            link: ChainLink {
                spool: self.spool,
                seq,
                prev_hash,
                hash,
                mac,
            },
        }
    }
}

// Details are hashed as canonical JSON, since the database's jsonb keeps neither spacing nor order.
fn digest(event: &AuditEvent, spool: SpoolId, seq: i64, prev_hash: &[u8; 32]) -> [u8; 32] {
    let number = |n: Option<i64>| n.map(i64::to_be_bytes);
    let mut fields = Fields::new("ah5.audit.v1")
        .bytes(spool.uuid().as_bytes())
        .number(seq)
        .bytes(prev_hash)
        .bytes(event.audit_id.uuid().as_bytes())
        .number(event.ts)
        .bytes(event.workspace.uuid().as_bytes())
        .text(event.actor_kind.as_str())
        .text(&event.actor_id)
        .optional(
            event
                .agent
                .map(|id| *id.uuid().as_bytes())
                .as_ref()
                .map(<[u8; 16]>::as_slice),
        )
        .optional(
            event
                .connection
                .map(|id| *id.uuid().as_bytes())
                .as_ref()
                .map(<[u8; 16]>::as_slice),
        )
        .optional(
            event
                .policy
                .map(|id| *id.uuid().as_bytes())
                .as_ref()
                .map(<[u8; 16]>::as_slice),
        )
        .optional(
            number(event.policy_version)
                .as_ref()
                .map(<[u8; 8]>::as_slice),
        )
        .optional(event.rule.as_deref().map(str::as_bytes))
        .text(&event.action)
        .text(event.decision.as_str())
        .optional(event.method.as_deref().map(str::as_bytes))
        .optional(event.host.as_deref().map(str::as_bytes))
        .optional(event.path_digest.as_deref())
        .optional(
            number(event.upstream_status.map(i64::from))
                .as_ref()
                .map(<[u8; 8]>::as_slice),
        )
        .optional(number(event.bytes_in).as_ref().map(<[u8; 8]>::as_slice))
        .optional(number(event.bytes_out).as_ref().map(<[u8; 8]>::as_slice));
    for timing in &event.timings {
        fields = fields.number((*timing).into());
    }
    hash::sha256(&fields.bytes(&canonical(&event.details)).finish())
}

/// Members in the order of their names.
fn canonical(details: &str) -> Vec<u8> {
    match serde_json::from_str::<serde_json::Value>(details) {
        Ok(mut value) => {
            // Whether serde_json keeps the order of members is for the whole build to say.
            value.sort_all_objects();
            value.to_string().into_bytes()
        }
        Err(_) => details.as_bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use ah5_contracts::audit::{ActorKind, Verdict};
    use ah5_contracts::id::AuditId;

    use super::*;

    pub(super) fn event() -> AuditEvent {
        AuditEvent {
            audit_id: AuditId::from_uuid("0191d2c0-0000-7000-8000-000000000001".parse().unwrap()),
            ts: 1_790_000_000_000_000,
            workspace: "0191d2c0-0000-4000-8000-000000000002".parse().unwrap(),
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
            path_digest: None,
            upstream_status: Some(200),
            bytes_in: Some(0),
            bytes_out: Some(9),
            timings: vec![1, 2],
            details: r#"{"b":1,"a":2}"#.into(),
        }
    }

    fn spool() -> SpoolId {
        "0191d2c0-0000-4000-8000-000000000003".parse().unwrap()
    }

    #[test]
    fn a_chain_verifies_and_every_change_breaks_it() {
        let key = AuditKey::new(Zeroizing::new([7; 32]));
        let mut chain = Chain::start(spool());
        let (first, second) = (chain.append(&key, event()), chain.append(&key, event()));
        assert!(key.verify(&first) && key.verify(&second));
        assert_eq!(
            (second.link.seq, second.link.prev_hash),
            (2, first.link.hash)
        );

        let mut reordered = second.clone();
        reordered.event.details = r#"{ "a":2, "b":1 }"#.into();
        assert!(key.verify(&reordered), "jsonb may reorder members");
        let mut edited = second.clone();
        edited.event.upstream_status = Some(201);
        assert!(!key.verify(&edited));
        let other = AuditKey::new(Zeroizing::new([8; 32]));
        assert!(!other.verify(&second), "a recomputed chain lacks the key");
    }

    // Kept: if this fails, rows stored by earlier builds no longer verify.
    #[test]
    fn a_row_holds_only_what_reads_back_as_it_was_hashed() {
        let key = AuditKey::new(Zeroizing::new([7; 32]));
        let details = r#"{"share":0.50,"text":"x\u0000"}"#.to_owned();
        let event = AuditEvent { details, ..event() };
        let row = Chain::start(spool()).append(&key, event);
        let stored = "{\"share\":\"0.5\",\"text\":\"x\u{fffd}\"}";
        assert_eq!(row.event.details, stored);
        assert!(key.verify(&row));
    }

    #[test]
    fn the_encoding_is_as_it_always_was() {
        let hash = digest(&event(), spool(), 1, &[0; 32]);
        let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            hex,
            "3d9df7b78de30d2b91f41ac99c4ec8ff17bfc93e004a8a5f6a4ce6bd88c4811d"
        );
    }
}
