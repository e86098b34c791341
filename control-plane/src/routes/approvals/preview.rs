//! The request that an approval is about, exactly as it would be sent but for the credential: what
//! comes twice is shown twice. Only what looks like a secret is masked, and how often that was said.

use serde::Serialize;

use ah5_contracts::approval::{Body, Request};
use ah5_policy::CanonicalUrl;
use ah5_policy::body::Json;
use ah5_security::vault::RequestContext;
use ah5_store::approvals::{self, Approval};
use ah5_store::tenant::Tenant;

use crate::app::App;
use crate::error::AppError;
use crate::vault;

mod mail;
mod mask;

use mail::Mail;
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
    /// Mails that stand coded in the body.
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

/// `None` once it is over.
pub async fn open(
    app: &App,
    tenant: &Tenant<'_>,
    approval: &Approval,
) -> Result<Option<Preview>, AppError> {
    Ok(request(app, tenant, approval).await?.map(show))
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
    let workspace = tenant.workspace();
    let key = vault::key(app, tenant).await?;
    let context = RequestContext {
        workspace,
        approval: approval.id,
        digest: &approval.digest,
    };
    let text = key
        .open_request(&context, &sealed)
        .map_err(AppError::internal)?;
    serde_json::from_str(text.expose()).map_err(AppError::internal)
}

/// Whether something in it looks like a secret.
pub fn holds_secrets(request: Request) -> bool {
    show(request).masked > 0
}

fn show(request: Request) -> Preview {
    let mut mask = Mask::default();
    let url = CanonicalUrl::parse(&request.url).ok();
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
    let (body, mails) = match request.body {
        Body::None => (None, Vec::new()),
        Body::Base64(text) => (Some(Content::Base64(text)), Vec::new()),
        Body::Text(text) => {
            let json = Json::parse(&text, false).ok();
            let mails = json.as_ref().map(mail::find).unwrap_or_default();
            (Some(Content::Text(mask.body(&text, json.as_ref()))), mails)
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

/// The query stands apart, where its secrets can be masked.
fn bare(text: &str, url: Option<&CanonicalUrl>) -> String {
    match url {
        Some(url) => format!("{}{}", url.origin(), url.path()),
        None => text.split('?').next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;

    fn shown(url: &str, body: Body) -> Value {
        let request = Request {
            method: "POST".into(),
            url: url.into(),
            headers: vec![("accept".into(), "a".into()), ("accept".into(), "b".into())],
            body,
        };
        serde_json::to_value(show(request)).unwrap()
    }

    #[test]
    fn everything_is_shown_as_often_as_it_is_there() {
        let body = r#"{"n": 1.0, "list": [1, 1]}"#;
        let shown = shown("https://h.example/x?a=1&a=%32&b=", Body::Text(body.into()));
        assert_eq!(shown["url"], "https://h.example/x");
        let pair = |name: &str, value: &str| json!({"name": name, "value": value});
        let query = json!([pair("a", "1"), pair("a", "2"), pair("b", "")]);
        assert_eq!(shown["query"], query);
        assert_eq!(
            shown["headers"],
            json!([pair("accept", "a"), pair("accept", "b")])
        );
        assert_eq!(shown["body"]["text"], body);
        assert_eq!(shown["masked"], 0);
    }

    #[test]
    fn secrets_are_masked_and_counted_and_nothing_else_changes() {
        let body =
            r#"{"user":"ann","Pass-Word":"hunter2","x":{"api_key":"k"},"x":1.50,"max_tokens":5}"#;
        let body = body.replace("\"x\":1.50", "\"y\":1.50");
        let shown = shown(
            "https://h.example/x?client_secret=s&page=2",
            Body::Text(body),
        );
        let text = shown["body"]["text"].as_str().unwrap();
        assert!(!text.contains("hunter2") && !shown.to_string().contains("\"k\""));
        assert!(text.contains("\"user\":\"ann\"") && text.contains("1.50"));
        assert!(text.contains("\"max_tokens\":5"));
        assert_eq!(shown["query"][0]["value"], mask::MASKED);
        assert_eq!(shown["query"][1]["value"], "2");
        assert_eq!(shown["masked"], 3);
    }

    #[test]
    fn secrets_in_forms_and_under_other_names_are_masked_too() {
        let url = "https://h.example/x?pageToken=p";
        let form = "grant_type=x&client_secret=s3cr3t&card%5Bcvc_token%5D=t&page_token=3&note=a";
        let form = shown(url, Body::Text(form.into()));
        let text =
            "grant_type=x&client_secret=[masked]&card%5Bcvc_token%5D=[masked]&page_token=3&note=a";
        assert_eq!(form["body"]["text"], text);
        assert_eq!(form["masked"], 2);
        for name in ["token", "credentials", "authorization", "pwd", "otp"] {
            let body = json!({name: "value-of-it"}).to_string();
            assert_eq!(shown(url, Body::Text(body))["masked"], 1, "{name}");
        }
    }

    #[test]
    fn a_mail_shows_every_recipient_however_often_they_are_named() {
        let mail = "To: a@x.example\r\nBcc: hidden@evil.example\r\nto: b@x.example,\r\n c@x.example\r\n\
                    Subject: Hi\r\n\r\nSee you.";
        let raw = URL_SAFE_NO_PAD.encode(mail);
        for body in [json!({"raw": raw}), json!({"message": {"raw": raw}})] {
            let shown = shown("https://h.example/send", Body::Text(body.to_string()));
            let mail = &shown["mails"][0];
            assert_eq!(
                mail["recipients"],
                json!([
                    "a@x.example",
                    "hidden@evil.example",
                    "b@x.example, c@x.example"
                ])
            );
            assert_eq!(mail["headers"][1]["name"], "Bcc");
            assert_eq!(mail["headers"].as_array().unwrap().len(), 4);
            assert_eq!(mail["content"], "See you.");
        }
    }
}
