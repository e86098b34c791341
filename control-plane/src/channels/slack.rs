//! Slack's web API: messages. What others wrote stands in a block of code that is taken as it is, so
//! that Slack finds no links, names or commands in it.

use ah5_edge::Origin;
use serde_json::{Value, json};

use super::Undelivered;
use super::bot::{Bot, Said};
use super::exchange::Exchange;
use super::message::Message;

/// Who the bot is, as people know it; `Err` for a token that is none.
pub async fn auth_test(bot: &Bot, exchange: &Exchange) -> Result<Value, Undelivered> {
    result(bot, bot.probe(exchange).await?)
}

/// One page of a list, and where the next begins.
pub async fn page(
    bot: &Bot,
    exchange: &Exchange,
    path: &str,
) -> Result<(Value, Option<String>), Undelivered> {
    let found = result(bot, bot.read(exchange, path).await?)?;
    let next = found["response_metadata"]["next_cursor"].as_str();
    let next = next.filter(|next| !next.is_empty()).map(str::to_owned);
    Ok((found, next))
}

pub async fn send(
    bot: &Bot,
    exchange: &Exchange,
    channel: &str,
    message: &Message,
    ours: &Origin,
) -> Result<(), Undelivered> {
    let body = outgoing(channel, message, ours);
    let said = bot.call(exchange, "/api/chat.postMessage", &body).await?;
    result(bot, said).map(drop)
}

fn outgoing(channel: &str, message: &Message, ours: &Origin) -> Value {
    let heading = message.heading();
    // The block ends where we end it.
    let said = escape(&message.said().replace('`', "'"));
    let mut blocks = vec![
        json!({"type": "header", "text": {"type": "plain_text", "text": heading}}),
        section(format!("```{said}```")),
    ];
    if let Some(page) = message.page(ours) {
        blocks.push(section(format!("<{page}|Open in AgentHiFive>")));
    }
    json!({
        // What a lock screen shows, and nothing that anybody else wrote.
        "text": heading, "channel": channel, "blocks": blocks, "parse": "none",
        "link_names": false, "unfurl_links": false, "unfurl_media": false,
    })
}

fn section(text: String) -> Value {
    json!({"type": "section", "text": {"type": "mrkdwn", "verbatim": true, "text": text}})
}

fn result(bot: &Bot, said: Said) -> Result<Value, Undelivered> {
    if said.status.is_success() && said.json["ok"] == true {
        return Ok(said.json);
    }
    let word = said.json["error"].as_str().unwrap_or("unknown error");
    let why = bot.quoted(word);
    if !said.status.is_success() || PASSING.contains(&word) {
        return Err(Undelivered::Later {
            why,
            after: said.after,
        });
    }
    Err(Undelivered::Refused(why))
}

/// Bounded as it is sent: Slack refuses a section that is too long, and whoever could bring that
/// about could keep people from being told.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if escaped.len() > MAX_SECTION {
            escaped.push('…');
            break;
        }
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Bytes, of the 3,000 characters that there may be.
const MAX_SECTION: usize = 2900;

/// Slack's own troubles. Its other words are faults of the token or the channel.
const PASSING: [&str; 6] = [
    "fatal_error",
    "internal_error",
    "ratelimited",
    "rate_limited",
    "request_timeout",
    "service_unavailable",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::message::tests::hostile;

    #[test]
    fn what_others_wrote_is_code_and_the_page_the_only_link() {
        let ours = Origin::parse("https://ah5.example").unwrap();
        let body = outgoing("C1", &hostile(), &ours);
        let code = body["blocks"][1]["text"]["text"].as_str().unwrap();
        let inside = code.strip_prefix("```").unwrap().strip_suffix("```");
        let inside = inside.unwrap();
        assert!(!inside.contains(['<', '>', '`']), "{inside}");
        assert_eq!(body["blocks"][1]["text"]["verbatim"], true);
        assert_eq!(body["text"], "A call waits for your approval");
        let text = body.to_string();
        assert_eq!(text.matches("<http").count(), 1);
        assert!(escape(&"&".repeat(3000)).len() < 2950);
        assert!(text.contains("<https://ah5.example/dashboard/approvals/0191d2c0-"));
    }
}
