//! The provider's body on its way to the agent: counted, bounded, scrubbed, cut when the call is
//! allowed no longer, and recorded once it has left. Reads no faster than the agent does; dropped,
//! it closes the connection to the provider.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ah5_contracts::audit::Verdict;
use ah5_contracts::id::{AuditId, ConnectionId};
use ah5_net::ResponseBody;
use ah5_net::client::BodyError;
use ah5_policy::links::LinkGuard;
use ah5_policy::response::Unfilterable;
use ah5_policy::stream::StreamFilter;
use ah5_policy::{CanonicalUrl, Redaction};
use ah5_providers::scrub::Scrubber;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::call::Outcome;
use super::llm::usage;
use super::unseal::Exchange;
use super::{Call, Refusal};
use crate::admission::Permit;
use crate::budgets::Reserved;
use crate::plane::Plane;
use crate::streams::Registration;

mod filter;

use filter::Filter;

pub struct Relay {
    about: About,
    source: ResponseBody,
    scrubber: Scrubber,
    /// The policy's filters, after the credential is out.
    filter: Option<Filter>,
    /// Last of all, under every policy.
    guard: LinkGuard,
    /// Waited for before the answer's head went out.
    first: Option<Bytes>,
    /// What the policy lets through yet.
    left: u64,
    out: u64,
    /// Gone once the call is recorded.
    ending: Option<Ending>,
    /// The call's place and memory, kept until the last of the answer has left.
    permit: Option<Permit>,
    /// Of language models.
    usage: Option<Box<usage::Reader>>,
    /// Only for answers that make the agent wait.
    watch: Option<Registration>,
}

/// What stays known when the call is recorded.
struct About {
    audit_id: AuditId,
    redactions: Vec<Redaction>,
    connection: ConnectionId,
    /// Where agents may name it in the connection's stead.
    service: Option<&'static str>,
    max: u64,
    url: CanonicalUrl,
}

/// What the record needs, and what is given back with it.
pub struct Ending {
    pub plane: Arc<Plane>,
    pub call: Call,
    pub exchange: Exchange,
    pub status: u16,
}

/// Why an answer broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    #[error("the call is allowed no longer")]
    Cut,
    #[error("the answer holds the credential")]
    Echoed,
    #[error("there is no memory for what the filter holds back")]
    Overload,
    #[error(transparent)]
    Provider(#[from] BodyError),
    #[error("the answer is larger than the policy allows")]
    TooLarge,
    #[error("nobody here knows any more whether the call is allowed")]
    TooOld,
    #[error(transparent)]
    Unfilterable(#[from] Unfilterable),
}

// === impl Relay ===

impl Relay {
    pub fn new(source: ResponseBody, scrubber: Scrubber, ending: Ending, permit: Permit) -> Self {
        Self {
            about: About {
                audit_id: ending.call.audit_id,
                redactions: ending.exchange.redactions.clone(),
                connection: ending.exchange.key.connection,
                service: singleton(&ending.exchange),
                max: ending.exchange.max_response,
                url: ending.exchange.url.clone(),
            },
            source,
            scrubber,
            filter: None,
            guard: LinkGuard::new(Arc::clone(&ending.plane.own_links)),
            first: None,
            left: ending.exchange.max_response,
            out: 0,
            ending: Some(ending),
            permit: Some(permit),
            usage: None,
            watch: None,
        }
    }

    /// Counts what the answer took, as it passes.
    pub fn read_usage(&mut self, content_type: &str) {
        self.usage = Some(Box::new(usage::Reader::new(content_type)));
    }

    /// Filters from here on.
    pub fn filter_by(&mut self, stream: StreamFilter) {
        self.filter = Some(Filter::new(stream));
    }

    /// Waits for the first of what goes out. May be given up at any time.
    ///
    /// # Errors
    /// What would have broken the answer off before any of it was out.
    pub async fn begin(&mut self) -> Result<(), RelayError> {
        let first = poll_fn(|cx| self.poll(cx)).await;
        self.first = first.transpose().inspect_err(|error| {
            self.finish(Verdict::Error, Some(error.word()));
        })?;
        Ok(())
    }

    pub const fn audit_id(&self) -> AuditId {
        self.about.audit_id
    }

    /// What rules replaced in the request.
    pub fn redactions(&self) -> &[Redaction] {
        &self.about.redactions
    }

    /// How an agent names the connection.
    pub fn named(&self) -> String {
        match self.about.service {
            Some(service) => format!("service {service}"),
            None => format!("connectionId {}", self.about.connection),
        }
    }

    /// Bytes that the policy lets through.
    pub const fn max(&self) -> u64 {
        self.about.max
    }

    pub const fn url(&self) -> &CanonicalUrl {
        &self.about.url
    }

    /// Memory for keeping the answer.
    ///
    /// # Errors
    /// 503 when there is none.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), Refusal> {
        let permit = self.permit.as_mut();
        permit.map_or(Ok(()), |permit| permit.reserve(bytes))
    }

    /// What was made of the answer, without the credential and links of ours.
    ///
    /// # Errors
    /// 502 for a credential that is too short to take out.
    pub fn scrub(&mut self, made: Bytes) -> Result<Bytes, Refusal> {
        let echoed = |_| Refusal::bad_gateway("The provider's answer holds the credential");
        let clean = self.scrubber.push(made, true).map_err(echoed)?;
        let plane = self.ending.as_ref().map(|ending| &ending.plane);
        let masked = plane.and_then(|plane| plane.own_links.mask(&clean));
        Ok(masked.map_or(clean, Bytes::from))
    }

    /// As much of the answer as was wanted has been read. What was made of it is still in memory.
    pub fn done(mut self) -> Option<Permit> {
        self.finish(Verdict::Allowed, None);
        self.permit.take()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, RelayError>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        loop {
            if self.poll_cut(cx).is_ready() {
                return Poll::Ready(Some(Err(self.why_cut())));
            }
            let piece = match Pin::new(&mut self.source).poll_frame(cx) {
                Poll::Ready(piece) => piece.transpose()?,
                Poll::Pending if self.watch.is_none() && self.ending.is_some() => {
                    self.register();
                    continue;
                }
                Poll::Pending => return Poll::Pending,
            };
            let end = piece.is_none() || self.source.is_end_stream();
            // Trailers are not passed on.
            let piece = piece
                .and_then(|frame| frame.into_data().ok())
                .unwrap_or_default();
            let piece = self.filter(piece, end)?;
            if !end && self.watch.is_none() {
                // Also an agent that reads slowly may read on only while it is allowed to.
                self.register();
            }
            if !piece.is_empty() {
                return Poll::Ready(Some(Ok(piece)));
            }
            if end {
                return Poll::Ready(None);
            }
        }
    }

    fn filter(&mut self, piece: Bytes, end: bool) -> Result<Bytes, RelayError> {
        let left = self.left.checked_sub(piece.len() as u64);
        self.left = left.ok_or(RelayError::TooLarge)?;
        if let Some(usage) = &mut self.usage {
            usage.push(&piece);
        }
        let piece = self
            .scrubber
            .push(piece, end)
            .map_err(|_| RelayError::Echoed)?;
        let piece = self.filter_piece(piece, end)?;
        let piece = self.guard.push(piece, end);
        self.out += piece.len() as u64;
        Ok(piece)
    }

    fn filter_piece(&mut self, piece: Bytes, end: bool) -> Result<Bytes, RelayError> {
        let Some(filter) = &mut self.filter else {
            return Ok(piece);
        };
        let (piece, more) = filter.push(&piece, end)?;
        if more > 0 && self.reserve(more).is_err() {
            return Err(RelayError::Overload);
        }
        Ok(piece)
    }

    /// From now on the agent waits: what is allowed may change meanwhile. Registered first and
    /// judged after, so that no change falls in between.
    fn register(&mut self) {
        let Some(Ending {
            plane, exchange, ..
        }) = &self.ending
        else {
            return;
        };
        let watch = plane.streams.register(exchange.claim.clone());
        if !plane.allows(&exchange.claim) {
            watch.cut();
        }
        self.watch = Some(watch);
    }

    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.watch
            .as_ref()
            .map_or(Poll::Pending, |watch| watch.poll_cut(cx))
    }

    fn why_cut(&self) -> RelayError {
        let knows = |ending: &Ending| ending.plane.knows(ending.exchange.key.workspace);
        match self.ending.as_ref().is_none_or(knows) {
            true => RelayError::Cut,
            false => RelayError::TooOld,
        }
    }

    /// Records the call, once.
    fn finish(&mut self, verdict: Verdict, fault: Option<&'static str>) {
        self.watch = None;
        let Some(ending) = self.ending.take() else {
            return;
        };
        let Ending {
            plane,
            call,
            exchange,
            status,
        } = ending;
        let usage = self.usage.as_mut().and_then(|usage| usage.usage());
        let is_whole = verdict == Verdict::Allowed;
        settle(
            exchange.reserved,
            status,
            usage.as_ref().filter(|_| is_whole),
        );
        let outcome = Outcome {
            verdict,
            upstream_status: Some(status),
            bytes_in: exchange.sent.bytes(),
            bytes_out: self.out,
            scrubbed: self.scrubber.hits(),
            links_removed: self.guard.masked(),
            usage,
            fault,
        };
        call.completed(&plane, &outcome);
    }
}

/// What can't be known stays as it was reserved. `usage` is that of a whole answer.
fn settle(reserved: Option<Reserved>, status: u16, usage: Option<&usage::Usage>) {
    let Some(reserved) = reserved else {
        return;
    };
    match (status, usage) {
        (400..500, _) => reserved.refused(),
        (_, Some(usage)) => reserved.used(usage),
        (_, None) => {}
    }
}

fn singleton(exchange: &Exchange) -> Option<&'static str> {
    let service = exchange.claim.service().filter(|it| it.singleton);
    service.map(|it| it.id.as_str())
}

impl Body for Relay {
    type Data = Bytes;
    type Error = RelayError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RelayError>>> {
        match std::task::ready!(self.poll(cx)) {
            Some(Ok(piece)) => {
                if self.is_end_stream() {
                    self.finish(Verdict::Allowed, None);
                }
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Some(Err(error)) => {
                self.finish(Verdict::Error, Some(error.word()));
                Poll::Ready(Some(Err(error)))
            }
            None => {
                self.finish(Verdict::Allowed, None);
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let filtered = self.filter.as_ref().is_none_or(Filter::is_finished);
        let holds_back = self.scrubber.holds_back() || self.guard.holds_back();
        self.first.is_none() && self.source.is_end_stream() && !holds_back && filtered
    }

    /// Scrubber and guard replace by the same number of bytes, so the provider's word on the length
    /// holds.
    fn size_hint(&self) -> SizeHint {
        let holds_back = self.scrubber.holds_back() || self.guard.holds_back();
        if holds_back || self.filter.is_some() {
            return SizeHint::default();
        }
        self.source.size_hint()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if self.is_end_stream() {
            self.finish(Verdict::Allowed, None);
        } else {
            self.finish(Verdict::Error, Some("agent_gone"));
        }
    }
}

// === impl RelayError ===

impl RelayError {
    const fn word(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Echoed => "credential_echoed",
            Self::Overload => "overload",
            Self::Provider(BodyError::Idle) => "idle",
            Self::Provider(BodyError::Reset) => "reset",
            Self::TooLarge => "too_large",
            Self::TooOld => "too_old",
            Self::Unfilterable(_) => "unfilterable",
        }
    }
}
