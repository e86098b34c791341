//! What dashboards show of a call beside its method and path, in the members that they know: whom it
//! speaks to, and the beginning of what it says. All of it is in the preview.

use ah5_contracts::approval::{Body, Request};
use ah5_policy::body::{Json, View};
use ah5_policy::{Body as Readable, CanonicalUrl};
use serde::Serialize;

use super::preview::{self, Mail};

mod chats;
mod summary;

use chats::{Slack, Teams, Telegram};

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Context {
    #[serde(skip_serializing_if = "Option::is_none")]
    email_metadata: Option<Email>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slack_metadata: Option<Slack>,
    #[serde(skip_serializing_if = "Option::is_none")]
    teams_metadata: Option<Teams>,
    #[serde(skip_serializing_if = "Option::is_none")]
    telegram_metadata: Option<Telegram>,
    /// In a few words: the title of what is made, with whom something is shared, the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    action_summary: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Email {
    to: Vec<String>,
    cc: Vec<String>,
    bcc: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    subject: String,
    body_preview: String,
}

/// A request taken apart once, whatever form its body has.
struct Read<'a> {
    host: &'a str,
    path: &'a str,
    query: Vec<(String, String)>,
    body: Option<Json<'a>>,
}

// === impl Context ===

impl Context {
    pub fn of(request: &Request) -> Self {
        let Ok(url) = CanonicalUrl::parse(&request.url) else {
            return Self::default();
        };
        let read = Read::new(request, &url);
        let mut mails = preview::mails(request, Some(&url));
        mails.extend(read.body.iter().flat_map(preview::find));
        let sends = mails.first().map(Email::of);
        Self {
            email_metadata: sends.or_else(|| Email::at_graph(&read)),
            slack_metadata: Slack::of(&read),
            teams_metadata: Teams::of(&read),
            telegram_metadata: Telegram::of(&read),
            action_summary: summary::of(&request.method, &read),
        }
    }
}

// === impl Read ===

impl<'a> Read<'a> {
    fn new(request: &'a Request, url: &'a CanonicalUrl) -> Self {
        let kind = request.headers.iter();
        let kind = kind.filter(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let kind = kind.map(|(_, value)| value.as_str()).next();
        let body = match &request.body {
            Body::Text(text) => match Readable::new(text.as_bytes(), kind).read() {
                View::Data(json) => Some(json),
                View::Absent | View::Opaque(_) | View::Words(_) => None,
            },
            Body::Base64(_) | Body::None => None,
        };
        let query = url.query_pairs();
        Self {
            host: url.host(),
            path: url.path(),
            query: query
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
            body,
        }
    }

    /// A member of the body, or of objects in it.
    fn at(&self, path: &[&str]) -> Option<&Json<'a>> {
        let mut found = self.body.as_ref()?;
        for name in path {
            found = found.member(name)?;
        }
        Some(found)
    }

    fn text(&self, path: &[&str]) -> Option<String> {
        self.at(path).and_then(text)
    }

    /// A member of the body or, where there is none, of the query.
    fn argument(&self, name: &str) -> Option<String> {
        self.text(&[name]).or_else(|| {
            let mut query = self.query.iter();
            let found = query.find(|(given, _)| given == name);
            found.map(|(_, value)| beginning(value))
        })
    }

    /// The parts of the path behind this beginning.
    fn below(&self, beginning: &str) -> Option<Vec<&str>> {
        let rest = self.path.strip_prefix(beginning)?;
        Some(rest.split('/').collect())
    }
}

// === impl Email ===

impl Email {
    fn of(mail: &Mail) -> Self {
        let named = |name: &str| {
            let fields = mail.headers.iter();
            let fields = fields.filter(|field| field.name.eq_ignore_ascii_case(name));
            fields.map(|field| beginning(&field.value)).collect()
        };
        let from: Vec<String> = named("from");
        let subjects: Vec<String> = named("subject");
        let subject = mail.subject.clone().unwrap_or_else(|| subjects.join(" "));
        Self {
            to: named("to"),
            cc: named("cc"),
            bcc: named("bcc"),
            from: from.into_iter().next(),
            subject: beginning(&subject),
            body_preview: beginning(&mail.content),
        }
    }

    /// Microsoft's mails are objects.
    fn at_graph(read: &Read<'_>) -> Option<Self> {
        let sends = read.path.to_ascii_lowercase().ends_with("/sendmail");
        if read.host != GRAPH || !sends {
            return None;
        }
        let message = read.at(&["message"])?;
        let addresses = |name: &str| {
            let list = match message.member(name) {
                Some(Json::List(items)) => items.as_slice(),
                _ => &[],
            };
            let addresses = list.iter();
            let addresses =
                addresses.filter_map(|one| one.member("emailAddress")?.member("address"));
            addresses.filter_map(text).collect()
        };
        Some(Self {
            to: addresses("toRecipients"),
            cc: addresses("ccRecipients"),
            bcc: addresses("bccRecipients"),
            from: None,
            subject: read.text(&["message", "subject"]).unwrap_or_default(),
            body_preview: read
                .text(&["message", "body", "content"])
                .unwrap_or_default(),
        })
    }
}

/// Ids may be numbers.
fn text(json: &Json<'_>) -> Option<String> {
    match json {
        Json::Text(text) => Some(beginning(text)),
        Json::Number(digits) => Some(beginning(digits)),
        Json::Bool(_) | Json::List(_) | Json::Null | Json::Object(_) => None,
    }
}

fn beginning(text: &str) -> String {
    let text = preview::masked(text);
    let mut kept: String = text.chars().take(MOST).collect();
    if kept.len() < text.len() {
        kept.push_str("...");
    }
    kept
}

const GRAPH: &str = "graph.microsoft.com";
/// Characters.
const MOST: usize = 500;

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;

    fn context(method: &str, url: &str, kind: &str, body: &str) -> Value {
        let request = Request {
            method: method.into(),
            url: url.into(),
            headers: vec![("content-type".into(), kind.into())],
            body: Body::Text(body.into()),
        };
        serde_json::to_value(Context::of(&request)).unwrap()
    }

    fn posted(url: &str, body: &Value) -> Value {
        context("POST", url, "application/json", &body.to_string())
    }

    #[test]
    fn a_chat_is_named_wherever_the_call_names_it() {
        let telegram = "https://api.telegram.org/bot/sendMessage";
        let said = json!({"chatId": "-100", "text": "Hi", "parseMode": "HTML"});
        let body = json!({"chat_id": -100, "text": "Hi", "parse_mode": "HTML"});
        assert_eq!(posted(telegram, &body)["telegramMetadata"], said);
        let form = "chat_id=-100&text=Hi&parse_mode=HTML";
        let kind = "application/x-www-form-urlencoded";
        let by_form = context("POST", telegram, kind, form);
        assert_eq!(by_form["telegramMetadata"], said);
        let by_query = context("GET", &format!("{telegram}?{form}"), "text/plain", "");
        assert_eq!(by_query["telegramMetadata"], said);
        let slack = json!({"channel": "C1", "text": "x".repeat(600)});
        let slack = posted("https://slack.com/api/chat.postMessage", &slack);
        assert_eq!(slack["slackMetadata"]["channel"], "C1");
        let text = slack["slackMetadata"]["text"].as_str().unwrap();
        assert_eq!((text.len(), text.ends_with("...")), (503, true));
        let said = json!({"body": {"content": "<b>Hi</b>", "contentType": "html"}});
        for (path, place) in [
            ("v1.0/chats/19:x/messages", json!({"chatId": "19:x"})),
            ("v1.0/me/chats/19:x/messages", json!({"chatId": "19:x"})),
            (
                "beta/teams/t/channels/c/messages",
                json!({"teamId": "t", "channelId": "c"}),
            ),
        ] {
            let teams = posted(&format!("https://graph.microsoft.com/{path}"), &said);
            let mut expected = json!({"contentType": "html", "bodyPreview": "<b>Hi</b>"});
            for (name, value) in place.as_object().unwrap() {
                expected[name] = value.clone();
            }
            assert_eq!(teams["teamsMetadata"], expected, "{path}");
        }
    }

    #[test]
    fn a_mail_is_told_with_everybody_it_goes_to() {
        let mail = "From: me@x.example\r\nTo: a@x.example\r\nBcc: hidden@evil.example\r\n\
                    Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nSee you.";
        let raw = json!({"raw": URL_SAFE_NO_PAD.encode(mail)});
        let url = "https://gmail.googleapis.com/gmail/v1/users/me/messages/send";
        let gmail = posted(url, &raw)["emailMetadata"].clone();
        assert_eq!(gmail["to"], json!(["a@x.example"]));
        assert_eq!(gmail["bcc"], json!(["hidden@evil.example"]));
        assert_eq!(gmail["subject"], "Grüße");
        assert_eq!(gmail["bodyPreview"], "See you.");
        let to = |address: &str| json!([{"emailAddress": {"address": address}}]);
        let message = json!({
            "subject": "Hi", "body": {"content": "See you."},
            "toRecipients": to("a@x.example"), "bccRecipients": to("hidden@evil.example"),
        });
        let url = "https://graph.microsoft.com/v1.0/me/sendMail";
        let outlook = posted(url, &json!({"message": message}))["emailMetadata"].clone();
        assert_eq!(outlook["to"], json!(["a@x.example"]));
        assert_eq!(outlook["bcc"], json!(["hidden@evil.example"]));
        let letter = json!({
            "to": [{"address": "a@x.example"}], "bcc": [{"address": "b@x.example"}],
            "subject": "Hi", "textBody": "Your password: hunter22, see you.",
        });
        let url = "https://email-imap.internal/messages/send";
        let imap = posted(url, &letter)["emailMetadata"].clone();
        assert!(imap["bcc"].to_string().contains("b@x.example"), "{imap}");
        assert_eq!(imap["subject"], "Hi");
        assert!(!imap.to_string().contains("hunter22"), "{imap}");
    }

    #[test]
    fn what_is_made_or_shared_is_named() {
        for (url, body, expected) in [
            (
                "https://www.googleapis.com/calendar/v3/calendars/primary/events",
                json!({"summary": "Lunch"}),
                "Lunch",
            ),
            (
                "https://www.googleapis.com/drive/v3/files/f/permissions",
                json!({"emailAddress": "x@evil.example", "role": "writer"}),
                "Share with x@evil.example (writer)",
            ),
            (
                "https://x.atlassian.net/rest/api/3/issue",
                json!({"fields": {"summary": "Broken"}}),
                "Broken",
            ),
            (
                "https://api.openai.com/v1/chat/completions",
                json!({"model": "m", "messages": []}),
                "Model: m",
            ),
        ] {
            assert_eq!(posted(url, &body)["actionSummary"], expected, "{url}");
        }
        let nothing = posted("https://api.example.com/x", &json!({"a": 1}));
        assert_eq!(nothing, json!({}));
    }
}
