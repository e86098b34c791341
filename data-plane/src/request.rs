//! The life of an agent's call: the steps, in order. Each takes what the one before it proved and
//! refuses with a reason of its own. Nothing here awaits the database, but for one look when a
//! caller shows something that this replica has not heard of, for approvals, for policies that
//! limit calls per hour, and for a credential that is about to expire.

use std::net::SocketAddr;
use std::sync::Arc;

use ah5_contracts::policy::Model;
use ah5_contracts::scope::Scope;
use http::{Request, Response};
use hyper::body::Incoming;

use crate::answer::{self, AnswerBody};
use crate::plane::Plane;
use crate::routes::{self, Endpoint, Found, Right};

mod approve;
pub mod authenticate;
mod body;
mod budget;
mod call;
mod claim;
mod collect;
mod decide;
mod download;
mod dues;
mod envelope;
mod follow;
mod forward;
mod framing;
mod fresh;
mod heavy;
mod lift;
pub mod llm;
mod location;
mod mailbox;
mod meter;
mod offer;
mod parse;
mod refusal;
mod relay;
mod renewal;
mod reply;
mod resolve;
mod target;
mod toll;
mod unseal;
mod vend;
mod wrap;

use approve::Settled;
use envelope::Envelope;
use parse::AskedBody;

pub use authenticate::{Caller, Identity, Now};
pub use call::{Call, Outcome};
pub use claim::Claim;
pub use refusal::{Kind, Refusal};
pub use relay::{Relay, RelayError};

/// Answers one request, whatever it is.
pub async fn answer(
    plane: Arc<Plane>,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Response<AnswerBody> {
    let mut call = Call::begin();
    let (head, body) = request.into_parts();
    let mut dress = answer::Dress::of(&head);
    let answered = steps(&plane, &mut call, &mut dress, &head, body, peer).await;
    let response = answered.unwrap_or_else(|refusal| {
        let audit_id = call.refused(&plane, &refusal);
        answer::refusal(&refusal, dress.dialect, audit_id)
    });
    dress.quota = call.quota;
    dress.finish(&plane, response)
}

async fn steps(
    plane: &Arc<Plane>,
    call: &mut Call,
    dress: &mut answer::Dress,
    head: &http::request::Parts,
    body: Incoming,
    peer: SocketAddr,
) -> Result<Response<AnswerBody>, Refusal> {
    framing::check(head)?;
    let found = routes::find(&head.method, head.uri.path());
    if let Some(Found { route, rest }) = &found
        && route.right == Right::Open
    {
        return Ok(match route.endpoint {
            Endpoint::LlmMoved => llm::moved(rest, head.uri.query()),
            _ => answer::health(),
        });
    }
    if let Some(Found { route, rest }) = &found
        && route.endpoint == Endpoint::Llm
    {
        dress.dialect = Some(llm::dialect(rest));
    }
    if !plane.is_fresh() {
        return Err(stale());
    }
    if plane.cdn_loop.seen(&head.headers) {
        return Err(loop_detected());
    }
    // 1. Who calls, and may this replica take one more call of theirs?
    let mut caller = authenticated(plane, call, head, peer).await?;
    call.known(plane, &caller);
    dress.nonce = caller.nonce.take();
    if !plane.knows(caller.workspace_id) {
        return Err(stale());
    }
    let Some(found) = found else {
        return Ok(answer::not_found(head));
    };
    call.route(found.route.endpoint);
    if let (Right::Call, Some(person)) = (found.route.right, caller.person) {
        person.needs(Scope::VaultExecute)?;
    }
    let mut permit = plane
        .admission
        .permit(caller.workspace_id, caller.identity)?;
    // 2. What is asked: one canonical request.
    let mut asked = match found.route.endpoint {
        Endpoint::Execute => {
            let text = body::read(head, body, found.route.max_body, &mut permit).await?;
            renew(plane, &mut caller)?;
            let envelope = Envelope::parse(&text)?;
            if envelope.model == Model::A {
                return vend::vend(plane, call, &mut caller, head, &envelope).await;
            }
            parse::envelope(plane, &mut caller, head, envelope).await?
        }
        Endpoint::Llm if !llm::names_path(found.rest) => return Ok(answer::not_found(head)),
        Endpoint::Llm => llm::asked(plane, &mut caller, head, found.rest, body).await?,
        Endpoint::ProxyByPath => parse::by_path(plane, &mut caller, head, found.rest, body).await?,
        Endpoint::ProxyByHeader => parse::by_header(plane, &mut caller, head, body).await?,
        Endpoint::Resolve => {
            let user = resolve::person(&caller)?;
            let text = body::read(head, body, found.route.max_body, &mut permit).await?;
            renew(plane, &mut caller)?;
            return resolve::resolve(plane, call, &mut caller, user, &text).await;
        }
        Endpoint::Health | Endpoint::LlmMoved => return Ok(answer::health()),
    };
    call.asked(&asked);
    // 3. May it be done?
    if asked.approval.is_some() || decide::reads_bodies(&caller, &asked, call.began()) {
        body::hold(&mut asked, &mut permit).await?;
        renew(plane, &mut caller)?;
    }
    let size = match &asked.body {
        AskedBody::Bytes(bytes, _) => bytes.len(),
        AskedBody::None | AskedBody::Stream(..) => 0,
    };
    let mut judged = heavy::run(size, || decide::decide(&caller, asked, call)).await?;
    let errand = match heavy::run(size, || mailbox::errand(&caller, &judged.asked)).await {
        Err(answer) => return mailbox::refuse(plane, call, judged.asked.form, answer),
        Ok(errand) => errand,
    };
    // 4. What is left to a person: asks, or finds what was approved.
    let redemption = match approve::settle(plane, call, &caller, &mut judged, &mut permit).await? {
        Settled::Asked(answer) => return Ok(answer),
        Settled::Go(redemption) => redemption,
    };
    if let Some(errand) = errand {
        let sending = mailbox::Sending {
            judged,
            errand,
            redemption,
        };
        // In a place of its own: other calls need not have room for it.
        let sent = Box::pin(mailbox::forward(plane, call, caller, sending, &mut permit)).await?;
        return reply::reply(plane, call, sent, permit).await;
    }
    // 5. The credential, had anew if it is about to expire, and put in as the last change.
    let renewed = renewal::ahead(plane, &caller, judged.asked.connection).await?;
    let sealed = unseal::unseal(plane, caller, head, judged, renewed, call)?;
    // 6. The provider, once the call is counted and its approval taken.
    let provider = forward::forward(plane, call, sealed, redemption).await?;
    // 7. What comes back, filtered on its way.
    reply::reply(plane, call, provider, permit).await
}

/// After a wait for the agent's own bytes: what was true when the call came may not be true now.
fn renew(plane: &Plane, caller: &mut Caller) -> Result<(), Refusal> {
    if !plane.knows(caller.workspace_id) {
        return Err(stale());
    }
    caller.renew(plane)
}

async fn authenticated(
    plane: &Plane,
    call: &Call,
    head: &http::request::Parts,
    peer: SocketAddr,
) -> Result<Caller, Refusal> {
    let now = Now {
        client: ah5_edge::client::address(peer, &head.headers, &plane.trusted_proxies),
        seconds: call.unix_seconds(),
    };
    Caller::authenticate(plane, head, now).await
}

fn stale() -> Refusal {
    Refusal::unavailable(
        Kind::Stale,
        "This replica's knowledge of policies is too old to act on",
    )
    .hint("Try again in a moment; another replica may answer.")
}

fn loop_detected() -> Refusal {
    Refusal::loop_detected("The request has been through this service already")
}
