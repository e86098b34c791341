//! `ANY /v1/vault/llm/{name}/{path…}`: for clients of language models that know a base URL and a key,
//! and nothing of us. The request is the provider's own, and so are our refusals and questions: in the
//! form of the provider.

use ah5_contracts::connection::ConnectionStatus;
use ah5_contracts::id::{AgentId, ConnectionId};
use ah5_policy::CanonicalUrl;
use ah5_providers::catalogue;
use ah5_providers::service::{Category, Credential, Dialect, Service};
use http::request::Parts;
use http::{HeaderName, Response};
use hyper::body::Incoming;

use super::authenticate::unsettled;
use super::parse::{Asked, Form, invalid, proxied};
use super::target::{acting_as, find, only};
use super::{Caller, Refusal};
use crate::answer::{self, AnswerBody};
use crate::plane::Plane;
use crate::snapshot::Workspace;

pub mod error;
pub mod measure;
mod members;
pub mod question;
pub mod usage;

/// `rest` is everything behind the route's own path.
pub async fn asked<'h>(
    plane: &Plane,
    caller: &mut Caller,
    head: &'h Parts,
    rest: &str,
    body: Incoming,
) -> Result<Asked<'h>, Refusal> {
    let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
    let id = connection(plane, caller, head, name).await?;
    let connection = find(plane, caller, id).await?;
    check_service(connection.service, id)?;
    let llm = connection.service.llm.as_ref();
    let path = below(llm.map_or("", |llm| &llm.base_path), path);
    let url = CanonicalUrl::join(&connection.base, &path, head.uri.query()).map_err(invalid)?;
    let dialect = llm.map_or(Dialect::Openai, |llm| llm.dialect);
    let mut asked = proxied(caller, head, id, url, body)?;
    asked.form = Form::Llm(dialect);
    asked.wishes.bypass_pii = only(head, &BYPASS)?.is_some_and(|it| matches!(it, "1" | "true"));
    Ok(asked)
}

/// Whether there is anything behind the provider's name.
pub fn names_path(rest: &str) -> bool {
    let path = rest.split_once('/').map(|(_, path)| path);
    path.is_some_and(|path| path.bytes().any(|byte| byte != b'/'))
}

/// Of the path alone, so that whoever is refused at once can be told in its own form. Connections of
/// their owners' making speak as most do.
pub fn dialect(rest: &str) -> Dialect {
    let name = rest.split('/').next().unwrap_or_default();
    let llm = catalogue::llm(name).and_then(|service| service.llm.as_ref());
    llm.map_or(Dialect::Openai, |llm| llm.dialect)
}

/// Older clients are led to where the route is now, whoever they are.
pub fn moved(rest: &str, query: Option<&str>) -> Response<AnswerBody> {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let place = format!("/v1/vault/llm/{rest}{query}");
    answer::moved(&place)
}

/// By the provider's name, or by a connection's id.
async fn connection(
    plane: &Plane,
    caller: &mut Caller,
    head: &Parts,
    name: &str,
) -> Result<ConnectionId, Refusal> {
    let Some(service) = catalogue::llm(name) else {
        return name.parse().map_err(|_| {
            let name: String = name.chars().take(64).collect();
            Refusal::not_found(format!("Unsupported LLM provider: {name}"))
                .record_as("unsupported LLM provider")
        });
    };
    let agent = acting_as(caller, head, None)?;
    if let Some(id) = healthy(&caller.workspace, service, agent) {
        return Ok(id);
    }
    // It may be so new that this replica must look once more.
    let settled = plane.freshener.look(caller.workspace_id).await;
    caller.renew(plane)?;
    healthy(&caller.workspace, service, agent).ok_or_else(|| match settled {
        true => {
            let error = format!("No healthy {name} connection found for this workspace");
            Refusal::not_found(error)
        }
        false => unsettled(),
    })
}

/// Of several, one that the agent has a policy for.
fn healthy(workspace: &Workspace, service: &Service, agent: AgentId) -> Option<ConnectionId> {
    let connections = workspace.connections.iter();
    let healthy = connections
        .filter(|(_, it)| it.service.id == service.id && it.status == ConnectionStatus::Healthy);
    let ids = healthy.map(|(id, _)| *id);
    ids.min_by_key(|id| (!workspace.policies.contains_key(&(agent, *id)), *id))
}

/// Whether its owner has described it: it may be a model's as well as anything else.
pub fn is_custom(service: &Service) -> bool {
    matches!(
        service.credential,
        Credential::Custom | Credential::OauthCustom
    )
}

/// This route builds targets as models have them and lets bodies be larger. Other services' targets, as
/// those of mailboxes, have rules of their own, which the other routes keep.
fn check_service(service: &Service, id: ConnectionId) -> Result<(), Refusal> {
    if service.category == Category::Llm || is_custom(service) {
        return Ok(());
    }
    let error = format!("{} is not a language model", service.display_name);
    let hint = format!("Call it at /v1/proxy/{id}/… or POST /v1/vault/execute.");
    Err(Refusal::bad_request(error).hint(hint))
}

/// The path with the provider's own beginning, which clients may have left out; segments without a
/// name mean nothing.
fn below(base: &str, path: &str) -> String {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    let path: String = segments.flat_map(|segment| ["/", segment]).collect();
    let begins = |rest: &str| rest.is_empty() || rest.starts_with('/');
    if path.strip_prefix(base).is_some_and(begins) {
        return path;
    }
    format!("{base}{path}")
}

const BYPASS: HeaderName = HeaderName::from_static("x-ah5-bypass-pii-redaction");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_alone_is_no_path() {
        for (rest, names) in [
            ("openai", false),
            ("openai//", false),
            ("openai/x", true),
            ("", false),
        ] {
            assert_eq!(names_path(rest), names, "{rest}");
        }
    }

    #[test]
    fn only_models_and_what_owners_describe_are_called_here() {
        for service in catalogue::services() {
            let passes = check_service(service, ConnectionId::random()).is_ok();
            let expected = service.llm.is_some() || service.provider == "custom";
            assert_eq!(passes, expected, "{}", service.id);
        }
        let mailbox = catalogue::find("email-imap").unwrap();
        let refusal = check_service(mailbox, ConnectionId::random()).unwrap_err();
        assert_eq!(refusal.status, http::StatusCode::BAD_REQUEST);
        assert!(refusal.hint.unwrap().contains("/v1/proxy/"));
    }

    #[test]
    fn a_client_may_leave_out_how_paths_begin() {
        for (base, path, whole) in [
            ("/v1", "chat/completions", "/v1/chat/completions"),
            ("/v1", "v1/chat/completions", "/v1/chat/completions"),
            ("/v1", "v1beta/x", "/v1/v1beta/x"),
            ("/api/v1", "/models//", "/api/v1/models"),
            ("", "v1/messages", "/v1/messages"),
        ] {
            assert_eq!(below(base, path), whole, "{path}");
        }
    }
}
