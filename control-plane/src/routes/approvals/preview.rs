//! The request that an approval is about, exactly as it would be sent but for the credential: what
//! comes twice is shown twice. Only what looks like a secret is masked, and how often that was said.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use ah5_contracts::approval::{Body, Request};
use ah5_contracts::id::WorkspaceId;
use ah5_policy::CanonicalUrl;
use ah5_policy::body::Json;
use ah5_security::vault::{DataKey, RequestContext};
use ah5_store::approvals::{self, Approval};
use ah5_store::tenant::Tenant;

use crate::app::App;
use crate::error::AppError;
use crate::vault;

mod letter;
mod mail;
mod mask;

pub use mail::{Mail, find};
use mask::Mask;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    method: String,
    url: String,
    /// Decoded, in order.
    query: Vec<Field>,
    headers: Vec<Field>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Content>,
    /// Mails that it sends: whom they go to, and what is attached to them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mails: Vec<Mail>,
    /// How many values are masked.
    masked: usize,
}

#[derive(Serialize)]
pub struct Field {
    pub name: String,
    pub value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Content {
    Base64(String),
    Text(String),
}

/// As it was sealed, with its secrets: for nobody to see. `None` once it is over.
pub async fn request(
    app: &App,
    tenant: &Tenant<'_>,
    approval: &Approval,
) -> Result<Option<Request>, AppError> {
    let Some(sealed) = approvals::sealed(tenant, approval.id).await? else {
        return Ok(None);
    };
    let key = vault::key(app, tenant).await?;
    unseal(&key, tenant.workspace(), approval, &sealed).map(Some)
}

pub fn unseal(
    key: &DataKey,
    workspace: WorkspaceId,
    approval: &Approval,
    sealed: &[u8],
) -> Result<Request, AppError> {
    let context = RequestContext {
        workspace,
        approval: approval.id,
        digest: &approval.digest,
    };
    let text = key
        .open_request(&context, sealed)
        .map_err(AppError::internal)?;
    serde_json::from_str(text.expose()).map_err(AppError::internal)
}

/// Without what looks like a secret in it.
pub fn masked(text: &str) -> String {
    Mask::default().value("", text)
}

/// Whether something in it looks like a secret.
pub fn holds_secrets(request: Request) -> bool {
    show(request).masked > 0
}

pub fn show(request: Request) -> Preview {
    let mut mask = Mask::default();
    let url = CanonicalUrl::parse(&request.url).ok();
    let mut mails = mails(&request, url.as_ref());
    let pairs = url.iter().flat_map(CanonicalUrl::query_pairs);
    let query: Vec<Field> = pairs
        .map(|(name, value)| Field {
            value: mask.value(&name, &value),
            name: name.into_owned(),
        })
        .collect();
    let headers = request.headers.into_iter();
    let headers = headers.map(|(name, value)| Field {
        value: mask.value(&name, &value),
        name,
    });
    let headers = headers.collect();
    let body = match request.body {
        Body::None => None,
        Body::Base64(text) => Some(Content::Base64(text)),
        Body::Text(text) => {
            let json = Json::parse(&text, false).ok();
            mails.extend(json.as_ref().map(find).unwrap_or_default());
            Some(Content::Text(mask.body(&text, json.as_ref())))
        }
    };
    Preview {
        method: request.method,
        url: bare(&request.url, url.as_ref()),
        query,
        headers,
        body,
        mails,
        masked: mask.count,
    }
}

/// Those that are not coded in a body of JSON: of mailboxes, and whole mails as bodies.
pub fn mails(request: &Request, url: Option<&CanonicalUrl>) -> Vec<Mail> {
    let is_mail = request.headers.iter().any(|(name, value)| {
        let kind = value.split(';').next().unwrap_or_default().trim();
        name == "content-type" && kind.eq_ignore_ascii_case("message/rfc822")
    });
    let whole = match &request.body {
        Body::Text(text) if is_mail => mail::of(text.clone().into_bytes()),
        Body::Base64(text) if is_mail => STANDARD.decode(text).ok().and_then(mail::of),
        _ => None,
    };
    let letter = letter::read(request, url);
    letter.into_iter().chain(whole).collect()
}

/// The query stands apart, where its secrets can be masked.
fn bare(text: &str, url: Option<&CanonicalUrl>) -> String {
    match url {
        Some(url) => format!("{}{}", url.origin(), url.path()),
        None => text.split('?').next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests;
