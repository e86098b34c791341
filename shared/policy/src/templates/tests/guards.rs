use super::*;

#[test]
fn every_guard_compiles_for_every_provider_that_it_names() {
    let counts = [
        ("google", 21),
        ("microsoft", 24),
        ("telegram", 9),
        ("slack", 6),
        ("anthropic", 5),
        ("openai", 5),
        ("openrouter", 5),
        ("gemini", 4),
        ("notion", 3),
        ("trello", 3),
        ("jira", 3),
        ("email", 0),
    ];
    for (provider, count) in counts {
        let has = |guard: &&Guard| {
            !guard.request_rules(provider).is_empty() || !guard.response_rules(provider).is_empty()
        };
        let guards: Vec<&Guard> = Guard::all().filter(has).collect();
        assert_eq!(guards.len(), count, "{provider}");
        for guard in guards {
            let rules = json!({"request": guard.request_rules(provider),
                               "response": guard.response_rules(provider)});
            let _ = compiled(&guard.id, &json!([]), None, &rules);
        }
    }
}

#[test]
fn a_guard_holds_back_what_it_names() {
    use Method::{Delete, Patch, Post, Put};
    let mail = "https://graph.microsoft.com/v1.0/me/sendMail";
    let to = |kind: &str, address: &str| {
        format!(
            "{{\"message\":{{\"{kind}\":[{{\"emailAddress\":{{\"address\":\"{address}\"}}}}]}}}}"
        )
    };
    let gmail = "https://gmail.googleapis.com/gmail/v1/users/me";
    let telegram = "https://api.telegram.org/bot/";
    let channel = "https://graph.microsoft.com/v1.0/teams/t/channels/c/messages";
    let drive = "https://www.googleapis.com/drive/v3/files";
    let events = "https://www.googleapis.com/calendar/v3/calendars/c/events";
    for (guard, method, url, body, expected) in [
        (
            "cs-ip-leak",
            Post,
            format!("{telegram}sendMessage"),
            "{\"text\":\"on 10.1.2.3\"}".into(),
            "deny",
        ),
        (
            "cs-ip-leak",
            Post,
            format!("{telegram}sendMessage"),
            "{\"text\":\"on 110.1.2.3\"}".into(),
            "allow",
        ),
        (
            "msg-forward-block",
            Post,
            format!("{telegram}forwardMessage"),
            "{}".into(),
            "deny",
        ),
        (
            "msg-attachment-type",
            Post,
            format!("{telegram}sendDocument"),
            "{\"document\":\"a.EXE\"}".into(),
            "deny",
        ),
        (
            "email-external-recipient",
            Post,
            mail.into(),
            to("bccRecipients", "a@gmail.com"),
            "ask",
        ),
        (
            "email-external-recipient",
            Post,
            mail.into(),
            to("toRecipients", "a@example.com"),
            "allow",
        ),
        (
            "email-external-recipient",
            Post,
            format!("{gmail}/messages/send"),
            "{\"raw\":\"eA\"}".into(),
            "ask",
        ),
        (
            "email-large-attachment",
            Post,
            mail.into(),
            "{\"message\":{\"attachments\":[{}]}}".into(),
            "ask",
        ),
        (
            "email-mass-send",
            Post,
            mail.into(),
            to("ccRecipients", "a@example.com"),
            "ask",
        ),
        (
            "teams-channel-mention",
            Post,
            channel.into(),
            "{\"body\":{\"content\":\"hi @everyone\"}}".into(),
            "ask",
        ),
        (
            "fs-link-sharing",
            Post,
            format!("{drive}/x/permissions"),
            "{\"type\":\"domain\"}".into(),
            "deny",
        ),
        (
            "fs-sensitive-filename",
            Post,
            drive.into(),
            "{\"name\":\"id_rsa\"}".into(),
            "deny",
        ),
        (
            "teams-file-upload",
            Post,
            channel.into(),
            "{\"attachments\":[{}]}".into(),
            "ask",
        ),
        (
            "cal-event-cancel",
            Delete,
            format!("{events}/e"),
            String::new(),
            "ask",
        ),
        (
            "cal-all-day-event",
            Patch,
            format!("{events}/e"),
            "{\"start\":{\"date\":\"2026-01-01\"}}".into(),
            "ask",
        ),
        (
            "dest-member-protect",
            Post,
            format!("{telegram}banChatMember"),
            "{}".into(),
            "deny",
        ),
        (
            "adm-settings-guard",
            Post,
            format!("{gmail}/settings/forwardingAddresses"),
            "{}".into(),
            "ask",
        ),
        (
            "adm-settings-guard",
            Put,
            format!("{gmail}/messages/x"),
            "{}".into(),
            "allow",
        ),
    ] {
        let (host, _) = url.split_once("/v1").unwrap_or((&url, ""));
        let provider = ["graph", "telegram"]
            .iter()
            .position(|name| host.contains(name));
        let provider = provider.map_or("google", |at| ["microsoft", "telegram"][at]);
        let origin = url::Url::parse(&url)
            .unwrap()
            .origin()
            .ascii_serialization();
        let lists = json!([{"baseUrl": origin, "methods": ["POST", "PUT", "PATCH", "DELETE"], "pathPatterns": ["/**"]}]);
        let rules = Guard::find(guard).unwrap().request_rules(provider);
        let policy = compiled(
            guard,
            &lists,
            None,
            &json!({"request": rules, "response": []}),
        );
        assert_eq!(
            judged(&policy, method, &url, &body),
            expected,
            "{guard} {url}"
        );
    }
}
