//! Which calls change something. By method, but for the endpoints of known services that read by
//! POST.

use ah5_contracts::policy::Method;

use crate::url::CanonicalUrl;

/// Whether a person should look at the call where a policy asks for the risky ones.
#[must_use]
pub(crate) fn is_write(service: &str, method: Method, url: &CanonicalUrl) -> bool {
    match method {
        Method::Get => false,
        Method::Post => !reads_by_post(service, url.path()),
        Method::Delete | Method::Patch | Method::Put => true,
    }
}

fn reads_by_post(service: &str, path: &str) -> bool {
    let exact = path.strip_suffix('/').unwrap_or(path);
    match service {
        "telegram" => telegram_get(path),
        "slack" => exact
            .strip_prefix("/api/")
            .is_some_and(|m| SLACK_READS.contains(&m)),
        "notion" => exact == "/v1/search" || notion_query(exact),
        "anthropic-messages" => exact == "/v1/messages" || path.starts_with("/v1/models"),
        "openai" => {
            matches!(exact, "/v1/chat/completions" | "/v1/embeddings")
                || path.starts_with("/v1/models")
        }
        "gemini" => {
            path.ends_with(":generateContent")
                || path.ends_with(":streamGenerateContent")
                || path.starts_with("/v1/models")
                || path.starts_with("/v1beta/models")
        }
        "openrouter" => exact == "/api/v1/chat/completions" || path.starts_with("/api/v1/models"),
        _ => false,
    }
}

/// `/bot<token>/get…`, whatever the case. `getUpdates` too: an agent that reads is not writing.
fn telegram_get(path: &str) -> bool {
    let method = path
        .strip_prefix("/bot")
        .and_then(|rest| rest.split_once('/'));
    method.is_some_and(|(_, method)| {
        method
            .get(..3)
            .is_some_and(|start| start.eq_ignore_ascii_case("get"))
    })
}

fn notion_query(path: &str) -> bool {
    path.strip_prefix("/v1/databases/")
        .and_then(|rest| rest.strip_suffix("/query"))
        .is_some_and(|id| !id.is_empty() && !id.contains('/'))
}

const SLACK_READS: [&str; 10] = [
    "auth.test",
    "conversations.history",
    "conversations.info",
    "conversations.list",
    "conversations.replies",
    "emoji.list",
    "pins.list",
    "team.info",
    "users.info",
    "users.list",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_by_post_is_no_write() {
        for (service, url, write) in [
            ("notion", "https://api.notion.com/v1/search", false),
            ("notion", "https://api.notion.com/v1/search/", false),
            (
                "notion",
                "https://api.notion.com/v1/databases/x/query",
                false,
            ),
            (
                "notion",
                "https://api.notion.com/v1/databases/x/y/query",
                true,
            ),
            ("notion", "https://api.notion.com/v1/pages", true),
            (
                "slack",
                "https://slack.com/api/conversations.history",
                false,
            ),
            ("slack", "https://slack.com/api/conversations.archive", true),
            ("telegram", "https://api.telegram.org/bot1/GetMe", false),
            (
                "telegram",
                "https://api.telegram.org/bot1/sendMessage",
                true,
            ),
            ("telegram", "https://api.telegram.org/botget", true),
            (
                "openai",
                "https://api.openai.com/v1/chat/completions",
                false,
            ),
            ("openai", "https://api.openai.com/v1/responses", true),
            (
                "gemini",
                "https://g.example/v1beta/models/x:generateContent",
                false,
            ),
            (
                "openrouter",
                "https://openrouter.ai/api/v1/chat/completions",
                false,
            ),
            ("custom-http", "https://api.notion.com/v1/search", true),
            ("", "https://h.example/", true),
        ] {
            let url = CanonicalUrl::parse(url).unwrap();
            assert_eq!(
                is_write(service, Method::Post, &url),
                write,
                "{service} {url}"
            );
            assert!(is_write(service, Method::Delete, &url));
            assert!(!is_write(service, Method::Get, &url));
        }
    }
}
