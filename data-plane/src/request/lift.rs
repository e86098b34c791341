//! Limits of language models that people may let a call go beyond. Where an hour or a budget is used up
//! they are asked, and an approval makes that one limit count twice for as long as it lasts; it stands for
//! nothing else. After a denial nobody is asked again before that time is over. Of any other service a limit
//! that is used up is just that.

use ah5_contracts::approval::{Body, Request};
use ah5_contracts::id::{ApprovalId, PolicyId};
use ah5_providers::service::Category;
use ah5_security::encode::Fields;
use ah5_security::hash::sha256;
use ah5_security::secret::SecretText;
use ah5_security::vault::RequestContext;
use ah5_store::redemption::{Asked, GoodFor, Grants, Limit, Question, Said, Word};
use http::StatusCode;
use jiff::Timestamp;

use super::approve::MOST_PENDING;
use super::decide::policies;
use super::parse::Form;
use super::unseal::Exchange;
use super::{Call, Refusal};
use crate::plane::Plane;

/// The limits that are lifted for one call.
pub struct Lifting<'e> {
    exchange: &'e Exchange,
    lifted: Vec<(PolicyId, &'static str)>,
}

/// A limit of which too little is left.
pub struct Used {
    pub policy: PolicyId,
    /// As it is stored.
    pub limit: &'static str,
    pub most: u64,
    pub used: Option<u64>,
    /// For people.
    pub reason: String,
}

/// What people are asked.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub id: ApprovalId,
    pub reason: String,
    pub expires_at: Timestamp,
}

// === impl Lifting ===

impl<'e> Lifting<'e> {
    pub const fn of(exchange: &'e Exchange) -> Self {
        Self {
            exchange,
            lifted: Vec::new(),
        }
    }

    /// Whether people have let this limit go beyond what it was: once, not again and again.
    ///
    /// # Errors
    /// `refusal` where they have not, with the question that waits for them.
    pub async fn lift(
        &mut self,
        plane: &Plane,
        call: &mut Call,
        used: &Used,
        refusal: Refusal,
    ) -> Result<(), Refusal> {
        let limit = (used.policy, used.limit);
        if self.exchange.category != Category::Llm || self.lifted.contains(&limit) {
            return Err(refusal);
        }
        let workspace = self.exchange.key.workspace;
        let word = plane
            .approvals
            .find_word(workspace, used.policy, (used.limit, used.most()));
        let waiting = match word.await {
            Ok(Some(Word {
                said: Said::Approved,
                ..
            })) => {
                self.lifted.push(limit);
                return Ok(());
            }
            Ok(Some(Word {
                said: Said::Denied, ..
            })) => None,
            Ok(Some(Word { id, expires_at, .. })) => Some((id, expires_at, PENDING)),
            Ok(None) => {
                let asked = self.ask(plane, call, used).await?;
                asked.map(|asked| (asked.id, asked.expires_at, REQUESTED))
            }
            Err(error) => {
                tracing::warn!(%error, "nobody can be asked about a limit");
                None
            }
        };
        let Some((id, expires_at, hint)) = waiting else {
            return Err(refusal);
        };
        call.waits_for(id);
        let waiting = Waiting {
            id,
            reason: used.reason.clone(),
            expires_at,
        };
        Err(told(refusal, self.exchange.form, waiting, hint))
    }

    /// `None` where nobody can be asked.
    async fn ask(&self, plane: &Plane, call: &Call, used: &Used) -> Result<Option<Asked>, Refusal> {
        let Exchange { key, claim, .. } = self.exchange;
        let (workspace, connection, agent) = (key.workspace, key.connection, claim.agent());
        let (Some(published), Some(identity)) =
            (plane.published.workspace(workspace), call.identity())
        else {
            return Ok(None);
        };
        let policies = policies(&published, agent, connection).iter();
        let policy = policies
            .map(|policy| (policy.id, policy.version, policy.digest))
            .find(|(id, ..)| *id == used.policy);
        let Some(data_key) = published.key.as_ref() else {
            return Err(Refusal::internal("the workspace's data key does not open"));
        };
        let fields = Fields::new("ah5.limit.v1")
            .bytes(workspace.uuid().as_bytes())
            .bytes(used.policy.uuid().as_bytes())
            .number(used.most());
        let (id, digest) = (
            ApprovalId::random(),
            sha256(&fields.text(used.limit).finish()),
        );
        let request = Request {
            method: self.exchange.method.as_str().to_owned(),
            url: format!("{}{}", self.exchange.url.origin(), self.exchange.url.path()),
            headers: Vec::new(),
            body: Body::None,
        };
        let text = serde_json::to_string(&request).map_err(Refusal::internal)?;
        let context = RequestContext {
            workspace,
            approval: id,
            digest: &digest,
        };
        let (_, actor) = identity.actor();
        let sealed = data_key.seal_request(&context, &SecretText::new(text));
        let question = Question {
            id,
            workspace,
            agent,
            connection,
            actor: &actor,
            policy,
            rule: "rateLimits",
            rule_label: None,
            reason: &used.reason,
            method: &request.method,
            url: &request.url,
            digest: &digest,
            grants: Grants {
                pii_bypass: false,
                full_fields: false,
            },
            good_for: GoodFor::Limit(Limit {
                name: used.limit,
                most: used.most(),
                used: used.used.and_then(|used| i64::try_from(used).ok()),
            }),
            sealed: &sealed,
            seconds: LIFE_SECONDS,
            most_pending: MOST_PENDING,
        };
        match plane.approvals.ask(&question).await {
            Ok(asked) => Ok(asked),
            Err(error) => {
                tracing::warn!(%error, "nobody can be asked about a limit");
                Ok(None)
            }
        }
    }
}

// === impl Used ===

impl Used {
    fn most(&self) -> i64 {
        i64::try_from(self.most).unwrap_or(i64::MAX)
    }
}

/// The provider's clients are told by an error that they know; who knows us waits as for any approval.
fn told(refusal: Refusal, form: Form, waiting: Waiting, hint: &str) -> Refusal {
    let refusal = match (form, &refusal.hint) {
        (Form::Llm(_), before) => {
            let before = before.as_deref().unwrap_or_default();
            let hint = format!("{before} {hint} (approvalRequestId {})", waiting.id);
            refusal.hint(hint)
        }
        _ => Refusal {
            status: StatusCode::ACCEPTED,
            ..refusal.hint(format!("Rate limit budget exceeded. {hint}"))
        },
    };
    Refusal {
        waiting: Some(Box::new(waiting)),
        ..refusal
    }
}

/// From the asking on, the waiting for an answer included.
const LIFE_SECONDS: i32 = 60 * 60;
const PENDING: &str = "A budget override request is already pending. Once approved, you can continue \
    making requests.";
const REQUESTED: &str = "A budget override has been requested. Once approved, you can continue making \
    requests.";
