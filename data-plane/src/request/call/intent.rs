//! Calls whose policy wants them on record before anything leaves: first the row, then the deed.

use ah5_contracts::audit::{Action, AuditEvent, Verdict};
use ah5_contracts::id::AuditId;
use serde_json::json;

use super::Call;
use crate::plane::Plane;
use crate::request::{Kind, Refusal};
use crate::spool::Via;

// === impl Call ===

impl Call {
    /// Records that a secret leaves.
    ///
    /// # Errors
    /// 503 where it has to be on record and can't be.
    pub async fn handed_out(
        &mut self,
        plane: &Plane,
        action: Action,
        details: serde_json::Value,
    ) -> Result<(), Refusal> {
        self.mark();
        if self.what.must_be_recorded {
            let event = self.event_before(action, details);
            let kept = required(plane, event).await;
            if kept.is_err() {
                // It may still get to the trail. That nothing left is told by a row of its own.
                self.what.intent = Some(self.audit_id);
                self.audit_id = AuditId::now();
            }
            return kept;
        }
        if let Some(event) = self.event(action, Verdict::Allowed, details) {
            plane.recorder.record(event);
        }
        Ok(())
    }

    /// Nothing is sent or handed out before it is on record.
    pub const fn must_be_recorded(&mut self) {
        self.what.must_be_recorded = true;
    }

    /// Records that the call is about to be made, if one of its policies demands that, and waits until
    /// the row is safe.
    ///
    /// # Errors
    /// 503 where it can't be: the call must not be made.
    pub async fn intend(&mut self, plane: &Plane) -> Result<(), Refusal> {
        if !self.what.must_be_recorded {
            return Ok(());
        }
        let intent = AuditId::now();
        let details = json!({"callId": self.audit_id});
        let event = self.event_before(Action::ExecutionRequested, details);
        let event = event.map(|event| AuditEvent {
            audit_id: intent,
            // Older than the row of how the call ends, so that whoever reads finds them in order.
            ts: self.ts - 1,
            ..event
        });
        required(plane, event).await?;
        self.what.intent = Some(intent);
        self.mark();
        Ok(())
    }

    /// The event of something that is yet to be done: the call may still be refused.
    fn event_before(&mut self, action: Action, details: serde_json::Value) -> Option<AuditEvent> {
        let (what, timings) = (self.what.clone(), self.timings.clone());
        let event = self.event(action, Verdict::Allowed, details);
        (self.what, self.timings) = (what, timings);
        event
    }
}

/// Waits until the row outlives this process.
async fn required(plane: &Plane, event: Option<AuditEvent>) -> Result<(), Refusal> {
    let event = event.ok_or_else(|| Refusal::internal("a call of nobody is to be recorded"))?;
    let kept = match plane.required_via {
        Via::Spool => plane.recorder.record_durably(event).await,
        Via::Postgres => plane.recorder.record_stored(event).await,
    };
    kept.map_err(|error| {
        tracing::error!(%error, "a call that must be recorded can't be and is refused");
        let text = "The call cannot be recorded, which its policy demands";
        Refusal::unavailable(Kind::Unrecorded, text)
            .hint("Nothing was sent. Try again in a moment.")
    })
}
