//! Goes to the mailbox's servers, once the call is counted and its approval taken.

use std::sync::Arc;

use ah5_contracts::id::WorkspaceId;
use ah5_mail::mailbox::{Answer, Content, Keeper, Mailbox, Operation};
use ah5_mail::{Fault, Way};
use ah5_net::client::Failure;
use ah5_net::{PoolKey, ResponseBody};
use ah5_policy::response::ResponseFilter;
use ah5_providers::scrub::Scrubber;
use ah5_providers::service::Category;
use ah5_store::refreshes::Seen;
use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

use crate::admission::Permit;
use crate::approvals::Redemption;
use crate::plane::Plane;
use crate::request::collect::filtered;
use crate::request::decide::Judged;
use crate::request::dues::{Dues, check_sent};
use crate::request::forward::{Provider, until_cut};
use crate::request::meter::Sent;
use crate::request::parse::AskedBody;
use crate::request::unseal::{self, DEFAULT_LIMIT, Exchange, check_size};
use crate::request::{Call, Caller, Kind, Refusal, heavy};

/// An errand that is allowed, and what it takes.
pub struct Sending<'h> {
    pub judged: Judged<'h>,
    pub errand: Operation,
    pub redemption: Option<Redemption>,
}

/// # Errors
/// As for every other provider: 403 for a server that may not be called or a call that stopped being
/// allowed, 413, 429, 502 or 504 when there was no answer, 500 when the credential does not open, 503 when
/// the call can't be recorded as its policy demands; also 403 for a file that rules can't filter.
pub async fn forward(
    plane: &Arc<Plane>,
    call: &mut Call,
    caller: Caller,
    sending: Sending<'_>,
    permit: &mut Permit,
) -> Result<Provider, Refusal> {
    let Sending {
        judged,
        errand,
        redemption,
    } = sending;
    let dropped = unseal::headers(&caller, &judged)?.dropped;
    if !dropped.is_empty() {
        call.dropped_headers(&dropped);
    }
    let id = judged.asked.connection;
    let connection = unseal::connection(&caller, id)?;
    let missing = || Refusal::internal("a mailbox without servers").say(INCOMPLETE);
    let account = connection.mailbox.clone().ok_or_else(missing)?;
    let password = unseal::secret(&caller, id, connection)?;
    let scrubber = Scrubber::new(&connection.auth, &password);
    let version = connection.credential.as_ref().map_or(0, |it| it.version);
    let workspace = caller.workspace_id;
    let base = connection.base.clone();
    drop(caller);
    call.mark();
    let (exchange, dues) = exchange(workspace, base, judged)?;
    let paid = dues.pay(plane, call, &exchange, redemption.as_ref());
    let paid = paid.await?;
    let mut keeper = Ledger {
        permit,
        has_begun: false,
    };
    let mailbox = Mailbox {
        way: Way {
            net: &plane.upstreams,
            workspace,
        },
        servers: &account.servers,
        password: &password,
        owner: &account.owner,
        keeper: &mut keeper,
    };
    let ran = until_cut(plane, &exchange, mailbox.run(errand)).await;
    let has_begun = keeper.has_begun;
    call.mark();
    let answer = match ran {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(Fault::Login)) => {
            plane.suspects.look_at(
                plane,
                Seen {
                    workspace,
                    connection: id,
                    version,
                },
            );
            Ok(Answer::login())
        }
        Ok(Err(Fault::Refused(why))) => Ok(Answer::failed(&why)),
        Ok(Err(fault)) => Err(refused(&fault, has_begun)),
        Err(cut) => Err(cut),
    };
    // Whatever a server did it has begun.
    let has_begun = has_begun || answer.as_ref().is_ok_and(|answer| answer.status < 400);
    match (has_begun, &answer) {
        (true, Ok(_)) => drop(paid.answered()),
        // What became of it is not known, and the approval is used up.
        (true, Err(_)) => drop(paid),
        (false, Ok(_)) => paid.not_done().await,
        (false, Err(_)) => paid.not_sent(call).await,
    }
    let answer = answer?;
    call.answered(answer.status, exchange.sent.bytes());
    let response = response(answer, exchange.filter.as_deref()).await?;
    check_sent(plane, &exchange)?;
    Ok(Provider {
        response,
        scrubber,
        exchange,
    })
}

fn exchange(
    workspace: WorkspaceId,
    base: ah5_policy::CanonicalUrl,
    judged: Judged<'_>,
) -> Result<(Exchange, Dues), Refusal> {
    let Judged {
        asked,
        claim,
        limits,
        dues,
        redactions,
        filter,
        ..
    } = judged;
    let size = match &asked.body {
        AskedBody::Bytes(bytes, _) => bytes.len() as u64,
        AskedBody::None | AskedBody::Stream(..) => 0,
    };
    check_size(size, limits.max_payload_bytes.unwrap_or(DEFAULT_LIMIT))?;
    let exchange = Exchange {
        key: PoolKey {
            workspace,
            connection: asked.connection,
        },
        claim,
        base,
        url: asked.url,
        form: asked.form,
        method: asked.method,
        max_response: limits.max_response_bytes.unwrap_or(DEFAULT_LIMIT),
        sent: Sent::Known(size),
        uploads: false,
        redactions,
        filter,
        translated: true,
        category: Category::Data,
        reserved: None,
    };
    Ok((exchange, dues))
}

/// The call's memory, and whether it has begun.
struct Ledger<'p> {
    permit: &'p mut Permit,
    has_begun: bool,
}

impl Keeper for Ledger<'_> {
    fn reserve(&mut self, bytes: usize) -> bool {
        self.permit.reserve(bytes).is_ok()
    }

    fn begins(&mut self) {
        self.has_begun = true;
    }
}

fn refused(fault: &Fault, has_begun: bool) -> Refusal {
    tracing::info!(%fault, sent = has_begun, "a mail server gave no answer");
    let refusal = match fault {
        Fault::Unreachable(Failure::Blocked(why) | Failure::Resolve(why)) => {
            return Refusal::forbidden(why.clone(), None).record_as("the target may not be called");
        }
        Fault::Overload => {
            return Refusal::unavailable(Kind::Overload, "Too many requests are in progress");
        }
        Fault::Late | Fault::Unreachable(Failure::Timeout) => {
            Refusal::gateway_timeout("Provider request timed out")
        }
        // The words of a server are an answer; these are ours.
        Fault::Failed(why) => Refusal::bad_gateway(format!("Email operation failed: {why}")),
        _ => Refusal::bad_gateway("Provider request failed"),
    };
    match has_begun {
        true => refusal.hint(UNKNOWN),
        false => refusal,
    }
}

async fn response(
    answer: Answer,
    filter: Option<&ResponseFilter>,
) -> Result<Response<ResponseBody>, Refusal> {
    let json = HeaderValue::from_static("application/json");
    let legal = |text: &str| HeaderValue::from_str(text).map_err(Refusal::internal);
    let (bytes, kind, disposition) = match answer.content {
        Content::File {
            bytes,
            disposition,
            kind,
        } => (bytes, legal(&kind)?, Some(legal(&disposition)?)),
        Content::Inline {
            bytes,
            kind,
            object,
        } => {
            let bytes = carried(bytes, &kind, filter).await?;
            (Content::inline(*object, &bytes), json, None)
        }
        Content::Json(text) => (text, json, None),
    };
    let mut response = Response::new(ResponseBody::whole(Bytes::from(bytes)));
    *response.status_mut() = StatusCode::from_u16(answer.status).map_err(Refusal::internal)?;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    if let Some(disposition) = disposition {
        response
            .headers_mut()
            .insert(CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

/// What rules leave of a file before it is put into JSON. In base64 they would not see all that it can be,
/// and a file that they can't look into must not get out by that way.
async fn carried(
    bytes: Vec<u8>,
    kind: &str,
    filter: Option<&ResponseFilter>,
) -> Result<Bytes, Refusal> {
    let bytes = Bytes::from(bytes);
    let Some(filter) = filter.map(ResponseFilter::for_carried) else {
        return Ok(bytes);
    };
    let size = bytes.len();
    heavy::run(size, || filtered(&filter, Some(kind), bytes)).await
}

const INCOMPLETE: &str = "Email credentials incomplete";
const UNKNOWN: &str = "What became of the call is not known. Look before it is made again.";
