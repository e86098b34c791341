//! Puts the question to the people of the workspace: the very request, sealed under the workspace's
//! key, and 202 for the agent.

use ah5_contracts::approval::{Body, LIFE_SECONDS, Request};
use ah5_contracts::id::ApprovalId;
use ah5_security::secret::SecretText;
use ah5_security::vault::RequestContext;
use ah5_store::redemption::{Conversation, GoodFor, Question};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Response, StatusCode};

use super::{MOST_PENDING, bare_url, digest, grants, unavailable};
use crate::answer::{self, AnswerBody};
use crate::plane::Plane;
use crate::request::decide::Needs;
use crate::request::llm::question::Message;
use crate::request::offer::Offer;
use crate::request::parse::{Asked, AskedBody, Form};
use crate::request::{Call, Caller, Refusal, llm};

pub async fn ask(
    plane: &Plane,
    call: &mut Call,
    caller: &Caller,
    asked: &Asked<'_>,
    headers: &HeaderMap,
    needs: &Needs,
    bound: Option<Conversation>,
) -> Result<Response<AnswerBody>, Refusal> {
    let (id, digest) = (ApprovalId::random(), digest::of(asked, headers));
    let sealed = seal(caller, asked, headers, id, &digest)?;
    let (_, actor) = caller.identity.actor();
    let question = Question {
        id,
        workspace: caller.workspace_id,
        agent: asked.agent,
        connection: asked.connection,
        actor: &actor,
        policy: needs.policy,
        rule: &needs.rule,
        rule_label: needs.label.as_deref(),
        reason: &needs.reason,
        method: asked.wire_method.as_str(),
        url: &bare_url(asked),
        digest: &digest,
        grants: grants(asked.wishes),
        good_for: bound.map_or(GoodFor::Call, GoodFor::Conversation),
        sealed: &sealed,
        seconds: LIFE_SECONDS,
        most_pending: MOST_PENDING,
    };
    let question = plane.approvals.ask(&question).await.map_err(unavailable)?;
    let question = question.ok_or_else(too_many)?;
    let audit_id = call.asks(plane, question.id, question.is_new);
    if let Form::Llm(dialect) = asked.form {
        let message = Message {
            id: question.id,
            reason: &needs.reason,
            hint: &hint(asked, needs, bound.is_some()),
        };
        return Ok(llm::question::answer(asked, dialect, &message, audit_id));
    }
    let offer = Offer {
        id: question.id,
        reason: &needs.reason,
        expires_at: question.expires_at,
        hint: &hint(asked, needs, false),
        rule_label: needs.label.as_deref(),
        audit_id,
    };
    let text = offer.to_json();
    Ok(answer::json(StatusCode::ACCEPTED, text, audit_id))
}

/// How to send the same request again.
fn hint(asked: &Asked<'_>, needs: &Needs, may_go_on: bool) -> String {
    if asked.form.is_transparent() {
        let same = match may_go_on {
            true => "the same request, or the conversation as it has gone on since,",
            false => "the same request",
        };
        return format!(
            "This request requires approval. Once approved, re-submit {same} with header \
             x-ah5-approval-id set to this approvalRequestId."
        );
    }
    let also = match (asked.wishes.bypass_pii, asked.wishes.full_fields) {
        (true, true) => " and bypassPiiRedaction and requestFullFields as they are",
        (true, false) => " and bypassPiiRedaction: true",
        (false, true) => " and requestFullFields: true",
        (false, false) => "",
    };
    let label = needs.label.as_deref().unwrap_or_default();
    let download = match label.to_ascii_lowercase().contains("download") {
        true => " Binary content cannot be filtered; another form of it may need no approval.",
        false => "",
    };
    format!(
        "This request requires approval. Once approved, re-submit the same request with approvalId \
         set to this approvalRequestId{also}.{download}"
    )
}

fn seal(
    caller: &Caller,
    asked: &Asked<'_>,
    headers: &HeaderMap,
    approval: ApprovalId,
    digest: &[u8; 32],
) -> Result<Vec<u8>, Refusal> {
    let key = caller.workspace.key.as_ref();
    let key = key.ok_or_else(|| Refusal::internal("the workspace's data key does not open"))?;
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = headers.iter();
    let request = Request {
        method: asked.wire_method.as_str().to_owned(),
        url: asked.url.to_string(),
        headers: headers
            .map(|(n, v)| (n.as_str().to_owned(), text(v)))
            .collect(),
        body: body(&asked.body)?,
    };
    let request = serde_json::to_string(&request).map_err(Refusal::internal)?;
    let context = RequestContext {
        workspace: caller.workspace_id,
        approval,
        digest,
    };
    Ok(key.seal_request(&context, &SecretText::new(request)))
}

/// # Errors
/// 413: nobody can look at that much.
pub fn check_size(body: &AskedBody) -> Result<usize, Refusal> {
    let size = match body {
        AskedBody::Bytes(bytes, _) => bytes.len(),
        AskedBody::None | AskedBody::Stream(..) => 0,
    };
    if size > MAX_SHOWN {
        return Err(
            Refusal::too_large("The request is too large to be approved").hint(format!(
                "What a person is to approve may have {MAX_SHOWN} bytes."
            )),
        );
    }
    Ok(size)
}

fn body(body: &AskedBody) -> Result<Body, Refusal> {
    let bytes = match body {
        AskedBody::Bytes(bytes, _) => bytes,
        AskedBody::None => return Ok(Body::None),
        AskedBody::Stream(..) => return Err(Refusal::internal("a body was not read")),
    };
    Ok(match std::str::from_utf8(bytes) {
        Ok(text) => Body::Text(text.to_owned()),
        Err(_) => Body::Base64(STANDARD.encode(bytes)),
    })
}

fn too_many() -> Refusal {
    Refusal::too_many("Too many approval requests of this agent are pending", 60)
        .hint("Wait until they are decided or have expired.")
}

/// It is kept in the database until somebody has decided.
const MAX_SHOWN: usize = 4 * 1024 * 1024;
